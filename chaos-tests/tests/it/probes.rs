//! Probes tell the truth: they lose nothing of themselves, and count exactly what the network drops.

use std::time::{Duration, Instant};

use anyhow::Result;
use ringwall_chaos_tests::lab::{
    Lab,
    fault::Fault,
    probe::{
        Capture, ConnectFailure, Download, EchoProbe, Flags, PacketCounter, Url, WaitingRequest, scan_ports,
        tcp_connects,
    },
    servers::{Nginx, UdpEcho, nginx},
    wait,
};

use crate::plan::two_networks;

const SOON: Duration = Duration::from_secs(10);
const ECHO_PORT: u16 = 7;

#[test]
fn echo_probe_loses_nothing_across_a_router_in_both_families() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let addresses = [lab.topology().v4("web", "office").into(), lab.topology().v6("web", "office").into()];
    for address in addresses.map(|ip: std::net::IpAddr| (ip, ECHO_PORT)) {
        let server = UdpEcho::start(lab.host("web"), address)?;
        let counter = PacketCounter::install(lab.host("web"), "udp dport 7")?;
        let probe = EchoProbe::at_rate(lab.host("alice"), server.address(), 500)?;
        wait::until("200 echoes", SOON, || probe.received() >= 200)?;
        let report = probe.stop()?;

        assert_eq!((report.received, report.duplicates), (report.sent, 0), "{report}");
        assert!(report.sent >= 200 && report.rtt_median.is_some(), "{report}");
        assert_eq!(server.arrivals().len(), report.sent);
        assert_eq!(counter.packets()?, report.sent as u64);
    }
    Ok(())
}

#[test]
fn echo_probe_reports_exactly_the_packets_that_were_dropped() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let server = UdpEcho::start(lab.host("web"), (lab.topology().v4("web", "office"), ECHO_PORT))?;
    let probe = EchoProbe::at_rate(lab.host("alice"), server.address(), 500)?;
    wait::until("first echoes", SOON, || probe.received() >= 20)?;

    let fault = Fault::drop_arriving(lab.host("router"), "udp dport 7 numgen inc mod 5 == 0")?;
    wait::until("40 drops", SOON, || fault.dropped().is_ok_and(|dropped| dropped >= 40))?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    let report = probe.stop()?;

    assert_eq!(report.lost.len() as u64, fault.dropped()?, "{report}");
    assert_eq!(report.sent - report.received, report.lost.len());
    assert!(report.lost.iter().all(|packet| !packet.refused), "the network dropped them, not the sender");
    Ok(())
}

#[test]
fn a_cut_shows_as_a_gap_and_its_end_as_an_answer() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let server = UdpEcho::start(lab.host("web"), (lab.topology().v4("web", "office"), ECHO_PORT))?;
    let probe = EchoProbe::start(lab.host("alice"), server.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;

    let fault = Fault::cut_off(lab.host("router"), "office")?;
    let cut = Instant::now();
    wait::until("40 lost packets", SOON, || probe.so_far().lost_between(cut, Instant::now()) >= 40)?;
    assert_eq!(server.arrived_after(cut), 0);
    assert!(fault.dropped()? >= 40);
    drop(fault);
    let healed = Instant::now();
    probe.wait_answer_after(healed, SOON)?;
    let report = probe.stop()?;

    assert!(report.longest_gap >= Duration::from_millis(250), "{report}");
    assert!(report.lost_between(cut, healed) >= 39, "{report}");
    assert_eq!(report.lost_between(healed + Duration::from_millis(100), Instant::now()), 0, "{report}");
    Ok(())
}

#[test]
fn not_one_packet_is_counted_where_none_arrived() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let web = lab.topology().v4("web", "office");
    let _block = Fault::drop_arriving(lab.host("router"), "ip daddr 10.20.0.10")?;
    let counter = PacketCounter::install(lab.host("web"), "tcp dport 80")?;
    let capture = Capture::start(lab.host("web"), |packet| packet.ports.is_some())?;

    let attempt = tcp_connects(lab.host("alice"), (web, 80).into(), Duration::from_millis(300))?;

    assert_eq!(attempt, Err(ConnectFailure::Silence));
    assert_eq!(counter.packets()?, 0);
    assert_eq!(capture.stop()?, []);
    Ok(())
}

#[test]
fn a_capture_names_source_destination_and_ports() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let (alice, web) = (lab.topology().v4("alice", "wan"), lab.topology().v4("web", "office"));
    let capture = Capture::start(lab.host("web"), move |packet| packet.destination == web)?;

    let attempt = tcp_connects(lab.host("alice"), (web, 81).into(), SOON)?;

    assert_eq!(attempt, Err(ConnectFailure::Refused));
    let packets = capture.stop()?;
    assert_eq!(packets.len(), 1, "one SYN, answered by a reset: {packets:?}");
    assert_eq!((packets[0].source, packets[0].ports.map(|(_, to)| to)), (alice.into(), Some(81)));
    Ok(())
}

#[test]
fn download_probe_notices_a_stall_and_its_end() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let _nginx = Nginx::start(&lab, "web", &[80])?;
    let url = Url::of((lab.topology().v4("web", "office"), 80), nginx::DOWNLOAD);
    let download = Download::start(lab.host("alice"), &url)?;
    download.wait_for_more(1 << 20, SOON)?;

    let fault = Fault::cut_off(lab.host("router"), "office")?;
    let cut = Instant::now();
    let last_byte = download.wait_stalled(Duration::from_millis(400), SOON)?;
    drop(fault);
    download.wait_for_more(1 << 20, SOON)?;
    let report = download.stop()?;

    assert!(last_byte < cut + Duration::from_millis(200), "bytes came {:?} after the cut", last_byte - cut);
    assert!(report.longest_stall >= Duration::from_millis(400), "{report:?}");
    assert_eq!(report.broken, None);
    Ok(())
}

#[test]
fn a_download_whose_server_dies_is_not_running_any_more() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let nginx = Nginx::start(&lab, "web", &[80])?;
    let url = Url::of((lab.topology().v4("web", "office"), 80), nginx::DOWNLOAD);
    let download = Download::start(lab.host("alice"), &url)?;
    download.wait_for_more(1, SOON)?;

    drop(nginx);

    download.wait_stalled(Duration::from_secs(5), SOON)?;
    let error = download.wait_for_more(64 << 20, Duration::from_millis(100)).expect_err("no server, no bytes");
    assert!(error.to_string().contains("stands still"), "{error}");
    Ok(())
}

#[test]
fn a_waiting_request_is_answered_on_the_same_connection_once_it_is_let_through() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let _nginx = Nginx::start(&lab, "web", &[80])?;
    let web = lab.topology().v4("web", "office");
    let block = Fault::drop_arriving(lab.host("router"), "tcp dport 80")?;
    let capture = Capture::start(lab.host("web"), move |packet| packet.destination == web)?;

    let request = WaitingRequest::start(lab.host("alice"), &Url::of((web, 80), "/"), Duration::from_secs(60))?;
    request.must_hang_for(Duration::from_millis(300))?;
    let port = request.local_port();
    drop(block);
    let reply = request.answer(SOON)?;

    assert_eq!((reply.status, reply.body), (200, nginx::page("web", 80)));
    let ports: Vec<_> = capture.stop()?.into_iter().filter_map(|packet| packet.ports).collect();
    assert!(!ports.is_empty() && ports.iter().all(|(from, _)| *from == port), "one connection only: {ports:?}");
    Ok(())
}

#[test]
fn packets_are_counted_by_the_neighbour_that_sent_them() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let text = lab.host("router").output("ip", &["-json", "link", "show", "dev", "office"])?;
    let links: serde_json::Value = serde_json::from_str(&text)?;
    let router = links[0]["address"].as_str().expect("an interface has an address");
    let by_router = PacketCounter::install(lab.host("web"), &format!("ether saddr {router} tcp dport 81"))?;
    let by_others = PacketCounter::install(lab.host("web"), &format!("ether saddr != {router} tcp dport 81"))?;

    let web = lab.topology().v4("web", "office");
    let attempt = tcp_connects(lab.host("alice"), (web, 81).into(), SOON)?;

    assert_eq!(attempt, Err(ConnectFailure::Refused));
    assert_eq!((by_router.packets()?, by_others.packets()?), (1, 0));
    Ok(())
}

#[test]
fn a_scan_hears_every_port_of_an_ordinary_host_and_nothing_of_an_unused_address() -> Result<()> {
    let lab = Lab::start(two_networks())?;
    let router = lab.topology().v4("router", "wan");
    let ordinary = scan_ports(lab.host("alice"), router, &[Flags::Syn])?;
    assert_eq!(ordinary.ports.len(), usize::from(u16::MAX), "each closed TCP port answers with a reset");

    let [a, b, c, _] = router.octets();
    let nobody = scan_ports(lab.host("alice"), [a, b, c, 250].into(), &[Flags::Syn])?;
    assert_eq!(nobody.answers, 0);
    Ok(())
}
