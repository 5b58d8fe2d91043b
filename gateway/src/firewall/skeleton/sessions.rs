//! Packets of sessions: from the tunnel before routing, to the tunnel when they are forwarded.
//!
//! From the tunnel: flows the client began are asked in `up`, answers to flows that others began in `down`. To the
//! tunnel: the mirror image. Nothing else goes in or out, and nothing at all without the lease.

use ringwall_kernel::nft::{Family, FlowDirection, Kept, Rule, Side, TCP, UDP, state};
use ringwall_protocol::rules::Direction;

use super::{Build, DENIED, DOWN, LEASE, SESSIONS4, SESSIONS6, UP, sets};

/// IPv6 extension headers that no client may send: routing (43) and hop-by-hop (0) (T33).
const ROUTING: u8 = 43;
const HOP_BY_HOP: u8 = 0;

/// Flows that one session may have open (T32).
const FLOWS_PER_SESSION: u32 = 4_096;

/// Of the entries of connection tracking, the sessions of one user may have one in so many, per address family (T84).
const SHARE_OF_USER: u32 = 16;

/// Denied packets of one session that are looked at: per second, and at once (T31).
pub(in crate::firewall) const LOGGED_PER_SECOND: u64 = 20;
pub(in crate::firewall) const LOGGED_AT_ONCE: u32 = 50;

/// ICMP errors that are part of a flow: unreachable and too big, time exceeded, parameter problem. Never a redirect.
const ERRORS4: [u8; 3] = [3, 11, 12];
const ERRORS6: [u8; 4] = [1, 2, 3, 4];

pub(super) fn from_client(build: &mut Build<'_>) {
    let tun = build.tun();
    build.rule(Rule::in_chain("prerouting").iifname(&tun).goto("from_client"));
    let strayed =
        |family| Rule::in_chain("prerouting").address_in(family, Side::Source, sets::pool(family)).counter().drop();
    build.rule(strayed(Family::V4).comment("a tunnel address that did not come through the tunnel"));
    build.rule(strayed(Family::V6));

    let here = || Rule::in_chain("from_client");
    build.rule(here().iif_in(LEASE, false).counter().drop().comment("no lease"));
    let known = here().ct_state_none_of(&[state::NEW, state::ESTABLISHED]);
    build.rule(known.counter().drop().comment("invalid, untracked, related"));
    build.rule(here().ipv4_options().counter().drop().comment("IPv4 options"));
    build.rule(here().ipv6_extension(ROUTING).counter().drop());
    build.rule(here().ipv6_extension(HOP_BY_HOP).counter().drop());
    for (direction, chains) in [(FlowDirection::Original, UP), (FlowDirection::Reply, DOWN)] {
        for (family, addresses) in [(Family::V4, SESSIONS4), (Family::V6, SESSIONS6)] {
            build.rule(here().ct_direction(direction).mark_and_jump(family, Side::Source, addresses, chains));
        }
    }
    build.rule(here().goto(DENIED));
}

pub(super) fn forward(build: &mut Build<'_>) {
    let tun = build.tun();
    for family in Family::BOTH {
        let limit = Kept::connections_over(FLOWS_PER_SESSION);
        let fresh = Rule::in_chain("forward").iif_in(LEASE, true).ct_state(state::NEW);
        build.rule(fresh.per_source(family, sets::flows(family), limit).counter().drop());
        let of_user = Kept::connections_over(FLOWS_PER_SESSION.max(build.config.conntrack_entries / SHARE_OF_USER));
        let fresh = Rule::in_chain("forward").iif_in(LEASE, true).ct_state(state::NEW);
        let sessions = family.pick(SESSIONS4, SESSIONS6);
        let bounded = fresh.per_owner(family, sessions, sets::flows_of_users(family), of_user).counter().drop();
        // nft does not print the middle of this rule.
        build.rule(bounded.comment("only above the bound of flows of one user's sessions, counted in userflows"));
    }
    build.rule(Rule::in_chain("forward").oifname(&tun).goto("to_client"));
    let decided = Rule::in_chain("forward").iifname(&tun).iif_in(LEASE, true).accept();
    build.rule(decided.comment("decided in from_client"));

    let here = || Rule::in_chain("to_client");
    build.rule(here().oif_in(LEASE, false).counter().drop().comment("no lease"));
    build.rule(here().ct_state(state::INVALID | state::UNTRACKED).counter().drop());
    let icmp = [Family::V4.icmp(), Family::V6.icmp()];
    build.rule(here().ct_state(state::RELATED).l4proto_in(&icmp, false).counter().drop());
    for (family, errors) in [(Family::V4, &ERRORS4[..]), (Family::V6, &ERRORS6[..])] {
        build.rule(here().ct_state(state::RELATED).icmp_type_in(family, errors, false).counter().drop());
    }
    for (direction, chains) in [(FlowDirection::Reply, UP), (FlowDirection::Original, DOWN)] {
        for (family, addresses) in [(Family::V4, SESSIONS4), (Family::V6, SESSIONS6)] {
            build.rule(here().ct_direction(direction).mark_and_jump(family, Side::Destination, addresses, chains));
        }
    }
    build.rule(here().counter().drop());
}

/// Logs a client's denied packet: once a second per flow, within the session's budget, and drops it.
pub(super) fn denied(build: &mut Build<'_>) {
    let here = |with_port| Rule::in_chain(DENIED).l4proto_in(&[TCP, UDP], with_port);
    let variants = [(Family::V4, true), (Family::V6, true), (Family::V4, false), (Family::V6, false)];
    for (family, with_port) in variants {
        let set = sets::denied_flows(family, with_port);
        build.rule(here(with_port).denied_flow(family, with_port, set, false).drop());
    }
    for family in Family::BOTH {
        let budget = Kept::over(LOGGED_PER_SECOND, LOGGED_AT_ONCE);
        build.rule(Rule::in_chain(DENIED).per_source(family, sets::denials(family), budget).counter().drop());
    }
    for (family, with_port) in variants {
        let set = sets::denied_flows(family, with_port);
        build.rule(here(with_port).denied_flow(family, with_port, set, true));
    }
    let group = build.config.denial_group;
    for (half, direction) in [(FlowDirection::Original, Direction::Up), (FlowDirection::Reply, Direction::Down)] {
        build.rule(Rule::in_chain(DENIED).ct_direction(half).log(direction, group));
    }
    build.rule(Rule::in_chain(DENIED).counter().drop());
}
