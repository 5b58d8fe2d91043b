//! A session, from its admission to its end, with a Client and a kernel that do what they like: generations only grow, rules
//! never outlive tokens, nothing is promised before it is in force, and nothing follows the end (T3, T32).

use std::net::IpAddr;
use std::time::Duration;

use ringwall_protocol::authorize::Prepared;
use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::{LogIndex, SessionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::rules::{Direction, Protocol};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::session::{ExpiryReason, FromClient, FromGateway};
use serde_json::json;

use super::{Effect, Input, NewTokens, SessionCore, SessionSettings, SocketId, TunnelNews};
use crate::fuzz::choices::Choices;
use crate::ports::{Install, InstallError, SessionAddresses};
use crate::scene::{Scene, SignedIn, TestCondition, step_up};
use crate::support::clock::Moment;
use crate::support::entropy::CountingEntropy;

/// Most that may follow from one input: prompts, closings and a few more.
const MOST_EFFECTS: usize = 64;

struct Stage {
    scene: Scene,
    alice: SignedIn,
    conditions: [TestCondition; 3],
}

thread_local! {
    /// Keys and certificates take long to make.
    static STAGE: Stage = {
        let mut scene = Scene::new();
        let alice = scene.sign_in("alice", 90, 1);
        let conditions = [
            TestCondition::new(1, "device.healthy == true", None),
            TestCondition::new(2, "hasReason('ticket', 1)", Some(InteractionKind::Reason)),
            TestCondition::new(3, "hasMfa('ticket', 1)", Some(InteractionKind::OtpAuthentication)),
        ];
        Stage { scene, alice, conditions }
    };
}

/// What was seen of the session.
struct Seen {
    generation: u64,
    checked_at: LogIndex,
    /// Installs that the kernel has not answered.
    waiting: Vec<u64>,
    in_force: u64,
    /// End of the tokens that were given.
    until: UnixMillis,
    welcomed: usize,
    ended: bool,
}

/// Steps: what the Client says, as bytes or made, what the kernel answers, and what the registry passes on.
#[must_use]
pub fn session(bytes: &[u8]) -> bool {
    STAGE.with(|stage| run(stage, &mut Choices::new(bytes)))
}

fn run(stage: &Stage, choices: &mut Choices<'_>) -> bool {
    let Stage { scene, alice, conditions } = stage;
    let (claims, entitlement) = (scene.claims(alice, 100), scene.entitlement(alice, 100, conditions));
    let admission = *scene.admission_with(alice, 1, &claims, &entitlement);
    let (mut now, mut entropy) = (scene.at(0), CountingEntropy::default());
    let settings = SessionSettings {
        session: SessionId::from_random([1; 16]),
        gateway: scene.gateway.id,
        addresses: SessionAddresses { v4: Some(alice.address), v6: None },
        mtu: 1_400,
        keep_alive_seconds: 15,
    };
    let mut socket = SocketId(1);
    let mut core = SessionCore::new(settings, socket, admission, LogIndex(100), now).expect("evaluates");
    let mut seen = Seen {
        generation: 0,
        checked_at: LogIndex(0),
        waiting: vec![],
        in_force: 0,
        until: UnixMillis::from_seconds(claims.head.exp.min(entitlement.head.exp)),
        welcomed: 0,
        ended: false,
    };
    seen.take(core.handle(Input::Started, now, &mut entropy), now);
    let mut idx = 100;
    while !choices.is_over() {
        let input = match choices.below(12) {
            0 => match serde_json::from_slice::<FromClient>(choices.piece()) {
                Ok(message) => Input::Client(socket, message),
                Err(_) => continue,
            },
            1 | 2 => Input::Client(socket, said(choices, &core)),
            3 | 4 if !seen.waiting.is_empty() => {
                let generation = seen.waiting.remove(0);
                match choices.below(8) {
                    0 => {
                        Input::Installed(generation, Err(InstallError::Stale { got: generation, applied: generation }))
                    }
                    1 => Input::Installed(generation, Err(InstallError::Kernel("busy".to_owned()))),
                    _ => {
                        seen.in_force = seen.in_force.max(generation);
                        Input::Installed(generation, Ok(()))
                    }
                }
            }
            5 => {
                now = now.plus(Duration::from_millis(u64::from(choices.byte()) * 250));
                Input::Tick
            }
            6 => {
                let remote: IpAddr = [10, 0, choices.below(2), choices.below(4)].into();
                let flow = Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote, port: 443 };
                Input::Blocked(flow, ResolvedNames::default())
            }
            7 => {
                idx += u64::from(choices.below(2));
                let mut claims = scene.claims(alice, idx);
                (claims.head.exp, claims.head.iat) = (claims.head.exp + 60, claims.head.iat + 60);
                if choices.below(2) == 1 {
                    claims.step_ups.insert("ticket".to_owned(), step_up(conditions[2].id, now.time));
                }
                let checked_at = LogIndex(idx);
                Input::Tokens(Box::new(NewTokens { claims: Some(claims), entitlement: None, checked_at }))
            }
            8 => {
                socket = SocketId(socket.0 + 1);
                let admission = scene.admission_with(alice, socket.0, &scene.claims(alice, idx), &entitlement);
                Input::Resumed(socket, admission, LogIndex(idx))
            }
            9 => Input::SocketLost(SocketId(socket.0.saturating_sub(u64::from(choices.below(2))))),
            10 => Input::Tunnel(match choices.below(8) {
                0 => TunnelNews::Violation("frame".to_owned()),
                1..4 => TunnelNews::Lost,
                _ => TunnelNews::Attached(([192, 0, 2, 1], 50_000).into()),
            }),
            _ if choices.below(2) == 1 => Input::Renew(vec![TokenKind::Claims], ExpiryReason::Revocation),
            _ => Input::Reevaluate,
        };
        seen.until = seen.until.max(UnixMillis::from_seconds(claims.head.exp + 60));
        seen.take(core.handle(input, now, &mut entropy), now);
        conditions_decide(&core);
    }
    seen.welcomed > 0
}

/// What a Client says that plays along, and what one says that does not.
fn said(choices: &mut Choices<'_>, core: &SessionCore) -> FromClient {
    match choices.below(8) {
        0..3 => {
            let claims = json!({"healthy": choices.below(2) == 1, "n": choices.byte()});
            FromClient::DeviceClaims { claims: serde_json::from_value::<UntrustedClaims>(claims).expect("claims") }
        }
        3..5 => {
            let prompt_id = core.prompts.open().next().map(|prompt| prompt.prompt_id);
            let text = String::from_utf8_lossy(choices.piece()).into_owned();
            let prompt_id = prompt_id.unwrap_or(ringwall_protocol::id::PromptId::from_random([9; 16]));
            FromClient::Reason { prompt_id, text }
        }
        5 | 6 => FromClient::AttachRequest {},
        _ => FromClient::Goodbye {},
    }
}

/// An entitlement is open exactly if none of its conditions failed, and prompts are bounded.
fn conditions_decide(core: &SessionCore) {
    let Some(authorization) = core.rules.authorization() else { return };
    let prepared: &Prepared = &core.credentials.prepared;
    for (state, granted) in authorization.states.iter().zip(&prepared.token().entitlements) {
        assert_eq!(state.id, granted.id);
        assert_eq!(state.open, state.failed_conditions.is_empty(), "{state:?}");
    }
    assert!(core.prompts.open().count() <= MOST_EFFECTS, "prompts without end");
}

impl Seen {
    fn take(&mut self, effects: Vec<Effect>, now: Moment) {
        assert!(effects.len() <= MOST_EFFECTS, "{} effects of one input", effects.len());
        assert!(!self.ended || effects.is_empty(), "{effects:?} after the end");
        for effect in effects {
            match effect {
                Effect::Install(install) => self.install(&install, now),
                Effect::Send(FromGateway::Welcome(_)) => {
                    assert!(self.in_force > 0, "welcomed before any rules are in force");
                    self.welcomed += 1;
                }
                Effect::Opened(_) => assert!(self.in_force > 0),
                Effect::End(..) => self.ended = true,
                _ => {}
            }
        }
    }

    fn install(&mut self, install: &Install, now: Moment) {
        assert!(install.generation > self.generation, "{} after {}", install.generation, self.generation);
        assert!(install.checked_at >= self.checked_at, "checked at {} before", self.checked_at);
        (self.generation, self.checked_at) = (install.generation, install.checked_at);
        assert!(now.time.plus(install.expires_in) <= self.until, "rules outlive their tokens: {install:?}");
        self.waiting.push(install.generation);
    }
}
