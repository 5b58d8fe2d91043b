//! Tests of the table of names.

use super::*;

const EVERY: Duration = Duration::from_mins(1);

fn session(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 1, 0, last])
}

fn web() -> Host {
    Host::Name("web.example".to_owned())
}

fn below() -> Host {
    Host::Domain("corp.example".to_owned())
}

fn everybody() -> Subject {
    Subject::Everybody("web.example".to_owned())
}

fn found(last: u8, seconds: u64) -> Outcome {
    Outcome::Found(vec![ip(last)], Duration::from_secs(seconds))
}

/// A table in which session 1 wants `web.example`, which was just asked for.
fn asking(now: Instant) -> NameTable {
    let mut table = NameTable::default();
    assert!(table.want(session(1), [web(), below()].into(), now).is_empty());
    assert_eq!(table.due(now, 10), [everybody()], "a domain is nothing to be asked for");
    table
}

#[test]
fn a_name_is_asked_again_when_its_time_is_over_but_not_below_the_floor_or_above_the_interval() {
    let now = Instant::now();
    for (ttl, wait) in [(0, 5), (20, 20), (86_400, 60)] {
        let mut table = asking(now);
        let change = table.answered(&everybody(), found(1, ttl), EVERY, now).expect("a change");
        assert_eq!(change.addresses, [(ip(1), Duration::from_secs(wait) + HOLD)]);
        assert_eq!(table.next(), Some(now + Duration::from_secs(wait)));
    }
}

#[test]
fn an_address_that_the_answer_no_longer_names_is_gone_at_once() {
    let now = Instant::now();
    let mut table = asking(now);
    table.answered(&everybody(), found(1, 30), EVERY, now);
    let later = now + Duration::from_secs(30);
    assert_eq!(table.due(later, 10), [everybody()]);
    let change = table.answered(&everybody(), found(2, 30), EVERY, later).expect("a change");
    assert_eq!(change.addresses.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [ip(2)]);
    assert!(table.known_as(session(1), ip(1), later).is_empty());
    assert_eq!(table.known_as(session(1), ip(2), later), [web()].into());
}

#[test]
fn when_name_servers_fail_the_last_answer_holds_for_its_time_and_no_longer() {
    let now = Instant::now();
    let mut table = asking(now);
    table.answered(&everybody(), found(1, 30), EVERY, now);
    let end = now + Duration::from_secs(30) + HOLD;
    let mut at = now;
    for _ in 0..50 {
        at = table.next().expect("asked again and again");
        assert_eq!(table.due(at, 10), [everybody()]);
        assert_eq!(table.answered(&everybody(), Outcome::Failed, EVERY, at), None);
        assert_eq!(table.known_as(session(1), ip(1), at).is_empty(), at >= end);
        assert!(table.next().expect("again") <= at + LONGEST_RETRY);
    }
    assert!(at > end, "the test saw the end");
}

#[test]
fn a_name_that_does_not_exist_any_more_stands_for_nothing_at_once() {
    let now = Instant::now();
    let mut table = asking(now);
    table.answered(&everybody(), found(1, 30), EVERY, now);
    let change = table.answered(&everybody(), Outcome::Absent, EVERY, now).expect("a change");
    assert!(change.addresses.is_empty());
    assert_eq!(table.answered(&everybody(), Outcome::Absent, EVERY, now), None, "told once");
}

#[test]
fn an_answer_with_nothing_that_may_be_reached_is_no_answer() {
    let now = Instant::now();
    let mut table = asking(now);
    table.answered(&everybody(), found(1, 30), EVERY, now);
    let nothing = Outcome::Found(vec![], Duration::from_secs(30));
    assert!(table.answered(&everybody(), nothing, EVERY, now).expect("a change").addresses.is_empty());
}

#[test]
fn a_name_is_shared_and_lives_as_long_as_its_last_session() {
    let now = Instant::now();
    let mut table = asking(now);
    table.want(session(2), [web()].into(), now);
    assert_eq!(table.len(), 1);
    assert!(table.forget(session(1)).is_empty());
    let gone = table.want(session(2), BTreeSet::new(), now);
    assert_eq!(gone, [Change { subject: everybody(), addresses: vec![] }]);
    assert_eq!((table.len(), table.next()), (0, None));
    assert_eq!(table.answered(&everybody(), found(1, 1), EVERY, now), None, "an answer that comes too late");
}

#[test]
fn what_a_session_asked_for_is_its_own_and_lingers() {
    let now = Instant::now();
    let mut table = asking(now);
    table.want(session(2), [below()].into(), now);
    let told = table.told(session(1), "www.corp.example", (&[ip(7)], Duration::from_secs(60)), now);
    assert_eq!(told, [(ip(7), Duration::from_secs(60) + LINGER)]);
    assert_eq!(table.known_as(session(1), ip(7), now), [below()].into());
    assert!(table.known_as(session(2), ip(7), now).is_empty());
    let later = now + Duration::from_secs(60);
    let own = Subject::Session(session(1), "www.corp.example".to_owned());
    assert!(table.due(later, 10).contains(&own));
    let change = table.answered(&own, found(8, 60), EVERY, later).expect("a change");
    assert_eq!(change.addresses.len(), 2, "the former answer's address lingers");
    table.forget(session(1));
    assert_eq!(table.answered(&own, found(9, 60), EVERY, later), None);
    assert!(table.told(session(1), "www.corp.example", (&[ip(7)], EVERY), later).is_empty(), "the session has ended");
}

#[test]
fn a_session_cannot_make_the_gateway_ask_for_more_than_its_share() {
    let now = Instant::now();
    let mut table = asking(now);
    for n in 0..2 * MAX_ASKED {
        let at = now + Duration::from_millis(n as u64);
        table.told(session(1), &format!("n{n}.corp.example"), (&[ip(7)], EVERY), at);
    }
    assert_eq!(table.len(), MAX_ASKED + 1);
    assert_eq!(table.schedule.len(), MAX_ASKED, "nothing is left behind in the schedule");
    for n in 0..2 * MAX_ASKED {
        let kept = table.entries.contains_key(&Subject::Session(session(1), format!("n{n}.corp.example")));
        assert_eq!(kept, n >= MAX_ASKED, "{n}");
    }
}
