//! The natural end of tokens under traffic, every packet accounted for: where renewal is possible nothing is lost, and where
//! it is not nothing passes any more.

use std::{
    io::{self, Write},
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        fault::Fault,
        probe::{EchoProbe, PacketCounter},
        servers::UdpEcho,
        wait,
    },
    product::{GatewayKernel, HeldTokens, instant_of},
};

use crate::stage::{self, ALICE, CONTROLLER, GATEWAY, SITE, SOON, Stage};

/// The UDP echo service on the protected host.
const ECHO: u16 = 7;
/// The shortest life that a token can be given, with room.
const A_LIFE: Duration = Duration::from_secs(90);
/// How long after the end of a token a packet may pass: the grain of the kernel's timeouts (docs/security.md).
const TOLERANCE: Duration = Duration::from_millis(100);
/// Packets that are sent after the end, at 100 a second.
const AFTERWARDS: usize = 500;

fn state(claims_minutes: u32, entitlement_minutes: u32) -> String {
    let settings =
        format!("claimsTokenExpiration: {claims_minutes}\nentitlementTokenExpiration: {entitlement_minutes}");
    stage::with_settings(&settings, stage::ECHO)
}

/// An echo behind the Gateway, and its packets as the protected host's kernel counts them.
struct Traffic {
    server: UdpEcho,
    probe: EchoProbe,
    arrivals: PacketCounter,
}

impl Traffic {
    fn start(lab: &Lab, stage: &Stage<'_>) -> Result<Self> {
        let arrivals = PacketCounter::install(lab.host("web1"), &format!("udp dport {ECHO}"))?;
        let server = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), ECHO))?;
        let probe = EchoProbe::start(lab.host(ALICE), server.address())?;
        probe.wait_answer_after(Instant::now(), SOON)?;
        Ok(Self { server, probe, arrivals })
    }

    /// Packets of the probe that arrived although they were sent after a moment.
    fn late(&self, moment: Instant) -> usize {
        let arrivals = self.server.arrivals();
        let sent = arrivals.iter().filter_map(|one| self.probe.sent_at(self.probe.sequence_of(&one.payload)?));
        sent.filter(|sent| *sent > moment).count()
    }

    /// When the last packet that arrived was sent.
    fn last_sent(&self) -> Option<Instant> {
        let arrivals = self.server.arrivals();
        arrivals.iter().filter_map(|one| self.probe.sent_at(self.probe.sequence_of(&one.payload)?)).max()
    }
}

/// Waits for a moment of the wall clock: the end of a token is one.
pub(crate) fn wait_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

#[test]
fn tokens_are_renewed_over_their_natural_ends_and_not_one_packet_is_lost() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::start(&lab, &state(1, 1))?;
    let traffic = Traffic::start(&lab, &stage)?;
    let first = stage.client.tokens()?;
    for _ in 0..2 {
        let before = stage.client.tokens()?;
        wait_until(instant_of(before.last_end() + 1));
        let now = stage.client.tokens()?;
        ensure!(now.first_end() > before.last_end(), "a token was not replaced before its end");
        traffic.probe.wait_answer_after(Instant::now(), SOON)?;
    }
    ensure!(stage.client.tokens()?.claims.head.sid == first.claims.head.sid, "it is the same sign-in");
    let report = traffic.probe.stop()?;
    ensure!(report.lost.is_empty() && report.duplicates == 0, "packets were lost: {report}, {:?}", report.lost);
    let counted = traffic.arrivals.packets()?;
    ensure!(counted == u64::try_from(report.sent)?, "{counted} of {} packets arrived", report.sent);
    no_errors(&lab)
}

#[test]
fn after_the_natural_end_of_a_claims_token_not_one_packet_passes() -> Result<()> {
    ends_all_traffic(&state(1, 60), |tokens| {
        let entitlement = tokens.site(SITE)?.head.exp;
        ensure!(tokens.claims.head.exp + 60 < entitlement, "the claims token ends first: {tokens:?}");
        Ok(tokens.claims.head.exp)
    })
}

#[test]
fn after_the_natural_end_of_an_entitlement_token_not_one_packet_passes() -> Result<()> {
    ends_all_traffic(&state(60, 1), |tokens| {
        let entitlement = tokens.site(SITE)?.head.exp;
        ensure!(entitlement + 60 < tokens.claims.head.exp, "the entitlement token ends first: {tokens:?}");
        Ok(entitlement)
    })
}

/// Traffic until the end of a token that cannot be renewed, and far beyond; `end` tells it, in seconds since 1970.
fn ends_all_traffic(state: &str, end: impl Fn(&HeldTokens) -> Result<u64>) -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::start(&lab, state)?;
    let traffic = Traffic::start(&lab, &stage)?;
    // No Controller can be reached any more: the Client keeps what it has. The Gateway has its Controller, and its lease.
    let controller = lab.topology().v4(CONTROLLER, "wan");
    let fault = Fault::drop_leaving(lab.host(ALICE), &format!("ip daddr {controller}"))?;
    let tokens = stage.client.tokens()?;
    let tunnel: IpAddr = tokens.claims.tun_ipv4.context("a tunnel address")?.into();
    let end = instant_of(end(&tokens)?);
    ensure!(end > Instant::now() && end < Instant::now() + A_LIFE, "the token ends within {A_LIFE:?}");

    wait_until(end - Duration::from_secs(1));
    traffic.probe.wait_answer_after(end - Duration::from_secs(1), SOON)?;
    ensure!(GatewayKernel::read(lab.host(GATEWAY))?.rules_of(tunnel).is_some(), "the session's rules are in force");
    wait_until(end + TOLERANCE);
    // What was sent before is through, or is not.
    wait_until(end + TOLERANCE + Duration::from_millis(500));
    let counted = traffic.arrivals.packets()?;
    let sent = traffic.probe.so_far().sent;
    wait::until("more packets to be sent", SOON + SOON, || traffic.probe.so_far().sent >= sent + AFTERWARDS)?;
    ensure!(traffic.arrivals.packets()? == counted, "packets passed long after the end");
    let late = traffic.late(end + TOLERANCE);
    ensure!(late == 0, "{late} packets that were sent after the token's end arrived");
    let last = traffic.last_sent().context("packets arrived")?;
    // It was the end of the token that ended the traffic, and nothing before.
    ensure!(end.saturating_duration_since(last) < Duration::from_secs(1), "the traffic ended {:?} early", end - last);
    ensure!(
        GatewayKernel::read(lab.host(GATEWAY))?.rules_of(tunnel).is_none(),
        "the kernel holds rules of the session"
    );
    ensure!(fault.dropped()? > 0, "the Client tried to renew");
    ensure!(
        stage.client.tokens()?.first_end() == tokens.first_end(),
        "a token was renewed although no Controller can be reached"
    );
    let report = traffic.probe.stop()?;
    let counted_by_server = traffic.server.arrivals().len();
    ensure!(u64::try_from(counted_by_server)? == traffic.arrivals.packets()?, "the server's count is the kernel's");
    let refused = report.lost.iter().filter(|lost| lost.refused).count();
    writeln!(
        io::stderr(),
        "{} packets sent, {counted_by_server} arrived, the last one sent {:?} before the end; {refused} were refused by the \
         device itself",
        report.sent,
        end.saturating_duration_since(last),
    )?;
    no_errors(&lab)
}

fn no_errors(lab: &Lab) -> Result<()> {
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}
