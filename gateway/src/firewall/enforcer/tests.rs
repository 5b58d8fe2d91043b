//! The thread's own decisions against the running kernel, where they cannot be reached from outside. Needs root.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::rules::RuleSet;

use super::*;
use crate::firewall::batch::Batch;
use crate::firewall::config::FirewallConfig;
use crate::firewall::kernel::Kernel;
use crate::firewall::objects::{Element, Message, Table};
use crate::firewall::readback;
use crate::firewall::rule::Rule;
use crate::firewall::ruleset::{address_bytes, session_element};
use crate::firewall::skeleton::{self, LEASE, SESSIONS4};
use crate::firewall::slots::Mark;

/// A worker with its table in a namespace of its own, whose TUN is the loopback interface.
fn with_worker(test: impl FnOnce(&mut Worker, &mut tokio::sync::mpsc::Receiver<FirewallEvent>) + Send + 'static) {
    let body = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("these tests need root");
        let pools = vec!["10.9.0.0/16".parse().expect("a network")];
        let config = FirewallConfig::new("lo".parse().expect("a name"), pools, vec![]);
        let mut kernel = Kernel::open().expect("a socket");
        let table = Table::new(config.table.clone());
        kernel.commit(skeleton::batch(&table, &config)).expect("a kernel of 6.9 or later");
        let baseline = readback::baseline(&mut kernel, &table).expect("readable");
        let (conntrack, _flows) = mpsc::channel();
        let (events, mut noticed) = tokio::sync::mpsc::channel(16);
        let (knocks, rule_sets) = (Arc::default(), Arc::default());
        let mut worker = Worker::new(Parts { kernel, table, config, baseline, conntrack, events, knocks, rule_sets });
        test(&mut worker, &mut noticed);
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

fn session(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

fn admit(worker: &mut Worker, n: u8) {
    let (reply, mut answer) = oneshot::channel();
    let install = Install {
        session: session(n),
        generation: 1,
        checked_at: LogIndex(1),
        addresses: SessionAddresses { v4: Some(Ipv4Addr::new(10, 9, 0, n)), v6: None },
        rules: Arc::new(RuleSet::default()),
        expires_in: Duration::from_secs(3_600),
    };
    let (_handle, queue) = Enforcer::new();
    worker.backlog.push_back(Request::Install(Box::new(QueuedInstall { install, at: Instant::now(), reply })));
    worker.installs(&queue);
    assert_eq!(answer.try_recv(), Ok(Ok(())));
}

fn renewal() -> LeaseRenewal {
    LeaseRenewal { read_index: LogIndex(0), sent_at: Instant::now(), lease: Duration::from_secs(15) }
}

/// Behind the worker's back, on its own socket: nobody else could.
fn tamper(worker: &mut Worker, messages: impl IntoIterator<Item = Message>) {
    let batch: Batch = messages.into_iter().collect();
    worker.kernel.commit(batch).expect("the table is ours");
}

#[test]
fn a_refused_removal_holds_the_lease_back_and_is_tried_again() {
    with_worker(|worker, events| {
        admit(worker, 1);
        assert!(worker.renew(&renewal()));
        let (reply, mut answer) = oneshot::channel();
        worker.add_tombstone(session(1), LogIndex(5), reply);
        // Without its table the kernel refuses every change.
        let table = worker.table.clone();
        tamper(worker, [table.destroy()]);
        worker.cut();
        assert!(answer.try_recv().is_err(), "not answered while the kernel may let packets pass");
        assert_eq!(events.try_recv(), Ok(FirewallEvent::RemovalRefused(session(1))));
        let later = LeaseRenewal { lease: Duration::from_secs(30), ..renewal() };
        assert!(!worker.renew(&later), "no lease while a removal is outstanding");
        let config = worker.config.clone();
        worker.kernel.commit(skeleton::batch(&table, &config)).expect("the table is back");
        worker.retry_cuts(Instant::now() + Duration::from_secs(1));
        assert_eq!(answer.try_recv(), Ok(()));
        assert!(worker.renew(&LeaseRenewal { lease: Duration::from_secs(40), ..renewal() }));
    });
}

#[test]
fn the_read_back_names_what_was_changed() {
    with_worker(|worker, _| {
        admit(worker, 1);
        assert!(worker.renew(&renewal()));
        assert_eq!(worker.audit().map(|audit| audit.differences), Ok(vec![]));
        let table = worker.table.clone();
        let (ours, foreign) = (IpAddr::from([10, 9, 0, 1]), IpAddr::from([10, 9, 0, 66]));
        let mut changes = vec![
            table.delete(SESSIONS4, vec![Element::key(address_bytes(ours))]),
            table.add(SESSIONS4, vec![session_element(foreign, Mark(1), 60_000)]),
            table.add(LEASE, vec![Element::key(77u32.to_ne_bytes().to_vec()).expiring(60_000)]),
            table.chain("backdoor"),
        ];
        changes.extend(Rule::in_chain("forward").counter().messages(&table, &mut 0));
        tamper(worker, changes);
        let found = worker.audit().expect("readable").differences.join("\n");
        for expected in
            ["10.9.0.1 of session", "10.9.0.66 leads", "interface Some(77)", "chain backdoor", "chain forward has"]
        {
            assert!(found.contains(expected), "{expected} is not in: {found}");
        }
    });
}

#[test]
fn a_suspension_ends_the_lease_and_voids_polls_from_before() {
    with_worker(|worker, events| {
        let before = renewal();
        assert!(worker.renew(&before));
        let slept = worker.suspended;
        worker.check_suspension(slept + Duration::from_millis(900));
        assert!(worker.lease.holds(Instant::now()), "clocks drift a little");
        worker.check_suspension(slept + Duration::from_secs(3_600));
        assert!(!worker.lease.holds(Instant::now()));
        assert_eq!(events.try_recv(), Ok(FirewallEvent::Suspended));
        assert!(!worker.renew(&LeaseRenewal { lease: Duration::from_secs(60), ..before }));
        assert!(worker.renew(&renewal()));
    });
}
