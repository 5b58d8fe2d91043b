//! The lab's servers serve.

use std::time::Duration;

use anyhow::Result;
use ringwall_chaos_tests::lab::{
    Lab,
    probe::{IperfRun, Url, http_get},
    servers::{IperfServer, Nginx, iperf, nginx},
};

use crate::plan::two_networks;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn pages_load_over_both_families_and_say_who_served_them() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let server = Nginx::start(&lab, "web", &[80, 8080])?;
    for port in [80, 8080] {
        let v4 = Url::of((lab.topology().v4("web", "office"), port), "/");
        let v6 = Url::of((lab.topology().v6("web", "office"), port), "/some/page");
        for url in [v4, v6] {
            let reply = http_get(lab.host("alice"), &url, SOON)?;
            assert_eq!((reply.status, reply.body), (200, nginx::page("web", port)));
        }
    }
    assert_eq!(server.process().log().errors(), Vec::<String>::new());
    Ok(())
}

#[test]
fn iperf_measures_both_directions() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let _server = IperfServer::start(&lab, "web", iperf::PORT)?;
    let run = IperfRun::to(lab.topology().v4("web", "office").into(), iperf::PORT).seconds(1);
    for run in [run.clone(), run.down()] {
        let report = run.run(&lab, "alice")?;
        assert!(report.bits_per_second > 1e8, "a veth pair is faster than this: {report:?}");
    }
    Ok(())
}

#[test]
fn iperf_without_a_server_is_an_error() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let run = IperfRun::to(lab.topology().v4("web", "office").into(), iperf::PORT).seconds(1);
    let error = run.run(&lab, "alice").expect_err("nobody listens");
    assert!(format!("{error:#}").contains("iperf3"), "{error:#}");
    Ok(())
}
