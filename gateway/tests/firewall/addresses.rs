//! Who stands at an address, one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use ringwall_actors::ports::{InstallError, RuleEnforcer};
use ringwall_protocol::id::LogIndex;

use crate::lab::{Lab, addresses, allow_everything, client, client6, in_namespace, install, server, server6, session};
use crate::packets::udp;

#[test]
fn next_owner_never_sees_old_replies() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.admit(7, &allow_everything()).expect("new");
        lab.hold_lease(Duration::from_secs(60));
        let flows =
            [(SocketAddr::new(client(7), 4_000), server(53)), (SocketAddr::new(client6(7), 4_000), server6(53))];
        for (client, server) in flows {
            assert!(lab.client_reaches(&udp(client, server, b"question")));
        }
        lab.cut(7);
        let mut next = install(8, 1, &allow_everything());
        next.addresses = addresses(7);
        lab.install(next).expect("the address is given out once its flows are forgotten");
        for (client, server) in flows {
            assert!(!lab.server_reaches(&udp(server, client, b"a late answer to the former owner")));
            assert!(lab.client_reaches(&udp(client, server, b"the new owner's own question")));
            assert!(lab.server_reaches(&udp(server, client, b"answer")));
        }
    });
}

#[test]
fn an_address_belongs_to_one_session() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.admit(7, &allow_everything()).expect("new");
        let mut second = install(8, 1, &allow_everything());
        second.addresses.v6 = addresses(7).v6;
        assert_eq!(lab.install(second), Err(InstallError::AddressHeld(client6(7))));
        lab.admit(7, &allow_everything()).expect_err("the first one stands, with its generation");
    });
}

#[test]
fn a_session_that_moves_leaves_its_address_behind() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(Duration::from_secs(60));
        lab.admit(7, &allow_everything()).expect("new");
        let mut moved = install(7, 2, &allow_everything());
        moved.addresses = addresses(9);
        lab.install(moved).expect("newer");
        let (old, new) = (SocketAddr::new(client(7), 1), SocketAddr::new(client(9), 1));
        assert!(!lab.client_reaches(&udp(old, server(80), b"from the old address")));
        assert!(lab.client_reaches(&udp(new, server(80), b"from the new address")));
    });
}

#[test]
fn many_addresses_are_forgotten_together() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(Duration::from_secs(60));
        for n in 1..=40 {
            lab.admit(n, &allow_everything()).expect("new");
            assert!(lab.client_reaches(&udp(SocketAddr::new(client(n), 4_000), server(53), b"question")));
        }
        let cuts: Vec<_> = (1..=40).map(|n| lab.enforcer.remove(session(n), LogIndex(0))).collect();
        for cut in cuts {
            cut.blocking_recv().expect("the enforcer lives");
        }
        for n in 1..=40 {
            let mut next = install(100 + n, 1, &allow_everything());
            next.addresses = addresses(n);
            lab.install(next).expect("free again");
            let (client, server) = (SocketAddr::new(client(n), 4_000), server(53));
            assert!(!lab.server_reaches(&udp(server, client, b"a late answer")));
        }
    });
}
