//! Any commands in any order: every Controller comes to the same state, refused ones change nothing, and what must never
//! happen does not: an address with two holders, a revocation that goes back, a command that is carried out twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringwall_protocol::feed::FeedView;
use ringwall_protocol::id::{CommandId, LogIndex, NodeId};
use ringwall_protocol::membership::KeyState;
use ringwall_protocol::time::UnixMillis;

use super::choices::Choices;
use crate::codec::decode;
use crate::state::address::Taken;
use crate::state::{Transition, apply};
use crate::{Command, CommandEnvelope, Reply, State};

/// Commands that are kept to come again.
const KEPT: usize = 32;

/// Steps: an envelope as MessagePack, a command that came before, an envelope that came before, time.
#[must_use]
pub fn commands(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let (mut state, mut now, mut number) = (State::default(), UnixMillis(1_800_000_000_000), 0_u128);
    let mut known: Vec<(CommandEnvelope, Reply)> = vec![];
    let mut accepted = 0;
    while !choices.is_over() {
        let step = choices.below(4);
        let (envelope, before) = match step {
            0 | 1 => match decode::<CommandEnvelope>(choices.long_piece()) {
                Ok(envelope) => (envelope, None),
                Err(_) => continue,
            },
            2 => {
                now = now.plus(Duration::from_mins(u64::from(choices.byte()) * 15));
                number += 1;
                let id = CommandId::from_random(number.to_be_bytes());
                let Some((former, _)) = some(&known, choices.byte()) else { continue };
                (CommandEnvelope::new(id, NodeId(1), now, former.command.clone()), None)
            }
            _ => match some(&known, choices.byte()) {
                Some((former, reply)) => (former.clone(), Some(reply.clone())),
                None => continue,
            },
        };
        let next = step_of(&state, &envelope);
        if let Some(reply) = before {
            let forgotten = envelope.proposed_at.plus(Duration::from_hours(24)) <= now;
            assert!(next.outcome.reply == reply || forgotten, "the same command is answered otherwise");
        }
        let reply = next.outcome.reply.clone();
        accepted += usize::from(!matches!(reply, Reply::Refused(_)));
        if known.len() < KEPT {
            known.push((envelope, reply));
        }
        state = next.state;
    }
    accepted > 0
}

fn some(known: &[(CommandEnvelope, Reply)], choice: u8) -> Option<&(CommandEnvelope, Reply)> {
    known.get(usize::from(choice) % known.len().max(1))
}

/// One entry, with all that has to hold before and after it.
fn step_of(state: &State, envelope: &CommandEnvelope) -> Transition {
    let index = LogIndex(state.index().0 + 1);
    let next = apply(state, index, envelope);
    let read = State::from_bytes(&state.to_bytes().expect("written")).expect("read");
    let elsewhere = apply(&read, index, envelope);
    assert_eq!(next.state.digest(), elsewhere.state.digest(), "two Controllers differ after {envelope}");
    assert!(next.outcome.reply == elsewhere.outcome.reply && next.events == elsewhere.events);
    assert_eq!(next.state.index(), index);
    if let Reply::Refused(_) = &next.outcome.reply {
        assert!(next.events.is_empty(), "a refused command is told to Gateways");
        let same = next.state.objects() == state.objects()
            && next.state.revocations() == state.revocations()
            && next.state.addresses() == state.addresses();
        assert!(same, "a refused command changed something");
    }
    addresses_have_one_holder(&next.state);
    revocations_only_move_on(state, &next.state, &envelope.command);
    keys_stay_removed(state, &next.state);
    views_follow(state, &next);
    next
}

fn addresses_have_one_holder(state: &State) {
    let mut seen = BTreeSet::new();
    for (user, device, _, held) in state.addresses().held() {
        assert!(seen.insert(held.address), "{} has two holders", held.address);
        assert_eq!(state.addresses().taken(held.address), Some(&Taken::Held(user, device)));
    }
}

fn revocations_only_move_on(before: &State, after: &State, command: &Command) {
    let now: BTreeMap<_, _> = after.revocations().iter().map(|one| (one.index, one)).collect();
    for one in now.values() {
        assert!(one.index <= after.index() && one.effective <= one.told && one.told <= one.mode.slices(), "{one:?}");
    }
    for former in before.revocations().iter() {
        match now.get(&former.index) {
            Some(one) => {
                assert!(one.told >= former.told && one.effective >= former.effective, "{one:?} was {former:?}");
                assert_eq!((&one.scope, &one.kinds, one.mode), (&former.scope, &former.kinds, former.mode));
            }
            None => assert!(matches!(command, Command::ForgetRevocation(_) | Command::Group(_)), "{former:?} is gone"),
        }
    }
}

/// A key that was removed proves nothing ever again.
fn keys_stay_removed(before: &State, after: &State) {
    for former in before.keys().filter(|key| key.state == KeyState::Removed) {
        let now = after.keys().find(|key| key.kid == former.kid);
        assert!(now.is_none_or(|now| now.state == KeyState::Removed), "{now:?} was {former:?}");
    }
}

/// A Gateway that follows the changes knows what one knows that asks anew (T1).
fn views_follow(before: &State, next: &Transition) {
    for gateway in before.gateways().map(|record| record.appliance) {
        let (Some(mut view), Some(fresh)) = (before.feed_view(gateway), next.state.feed_view(gateway)) else {
            continue;
        };
        // A Gateway of another incarnation is sent the full state.
        if view.position.incarnation != fresh.position.incarnation || view.site.id != fresh.site.id {
            continue;
        }
        follow(&mut view, next, gateway);
        assert!(view == fresh, "a view that follows differs from a fresh one");
    }
}

fn follow(view: &mut FeedView, next: &Transition, gateway: ringwall_protocol::id::ApplianceId) {
    let site = view.site.id;
    for scoped in next.events.iter().filter(|scoped| scoped.reaches(gateway, site)) {
        view.apply(next.state.index(), &scoped.event);
    }
    view.position.index = next.state.index();
}
