//! What a session does with its tokens, claims, prompts and connections, one property a test.

use std::net::IpAddr;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::PromptId;
use ringwall_protocol::interaction::{InteractionKind, Prompt};
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::rules::{Direction, Protocol};
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::session::FromClient;
use serde_json::json;

use super::*;
use crate::ports::{Install, InstallError};
use crate::scene::{Scene, SignedIn, TestCondition, step_up};
use crate::support::entropy::CountingEntropy;

mod answers;

struct Stage {
    scene: Scene,
    alice: SignedIn,
    core: SessionCore,
    entropy: CountingEntropy,
    now: Moment,
}

const SOCKET: SocketId = SocketId(1);

impl Stage {
    fn new(conditions: &[TestCondition]) -> Self {
        let mut scene = Scene::new();
        let alice = scene.sign_in("alice", 90, 1);
        let (claims, entitlement) = (scene.claims(&alice, 100), scene.entitlement(&alice, 100, conditions));
        let admission = scene.admission_with(&alice, 1, &claims, &entitlement);
        let settings = SessionSettings {
            session: SessionId::from_random([1; 16]),
            gateway: scene.gateway.id,
            addresses: SessionAddresses { v4: Some(alice.address), v6: None },
            mtu: 1_400,
            keep_alive_seconds: 15,
        };
        let now = scene.at(0);
        let core = SessionCore::new(settings, SOCKET, *admission, LogIndex(100), now).expect("evaluates");
        Self { scene, alice, core, entropy: CountingEntropy::default(), now }
    }

    /// A session whose first rules are in force.
    fn live(conditions: &[TestCondition]) -> Self {
        let mut stage = Self::new(conditions);
        let effects = stage.give(Input::Started);
        stage.acknowledge(&effects);
        stage
    }

    fn give(&mut self, input: Input) -> Vec<Effect> {
        self.core.handle(input, self.now, &mut self.entropy)
    }

    /// The enforcer acknowledges the install among these effects.
    fn acknowledge(&mut self, effects: &[Effect]) -> Vec<Effect> {
        let generation = install(effects).expect("an install").generation;
        self.give(Input::Installed(generation, Ok(())))
    }

    /// Time passes, and what is due is done.
    fn pass(&mut self, span: Duration) -> Vec<Effect> {
        self.now = self.now.plus(span);
        self.give(Input::Tick)
    }

    fn say(&mut self, message: FromClient) -> Vec<Effect> {
        self.give(Input::Client(SOCKET, message))
    }

    fn device(&mut self, claims: serde_json::Value) -> Vec<Effect> {
        let claims: UntrustedClaims = serde_json::from_value(claims).expect("claims");
        self.say(FromClient::DeviceClaims { claims })
    }

    fn blocked(&mut self, host: &str) -> Vec<Effect> {
        let remote: IpAddr = host.parse().expect("an address");
        let flow = Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote, port: 443 };
        self.give(Input::Blocked(flow, ResolvedNames::default()))
    }

    fn passes(&self, host: &str) -> bool {
        let remote: IpAddr = host.parse().expect("an address");
        let flow = Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote, port: 443 };
        self.core.rules.authorization().is_some_and(|current| current.rules.passes(&flow))
    }

    fn new_claims(&mut self, change: impl FnOnce(&mut ClaimsToken)) -> Vec<Effect> {
        let mut claims = self.scene.claims(&self.alice, 101);
        change(&mut claims);
        let tokens = NewTokens { claims: Some(claims), entitlement: None, checked_at: LogIndex(101) };
        self.give(Input::Tokens(Box::new(tokens)))
    }
}

fn install(effects: &[Effect]) -> Option<&Install> {
    effects.iter().find_map(|effect| match effect {
        Effect::Install(install) => Some(install),
        _ => None,
    })
}

fn sent(effects: &[Effect]) -> Vec<&FromGateway> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send(message) => Some(message),
        _ => None,
    });
    sent.collect()
}

fn prompts(effects: &[Effect]) -> Vec<Prompt> {
    let prompt = |message: &&FromGateway| match message {
        FromGateway::Interaction(prompt) => Some(prompt.clone()),
        _ => None,
    };
    sent(effects).iter().filter_map(prompt).collect()
}

fn ended(effects: &[Effect]) -> Option<ErrorCode> {
    effects.iter().find_map(|effect| match effect {
        Effect::End(code, _) => Some(*code),
        _ => None,
    })
}

fn healthy() -> TestCondition {
    TestCondition::new(1, "device.healthy == true", None)
}

fn with_reason() -> TestCondition {
    TestCondition::new(2, "hasReason('ticket', 60)", Some(InteractionKind::Reason))
}

fn with_otp() -> TestCondition {
    TestCondition::new(3, "hasMfa('ticket', 60)", Some(InteractionKind::OtpAuthentication))
}

#[test]
fn welcome_comes_only_when_the_rules_are_in_force() {
    let mut stage = Stage::new(&[]);
    let effects = stage.give(Input::Started);
    assert!(sent(&effects).is_empty());
    let effects = stage.acknowledge(&effects);
    let FromGateway::Welcome(welcome) = sent(&effects)[0] else { panic!("expected welcome") };
    assert!(!welcome.resumed);
    assert_eq!(welcome.entitlements.len(), 1);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Expect(_))));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Opened(_))));
}

#[test]
fn session_whose_rules_cannot_be_installed_is_not_admitted() {
    let cases = [
        (InstallError::TooManyRuleSets { limit: 1 }, ErrorCode::TooManyRuleSets),
        (InstallError::AddressHeld("10.9.0.1".parse().expect("an address")), ErrorCode::AddressHeld),
        (InstallError::Kernel("no".to_owned()), ErrorCode::InstallFailed),
    ];
    for (error, code) in cases {
        let mut stage = Stage::new(&[]);
        let effects = stage.give(Input::Started);
        let generation = install(&effects).expect("an install").generation;
        let effects = stage.give(Input::Installed(generation, Err(error)));
        assert_eq!(ended(&effects), Some(code));
        assert!(sent(&effects).is_empty(), "no welcome");
    }
}

#[test]
fn rules_end_with_the_first_of_all_that_holds_the_session() {
    let mut stage = Stage::new(&[]);
    let effects = stage.give(Input::Started);
    let hour = Duration::from_secs(3_600);
    let slack = Duration::from_secs(1);
    let expires = install(&effects).expect("an install").expires_in;
    assert!(expires <= hour && expires > hour - slack, "{expires:?}");
    let effects = stage.new_claims(|claims| claims.sign_in_until = claims.head.iat + 60);
    let expires = install(&effects).expect("narrower at once").expires_in;
    assert!(expires <= Duration::from_secs(60), "{expires:?}");
}

#[test]
fn device_claim_opens_and_closes_what_depends_on_it() {
    let mut stage = Stage::live(&[healthy()]);
    assert!(stage.passes("10.0.0.1") && !stage.passes("10.0.1.0"));
    let effects = stage.device(json!({"healthy": true}));
    assert!(install(&effects).is_some() && stage.passes("10.0.1.0"));
    let effects = stage.acknowledge(&effects);
    let FromGateway::Entitlements { entitlements } = sent(&effects)[0] else { panic!("expected entitlements") };
    assert!(entitlements.iter().all(|state| state.open));
    stage.pass(Duration::from_secs(2));
    let effects = stage.device(json!({"healthy": false}));
    assert!(install(&effects).is_some() && !stage.passes("10.0.1.0"));
}

#[test]
fn claims_that_no_condition_reads_change_nothing() {
    let mut stage = Stage::live(&[healthy()]);
    let effects = stage.device(json!({"hostname": "a"}));
    assert!(install(&effects).is_none() && sent(&effects).is_empty());
}

#[test]
fn device_claims_come_once_a_second_and_the_newest_counts() {
    let mut stage = Stage::live(&[healthy()]);
    assert!(install(&stage.device(json!({"healthy": true}))).is_some());
    assert!(install(&stage.device(json!({"healthy": false}))).is_none());
    assert!(install(&stage.device(json!({"healthy": true, "n": 1}))).is_none());
    assert!(stage.passes("10.0.1.0"));
    let effects = stage.pass(Duration::from_secs(1));
    assert!(install(&effects).is_none(), "the newest says the same as the one in force");
    assert!(stage.passes("10.0.1.0"));
}

#[test]
fn device_claims_that_are_not_heard_again_count_as_absent() {
    let mut stage = Stage::live(&[healthy()]);
    let effects = stage.device(json!({"healthy": true}));
    stage.acknowledge(&effects);
    stage.pass(Duration::from_secs(14 * 60));
    assert!(stage.passes("10.0.1.0"));
    let effects = stage.pass(Duration::from_secs(60));
    assert!(install(&effects).is_some() && !stage.passes("10.0.1.0"));
    // Heard again with the same words, they count again.
    let effects = stage.device(json!({"healthy": true}));
    assert!(install(&effects).is_some() && stage.passes("10.0.1.0"));
}

#[test]
fn wider_rules_wait_for_their_turn_and_narrower_ones_do_not() {
    let mut stage = Stage::live(&[healthy()]);
    let (mut opened, mut closed) = (0, 0);
    for round in 0..6 {
        // Tokens are no device claims: they come as fast as the registry lets them.
        stage.now = stage.now.plus(Duration::from_millis(10));
        stage.core.evidence.device.claims = serde_json::from_value(json!({"healthy": round % 2 == 0})).expect("claims");
        let effects = stage.give(Input::Reevaluate);
        let installed = usize::from(install(&effects).is_some());
        if round % 2 == 0 { opened += installed } else { closed += installed }
    }
    assert_eq!(opened, 2, "twice a second");
    assert_eq!(closed, 2, "whenever there is something to close");
    stage.core.evidence.device.claims = serde_json::from_value(json!({"healthy": true})).expect("claims");
    assert!(install(&stage.give(Input::Reevaluate)).is_none());
    let effects = stage.pass(Duration::from_secs(1));
    assert!(install(&effects).is_some() && stage.passes("10.0.1.0"), "late, but not lost");
}

#[test]
fn of_two_changes_a_second_and_more_the_stricter_of_old_and_new_is_kept() {
    let other = TestCondition::new(4, "device.healthy == false", None);
    let mut stage = Stage::live(&[healthy(), other]);
    let web = |host: &str| {
        let remote: IpAddr = host.parse().expect("an address");
        Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote, port: 443 }
    };
    let mut changed = vec![];
    for round in 0..3 {
        stage.now = stage.now.plus(Duration::from_millis(10));
        stage.core.evidence.device.claims = serde_json::from_value(json!({"healthy": round % 2 == 0})).expect("claims");
        let effects = stage.give(Input::Reevaluate);
        changed.push(install(&effects).expect("something closes").rules.clone());
    }
    let passes =
        |rules: &ringwall_protocol::rules::RuleSet| ["10.0.1.0", "10.0.1.1"].map(|host| rules.passes(&web(host)));
    assert_eq!(passes(&changed[0]), [true, false]);
    assert_eq!(passes(&changed[1]), [false, true]);
    assert_eq!(passes(&changed[2]), [false, false], "what closed is closed, what opened waits");
    assert!(changed[2].passes(&web("10.0.0.1")), "what was open before and after stays");
    let effects = stage.pass(Duration::from_secs(1));
    assert_eq!(passes(&install(&effects).expect("the rest").rules), [true, false]);
}

#[test]
fn reason_opens_what_it_was_asked_for_and_nothing_else() {
    let mut stage = Stage::live(&[with_reason(), healthy()]);
    let asked = prompts(&stage.blocked("10.0.1.0"));
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].kind, asked[0].destination.as_str()), (InteractionKind::Reason, "10.0.1.0:443"));
    assert!(prompts(&stage.blocked("10.0.1.1")).is_empty(), "no interaction helps there");
    assert!(prompts(&stage.blocked("10.0.0.1")).is_empty(), "it passes already");
    assert!(prompts(&stage.blocked("10.77.0.1")).is_empty(), "nothing entitles to it");
    let effects = stage.say(FromClient::Reason { prompt_id: asked[0].prompt_id, text: "change 7\u{0}".to_owned() });
    assert!(install(&effects).is_some() && stage.passes("10.0.1.0") && !stage.passes("10.0.1.1"));
    assert_eq!(stage.core.evidence.reasons.given["ticket"].text, "change 7");
    let audited = effects.iter().any(|effect| matches!(effect, Effect::Audit(_)));
    assert!(audited, "the reason is in the audit");
}

#[test]
fn reason_without_its_open_prompt_is_refused() {
    let mut stage = Stage::live(&[with_reason(), with_otp()]);
    let refused = |effects: &[Effect]| matches!(sent(effects)[..], [FromGateway::Refused { .. }]);
    let unknown = FromClient::Reason { prompt_id: PromptId::from_random([9; 16]), text: "x".to_owned() };
    assert!(refused(&stage.say(unknown)));
    let otp = prompts(&stage.blocked("10.0.1.1")).remove(0);
    assert!(refused(&stage.say(FromClient::Reason { prompt_id: otp.prompt_id, text: "x".to_owned() })));
    assert!(!stage.passes("10.0.1.0") && !stage.passes("10.0.1.1"));
    let reason = prompts(&stage.blocked("10.0.1.0")).remove(0);
    let answer = || FromClient::Reason { prompt_id: reason.prompt_id, text: "x".to_owned() };
    assert!(!refused(&stage.say(answer())));
    assert!(refused(&stage.say(answer())), "a prompt is answered once");
}

#[test]
fn verified_answer_opens_the_same_waiting_flow() {
    let condition = with_otp();
    let id = condition.id;
    let mut stage = Stage::live(&[condition]);
    let asked = prompts(&stage.blocked("10.0.1.0"));
    assert_eq!(asked.len(), 1);
    let at = stage.now.time;
    let effects = stage.new_claims(|claims| {
        claims.step_ups.insert("ticket".to_owned(), step_up(id, at));
    });
    assert!(install(&effects).is_some() && stage.passes("10.0.1.0"));
    assert!(stage.core.prompts.open().next().is_none());
    // It lasts for 60 minutes and ends by itself.
    stage.new_claims(|claims| {
        claims.head.exp += 7_200;
        claims.step_ups.insert("ticket".to_owned(), step_up(id, at));
    });
    stage.pass(Duration::from_secs(59 * 60));
    assert!(stage.passes("10.0.1.0"));
}

#[test]
fn expired_session_waits_and_comes_back_with_new_tokens() {
    let mut stage = Stage::live(&[]);
    let effects = stage.pass(Duration::from_secs(3_599));
    assert!(sent(&effects).iter().any(|message| matches!(message, FromGateway::TokensExpiring { .. })));
    let effects = stage.pass(Duration::from_secs(1));
    assert!(ended(&effects).is_none() && stage.core.phase == Phase::Expired);
    stage.now = stage.now.plus(Duration::from_secs(60));
    let (mut claims, mut entitlement) =
        (stage.scene.claims(&stage.alice, 101), stage.scene.entitlement(&stage.alice, 101, &[]));
    for head in [&mut claims.head, &mut entitlement.head] {
        (head.iat, head.exp) = (head.iat + 3_660, head.exp + 3_660);
    }
    let tokens = NewTokens { claims: Some(claims), entitlement: Some(entitlement), checked_at: LogIndex(101) };
    let effects = stage.give(Input::Tokens(Box::new(tokens)));
    assert!(install(&effects).is_some_and(|install| install.expires_in > Duration::from_secs(3_500)));
    assert_eq!(stage.core.phase, Phase::Live);
    assert_eq!(ended(&stage.pass(Duration::from_secs(601))), None, "it is not expired any more");
}

#[test]
fn expired_session_ends_after_ten_minutes() {
    let mut stage = Stage::live(&[]);
    stage.pass(Duration::from_secs(3_600));
    assert_eq!(ended(&stage.pass(Duration::from_secs(599))), None);
    assert_eq!(ended(&stage.pass(Duration::from_secs(1))), Some(ErrorCode::TokenExpired));
}

#[test]
fn client_is_told_before_its_tokens_end() {
    let mut stage = Stage::live(&[]);
    let mut told = vec![];
    for minute in 1..60 {
        for message in sent(&stage.pass(Duration::from_secs(60))) {
            if let FromGateway::TokensExpiring { kinds, .. } = message {
                told.push((minute, kinds.clone()));
            }
        }
    }
    // 10 minutes (a sixth) and up to 5 more (a twelfth) before the end; again a minute before it; for both kinds.
    let first: Vec<_> = told.iter().filter(|(minute, _)| *minute <= 50).collect();
    assert_eq!(first.len(), 2, "{told:?}");
    assert!(first.iter().all(|(minute, _)| (45..=50).contains(minute)), "{told:?}");
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn lost_websocket_is_waited_for_and_then_the_session_ends() {
    let mut stage = Stage::live(&[]);
    stage.give(Input::SocketLost(SOCKET));
    assert_eq!(ended(&stage.pass(Duration::from_secs(29))), None);
    assert_eq!(ended(&stage.pass(Duration::from_secs(1))), Some(ErrorCode::ConnectionLost));
}

#[test]
fn resumed_session_is_welcomed_again_and_the_former_websocket_is_ignored() {
    let mut stage = Stage::live(&[with_reason()]);
    let asked = prompts(&stage.blocked("10.0.1.0"));
    stage.give(Input::SocketLost(SOCKET));
    stage.pass(Duration::from_secs(20));
    let claims = stage.scene.claims(&stage.alice, 100);
    let entitlement = stage.scene.entitlement(&stage.alice, 100, &[with_reason()]);
    let mut admission = stage.scene.admission_with(&stage.alice, 2, &claims, &entitlement);
    admission.peer = SocketAddr::from(([198, 51, 100, 7], 4_000));
    let effects = stage.give(Input::Resumed(SocketId(2), admission, LogIndex(100)));
    let effects = stage.acknowledge(&effects);
    assert!(matches!(sent(&effects)[0], FromGateway::Welcome(welcome) if welcome.resumed));
    assert_eq!(prompts(&effects), asked, "what is open is shown again");
    assert_eq!(stage.core.summary().client_address, "198.51.100.7");
    assert!(stage.say(FromClient::Goodbye {}).is_empty(), "from a websocket that is not its own any more");
    assert_eq!(ended(&stage.pass(Duration::from_secs(60))), None);
}

#[test]
fn condition_on_the_clients_address_follows_it() {
    let condition = TestCondition::new(4, "isClientInNetwork('192.0.2.0/24')", None);
    let mut stage = Stage::live(&[condition]);
    assert!(stage.passes("10.0.1.0"));
    let condition = TestCondition::new(4, "isClientInNetwork('192.0.2.0/24')", None);
    let claims = stage.scene.claims(&stage.alice, 100);
    let entitlement = stage.scene.entitlement(&stage.alice, 100, &[condition]);
    let mut admission = stage.scene.admission_with(&stage.alice, 2, &claims, &entitlement);
    admission.peer = SocketAddr::from(([198, 51, 100, 7], 4_000));
    let effects = stage.give(Input::Resumed(SocketId(2), admission, LogIndex(100)));
    assert!(install(&effects).is_some() && !stage.passes("10.0.1.0"));
}

#[test]
fn outdated_answer_of_the_enforcer_ends_nothing() {
    let mut stage = Stage::live(&[healthy()]);
    let first = install(&stage.device(json!({"healthy": true}))).expect("an install").generation;
    stage.pass(Duration::from_secs(2));
    stage.device(json!({"healthy": false}));
    let stale = InstallError::Stale { got: first, applied: first + 1 };
    assert_eq!(ended(&stage.give(Input::Installed(first, Err(stale)))), None);
    let late = InstallError::Kernel("late".to_owned());
    assert_eq!(ended(&stage.give(Input::Installed(first, Err(late.clone())))), None);
    assert_eq!(ended(&stage.give(Input::Installed(first + 1, Err(late)))), Some(ErrorCode::InstallFailed));
}

#[test]
fn violation_in_the_tunnel_ends_the_session_and_its_loss_does_not() {
    let mut stage = Stage::live(&[]);
    assert_eq!(ended(&stage.give(Input::Tunnel(TunnelNews::Attached(SocketAddr::from(([192, 0, 2, 1], 1)))))), None);
    assert_eq!(ended(&stage.give(Input::Tunnel(TunnelNews::Lost))), None);
    let violation = Input::Tunnel(TunnelNews::Violation("a frame".to_owned()));
    assert_eq!(ended(&stage.give(violation)), Some(ErrorCode::ProtocolError));
    assert!(stage.blocked("10.0.1.0").is_empty(), "an ended session says nothing");
}

#[test]
fn watched_flow_is_audited_within_a_budget() {
    let mut stage = Stage::live(&[]);
    let remote = IpAddr::from([10, 0, 0, 1]);
    let flow = Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote, port: 443 };
    let audited = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Audit(_))).count();
    let told: usize = (0..200).map(|_| audited(&stage.give(Input::Alerted(flow)))).sum();
    assert_eq!(told, 60);
    stage.pass(Duration::from_secs(61));
    assert_eq!(audited(&stage.give(Input::Alerted(flow))), 1);
}

#[test]
fn names_are_wanted_once_and_for_closed_entitlements_too() {
    let mut stage = Stage::live(&[healthy()]);
    let mut entitlement = stage.scene.entitlement(&stage.alice, 101, &[healthy()]);
    for granted in &mut entitlement.entitlements {
        granted.actions[0].hosts = vec![format!("dns://{}.example", granted.name.replace(' ', ""))];
    }
    let wanted = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Names(_, hosts) => Some(hosts.len()),
            _ => None,
        })
    };
    let tokens = |entitlement| NewTokens { claims: None, entitlement: Some(entitlement), checked_at: LogIndex(101) };
    let first = stage.give(Input::Tokens(Box::new(tokens(entitlement.clone()))));
    assert_eq!(wanted(&first), Some(2));
    assert_eq!(wanted(&stage.give(Input::Tokens(Box::new(tokens(entitlement))))), None, "the same again");
}

#[test]
fn condition_on_the_country_follows_the_clients_address() {
    let condition = || TestCondition::new(4, "system.country == 'CH'", None);
    let mut stage = Stage::live(&[condition()]);
    assert!(!stage.passes("10.0.1.0"), "nothing is known of the country");
    let claims = stage.scene.claims(&stage.alice, 100);
    let entitlement = stage.scene.entitlement(&stage.alice, 100, &[condition()]);
    let places = [(Some("CH"), true), (Some("DE"), false), (Some("CH"), true), (None, false)];
    for (seq, (country, passes)) in (2..).zip(places) {
        let mut admission = stage.scene.admission_with(&stage.alice, seq, &claims, &entitlement);
        admission.peer = SocketAddr::from(([198, 51, 100, 7], 4_000));
        admission.country = country.map(str::to_owned);
        stage.give(Input::Resumed(SocketId(seq), admission, LogIndex(100)));
        assert_eq!(stage.passes("10.0.1.0"), passes, "{country:?}");
    }
}
