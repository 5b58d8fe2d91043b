//! The knock keys of two Gateways of one Site, on real packets: each opens its own Gateway and nothing at the other.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        namespace::Namespace,
        probe::{ConnectFailure, http_get, tcp_connects},
        servers::nginx,
        wait,
    },
    product::{Gateway, GatewayKernel, gateway},
};
use ringwall_protocol::{spa::Service, time::UnixMillis, token::GatewayOffer};
use ringwall_trust::{
    secret::SystemRandom,
    spa::{Destination, KnockRequest, KnockSecret, SpaKey},
};

use crate::stage::{self, ALICE, GATEWAY, OTHER_GATEWAY, PATIENCE, SITE, SOON, Stage};

const ACCEPTED: &str = "ringwall_knocks_total";
const REFUSED: &str = "ringwall_knocks_refused_total";

/// A Gateway, and what the user's token says of it.
struct Door<'a> {
    gateway: &'a Gateway,
    host: &'a Namespace,
    at: SocketAddr,
    key: KnockSecret,
}

/// What a Gateway counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    accepted: u64,
    unknown: u64,
    refused: u64,
}

impl Door<'_> {
    fn counted(&self) -> Result<Counted> {
        Ok(Counted {
            accepted: self.gateway.counter(ACCEPTED, "")?,
            unknown: self.gateway.counter(REFUSED, "unknown hint")?,
            refused: self.gateway.counter(REFUSED, "")?,
        })
    }
}

/// Knocks from a host at a place with some key, for one connection.
fn knock(from: &Namespace, at: SocketAddr, key: &KnockSecret) -> Result<()> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = UnixMillis(u64::try_from(since.as_millis())?);
    let request = KnockRequest { service: Service::Tunnel, destination: Destination::of(at), now };
    let packet = request.packet(&SpaKey::of(key), 1, &SystemRandom);
    from.enter(|| UdpSocket::bind("0.0.0.0:0")?.send_to(&packet, at))?.context("send the knock").map(drop)
}

fn key_of(offer: &GatewayOffer) -> Result<KnockSecret> {
    Ok(offer.spa_key.as_deref().context("the token holds a key for the Gateway")?.parse()?)
}

#[test]
fn the_key_of_one_gateway_opens_nothing_at_the_other_and_its_own_gateway() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let mut stage = Stage::found(&lab, &stage::with_settings("spaMode: UDP-TCP", stage::PAGE))?;
    for host in [GATEWAY, OTHER_GATEWAY] {
        stage.add_gateway(host)?;
    }
    stage.sign_in()?;
    let reply = http_get(lab.host(ALICE), &stage.page("web1", 80), SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");

    let tokens = stage.client.tokens()?;
    let door = |gateway| -> Result<Door<'_>> {
        let name = Gateway::host(gateway);
        let at = (IpAddr::from(lab.topology().v4(name, "wan")), gateway::CLIENT_PORT).into();
        Ok(Door { gateway, host: lab.host(name), at, key: key_of(tokens.gateway(SITE, name)?)? })
    };
    let doors = [door(&stage.gateways[0])?, door(&stage.gateways[1])?];
    // The tunnel that carried the page was opened by the token's key: nothing else opens this port.
    let status = stage.client.status()?;
    let carrier = status.sites[0].gateway.as_deref().context("a Gateway carries the session")?;
    let carrying = doors.iter().find(|door| door.gateway.host() == carrier).context("one of the two")?;
    ensure!(carrying.counted()?.accepted > 0, "{carrier} heard no right knock");

    let stranger = lab.host("stranger");
    let source = IpAddr::from(lab.topology().v4("stranger", "wan"));
    let open = |door: &Door<'_>| GatewayKernel::read(door.host).map(|kernel| kernel.is_open_for(source));
    for (own, other) in [(&doors[0], &doors[1]), (&doors[1], &doors[0])] {
        let before = other.counted()?;
        knock(stranger, other.at, &own.key)?;
        let after = wait::until_ok("the wrong knock to be counted", SOON, || {
            let counted = other.counted()?;
            ensure!(counted != before, "nothing was counted: {counted:?}");
            Ok(counted)
        })?;
        let expected = Counted { unknown: before.unknown + 1, refused: before.refused + 1, ..before };
        ensure!(after == expected, "{after:?} after {before:?}");
        ensure!(!open(other)?, "a wrong key opened {}", other.gateway.host());
        let attempt = tcp_connects(stranger, other.at, PATIENCE)?;
        ensure!(attempt == Err(ConnectFailure::Silence), "{}: {attempt:?}", other.gateway.host());

        let before = own.counted()?;
        knock(stranger, own.at, &own.key)?;
        wait::until_ok("the right knock to open the port", SOON, || {
            ensure!(open(own)?, "the kernel holds no pinhole");
            Ok(())
        })?;
        let attempt = tcp_connects(stranger, own.at, PATIENCE)?;
        ensure!(attempt.is_ok(), "{}: {attempt:?}", own.gateway.host());
        let expected = Counted { accepted: before.accepted + 1, ..before };
        ensure!(own.counted()? == expected, "{:?} after {before:?}", own.counted()?);
        ensure!(!open(other)?, "the right knock at one Gateway opened the other");
        wait::until_ok("the end of the pinhole", SOON + SOON, || {
            ensure!(!open(own)?, "nothing was proved within 10 s, and the port is still open");
            Ok(())
        })?;
    }
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}
