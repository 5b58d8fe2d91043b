//! The thread's own decisions against the running kernel, where they cannot be reached from outside. Needs root.

use std::net::{IpAddr, Ipv4Addr};

use ringwall_actors::ports::{Install, SessionAddresses};
use ringwall_kernel::nft::{Element, Kernel, Message, Rule, Table, mark_and_owner};
use ringwall_protocol::rules::RuleSet;

use super::*;
use crate::firewall::enforcer::Enforcer;
use crate::firewall::enforcer::request::QueuedInstall;
use crate::firewall::ruleset::address_bytes;
use crate::firewall::skeleton::{self, LEASE, SESSIONS4};

/// What a test has of the world around the thread.
struct World {
    config: FirewallConfig,
    events: mpsc::Receiver<FirewallEvent>,
}

/// A thread with its table in a namespace of its own, whose TUN is the loopback interface; its turns are the test's.
fn with_thread(test: impl FnOnce(&mut EnforcerThread, &mut World) + Send + 'static) {
    let body = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("these tests need root");
        let pools = vec!["10.9.0.0/16".parse().expect("a network")];
        let config = FirewallConfig::new("lo".parse().expect("a name"), pools, vec![]);
        let mut kernel = Kernel::open().expect("a socket");
        let table = Table::new(config.table.clone());
        kernel.commit(skeleton::batch(&table, &config)).expect("a kernel of 6.9 or later");
        let readback = ReadBack::of_new_table(&mut kernel, &table).expect("readable");
        let (conntrack, _flows) = std::sync::mpsc::channel();
        let (told, events) = mpsc::channel(16);
        let outside = Outside { events: told, conntrack, knocks: Arc::default(), rule_sets: Arc::default() };
        let (_handle, inbox) = Enforcer::new();
        let kernel = Transactions::new(kernel, table);
        let mut thread = EnforcerThread::new(inbox, kernel, readback, &config, outside);
        test(&mut thread, &mut World { config, events });
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

fn session(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

fn install(n: u8) -> Install {
    Install {
        session: session(n),
        generation: 1,
        checked_at: LogIndex(1),
        user: "CN=alice,OU=local".parse().expect("a DN"),
        addresses: SessionAddresses { v4: Some(Ipv4Addr::new(10, 9, 0, n)), v6: None },
        rules: Arc::new(RuleSet::default()),
        expires_in: Duration::from_secs(3_600),
    }
}

fn admit(thread: &mut EnforcerThread, n: u8) {
    let (reply, mut answer) = oneshot::channel();
    thread.sort(Request::Install(Box::new(QueuedInstall { install: install(n), at: Instant::now(), reply })));
    assert!(thread.turn());
    assert_eq!(answer.try_recv(), Ok(Ok(())));
}

fn renewal() -> LeaseRenewal {
    LeaseRenewal { read_index: LogIndex(0), sent_at: Instant::now(), lease: Duration::from_secs(15) }
}

/// Behind the thread's back, on its own socket: nobody else could.
fn tamper(thread: &mut EnforcerThread, messages: impl IntoIterator<Item = Message>) {
    thread.kernel.commit(messages).expect("the table is ours");
}

#[test]
fn a_removal_overtakes_installs_that_were_asked_before() {
    with_thread(|thread, _| {
        admit(thread, 1);
        let (reply, mut installed) = oneshot::channel();
        thread.sort(Request::Install(Box::new(QueuedInstall { install: install(2), at: Instant::now(), reply })));
        let (reply, mut removed) = oneshot::channel();
        thread.sort(Request::Remove { session: session(1), cut_at: LogIndex(5), reply });
        assert!(thread.turn());
        assert_eq!(removed.try_recv(), Ok(()));
        assert!(installed.try_recv().is_err(), "in a transaction of its own, after the removal");
        assert!(thread.turn());
        assert_eq!(installed.try_recv(), Ok(Ok(())));
    });
}

#[test]
fn a_refused_removal_holds_the_lease_back_and_is_tried_again() {
    with_thread(|thread, world| {
        admit(thread, 1);
        assert!(thread.renew(&renewal()));
        let (reply, mut answer) = oneshot::channel();
        thread.add_tombstone(session(1), LogIndex(5), reply, Instant::now());
        // Without its table the kernel refuses every change.
        let table = thread.kernel.table().clone();
        tamper(thread, [table.destroy()]);
        assert!(thread.turn());
        assert!(answer.try_recv().is_err(), "not answered while the kernel may let packets pass");
        assert_eq!(world.events.try_recv(), Ok(FirewallEvent::RemovalRefused(session(1))));
        let later = LeaseRenewal { lease: Duration::from_secs(30), ..renewal() };
        assert!(!thread.renew(&later), "no lease while a removal is outstanding");
        let skeleton = skeleton::batch(&table, &world.config);
        thread.kernel.reader().0.commit(skeleton).expect("the table is back");
        thread.retry_removals(Instant::now() + Duration::from_secs(1));
        assert_eq!(answer.try_recv(), Ok(()));
        assert!(thread.renew(&LeaseRenewal { lease: Duration::from_secs(40), ..renewal() }));
    });
}

#[test]
fn the_read_back_names_what_was_changed() {
    with_thread(|thread, _| {
        admit(thread, 1);
        assert!(thread.renew(&renewal()));
        assert_eq!(thread.audit(Instant::now()).map(|audit| audit.differences), Ok(vec![]));
        let table = thread.kernel.table().clone();
        let (ours, foreign) = (IpAddr::from([10, 9, 0, 1]), IpAddr::from([10, 9, 0, 66]));
        let mut changes = vec![
            table.delete(SESSIONS4, vec![Element::key(address_bytes(ours))]),
            table.add(
                SESSIONS4,
                vec![Element::key(address_bytes(foreign)).giving(mark_and_owner(1, 1)).expiring(60_000)],
            ),
            table.add(LEASE, vec![Element::key(77u32.to_ne_bytes().to_vec()).expiring(60_000)]),
            table.chain("backdoor"),
        ];
        changes.extend(Rule::in_chain("forward").counter().messages(&table, &mut 0));
        tamper(thread, changes);
        let found = thread.audit(Instant::now()).expect("readable").differences.join("\n");
        for expected in
            ["10.9.0.1 of session", "10.9.0.66 leads", "interface Some(77)", "chain backdoor", "chain forward has"]
        {
            assert!(found.contains(expected), "{expected} is not in: {found}");
        }
    });
}

#[test]
fn a_suspension_ends_the_lease_and_voids_polls_from_before() {
    with_thread(|thread, world| {
        let before = renewal();
        assert!(thread.renew(&before));
        let slept = clock::suspended();
        thread.check_suspension(slept + Duration::from_millis(900));
        assert!(thread.lease.holder(Instant::now()).is_some(), "clocks drift a little");
        thread.check_suspension(slept + Duration::from_secs(3_600));
        assert!(thread.lease.holder(Instant::now()).is_none());
        assert_eq!(world.events.try_recv(), Ok(FirewallEvent::Suspended));
        assert!(!thread.renew(&LeaseRenewal { lease: Duration::from_secs(60), ..before }));
        assert!(thread.renew(&renewal()));
    });
}
