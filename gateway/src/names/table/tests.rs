//! Tests of the table of names.

use ringwall_protocol::name::{ProviderName, UserName};

use super::*;

const EVERY: Duration = Duration::from_mins(1);

fn session(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

fn user(name: &str) -> UserDn {
    UserDn { user: UserName::parse(name).expect("a name"), provider: ProviderName::parse("local").expect("a name") }
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
    assert!(table.want(session(1), &user("alice"), [web(), below()].into(), now).is_empty());
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
    table.want(session(2), &user("bob"), [web()].into(), now);
    assert_eq!(table.len(), 1);
    assert!(table.forget(session(1), now).is_empty());
    let gone = table.want(session(2), &user("bob"), BTreeSet::new(), now);
    assert_eq!(gone, [Change { subject: everybody(), addresses: vec![] }]);
    assert_eq!((table.len(), table.next()), (0, None));
    assert_eq!(table.answered(&everybody(), found(1, 1), EVERY, now), None, "an answer that comes too late");
}

#[test]
fn what_a_session_asked_for_is_its_own_and_lingers() {
    let now = Instant::now();
    let mut table = asking(now);
    table.want(session(2), &user("bob"), [below()].into(), now);
    let told = table.told(session(1), "www.corp.example", (&[ip(7)], Duration::from_secs(60)), now);
    assert_eq!(told, [(ip(7), Duration::from_secs(60) + LINGER)]);
    assert_eq!(table.known_as(session(1), ip(7), now), [below()].into());
    assert!(table.known_as(session(2), ip(7), now).is_empty());
    let later = now + Duration::from_secs(60);
    let own = Subject::Session(session(1), "www.corp.example".to_owned());
    assert!(table.due(later, 10).contains(&own));
    let change = table.answered(&own, found(8, 60), EVERY, later).expect("a change");
    assert_eq!(change.addresses.len(), 2, "the former answer's address lingers");
    table.forget(session(1), later);
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

#[test]
fn sessions_of_one_user_share_a_bound_and_others_are_asked_for_as_before() {
    let now = Instant::now();
    let mut table = NameTable::default();
    table.want(session(99), &user("bob"), [below()].into(), now);
    table.told(session(99), "www.corp.example", (&[ip(9)], EVERY), now);
    for n in 0..16 {
        table.want(session(n), &user("alice"), [below()].into(), now);
        for name in 0..MAX_ASKED {
            let at = now + Duration::from_millis(u64::from(n) * 1_000 + name as u64);
            table.told(session(n), &format!("n{name}.corp.example"), (&[ip(7)], EVERY), at);
        }
    }
    assert_eq!(table.len(), MAX_ASKED_BY_USER + 1);
    assert!(table.asked_by(session(0)).next().is_none(), "the oldest made room");
    assert_eq!(table.asked_by(session(15)).count(), MAX_ASKED);
    assert_eq!(table.known_as(session(99), ip(9), now), [below()].into());
    assert_eq!(table.turned_away(), 0);
}

#[test]
fn names_that_clients_ask_for_take_no_room_from_names_of_entitlements() {
    let now = Instant::now();
    let mut table = NameTable::default();
    for n in 0..64_u8 {
        for name in 0..MAX_ASKED {
            let asked = Subject::Session(session(n), format!("n{name}.corp.example"));
            table.entries.insert(asked, Entry::new([session(n)].into(), None, now));
        }
    }
    table.want(session(99), &user("bob"), [web()].into(), now);
    assert_eq!(table.due(now, 10), [everybody()]);
}

#[test]
fn a_session_whose_name_found_no_room_takes_none_away_and_gets_the_next() {
    let now = Instant::now();
    let mut table = NameTable::default();
    let many = (0..MAX_NAMES).map(|n| Host::Name(format!("n{n}.example"))).collect();
    table.want(session(1), &user("alice"), many, now);
    table.want(session(2), &user("bob"), [web()].into(), now);
    table.want(session(3), &user("carol"), [web()].into(), now);
    assert_eq!((table.len(), table.turned_away()), (MAX_NAMES, 2));
    assert!(table.forget(session(3), now).is_empty());
    assert_eq!(table.forget(session(1), now).len(), MAX_NAMES);
    assert_eq!(table.due(now, 10), [everybody()], "the one that waited");
    // Was never among those whose place session 2 now has.
    assert!(table.forget(session(3), now).is_empty());
    assert_eq!(table.forget(session(2), now), [Change { subject: everybody(), addresses: vec![] }]);
    assert!(table.waiting.is_empty() && table.users.is_empty() && table.shared == 0);
}

#[test]
fn an_address_that_may_be_reached_no_longer_is_taken_away_at_once() {
    let now = Instant::now();
    let mut table = asking(now);
    table.answered(&everybody(), Outcome::Found(vec![ip(1), ip(2)], EVERY), EVERY, now);
    let changes = table.judge_again(|address| address != ip(1), now);
    assert_eq!(changes, [Change { subject: everybody(), addresses: vec![(ip(2), EVERY + HOLD)] }]);
    assert!(table.judge_again(|address| address != ip(1), now).is_empty());
}

#[test]
fn a_refused_answer_is_told_to_who_wants_the_name_when_it_changes() {
    let now = Instant::now();
    let mut table = asking(now);
    let refused = Some((ip(1), NameRefusal::OutsideSite));
    assert_eq!(table.refused(&everybody(), refused), [session(1)]);
    assert!(table.refused(&everybody(), refused).is_empty());
    assert!(table.refused(&everybody(), None).is_empty());
    assert_eq!(table.refused(&everybody(), refused), [session(1)]);
}
