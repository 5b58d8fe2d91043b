//! The lab's servers serve.

use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Result, ensure};
use ringwall_chaos_tests::lab::{
    Lab,
    command::Program,
    probe::{IperfRun, Url, http_get},
    servers::{IperfServer, NameServer, Nginx, Slapd, dnsmasq, iperf, nginx, slapd},
    wait::until_ok,
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

#[test]
fn name_server_answers_from_a_zone_that_changes() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let here = lab.topology().v4("web", "office").into();
    let mut server = NameServer::start(&lab, "web", &[("web.example", here)], &[("corp.example", here)])?;
    let address = |name: &str| -> Result<Option<IpAddr>> {
        let socket = lab.host("alice").enter(|| UdpSocket::bind("0.0.0.0:0"))??;
        socket.set_read_timeout(Some(SOON))?;
        let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        let header = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let question: Vec<u8> = header.into_iter().chain(labels).chain([0, 0, 1, 0, 1]).collect();
        socket.send_to(&question, (here, dnsmasq::PORT))?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer)?;
        // One record: its address stands last.
        let found = <[u8; 4]>::try_from(&answer[length - 4..length])?;
        Ok((answer[7] == 1).then(|| found.into()))
    };
    assert_eq!(address("web.example")?, Some(here));
    assert_eq!(address("any.corp.example")?, Some(here));
    assert_eq!(address("elsewhere.example")?, None);
    assert!(server.was_asked("web.example") && !server.was_asked("nobody.example"));
    let there: IpAddr = [10, 20, 0, 99].into();
    server.change(&[("web.example", there)])?;
    until_ok("the new address", SOON, || {
        let now = address("web.example")?;
        ensure!(now == Some(there), "{now:?}");
        Ok(())
    })
}

#[test]
fn the_directory_proves_its_users_over_tls() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let address: IpAddr = lab.topology().v4("web", "office").into();
    let directory = Slapd::start(&lab, "web", address)?;
    let authority = lab.directory().join("slapd-web/authority.pem");
    let (user, _) = slapd::USERS[0];
    let bind = |password: &str| {
        let program = Program::system("whoami", "ldapwhoami")
            .args(["-x", "-H", &format!("ldaps://{address}:{}", slapd::PORT)])
            .args(["-D", &format!("uid={user},ou=people,dc=corp,dc=example"), "-w", password])
            .env("LDAPTLS_CACERT", &authority);
        lab.run("alice", &program, SOON)
    };
    assert!(bind(slapd::PASSWORD)?.success()?.contains(user));
    assert!(bind("wrong")?.success().is_err());
    assert_eq!(std::fs::read_to_string(&authority)?, directory.authority());
    Ok(())
}
