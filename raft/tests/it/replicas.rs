//! Replicas agree: the same log gives the same state, through snapshots, restarts and encodings.

use std::time::Duration;

use proptest::prelude::*;
use ringwall_protocol::id::{LogIndex, SessionId, SignInId};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::GlobalSettings;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope, TokenKind};
use ringwall_raft::state::address::{AllocateAddresses, SweepAddresses};
use ringwall_raft::state::binding::{BindSessions, Binding};
use ringwall_raft::state::blocklist::{BlockUser, UnblockUser};
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::device::RemoveDevice;
use ringwall_raft::state::gateway::{AdmitGateway, ChangeGatewayState};
use ringwall_raft::state::join_token::{CreateJoinToken, JoinTokenHash};
use ringwall_raft::state::object::PutObject;
use ringwall_raft::state::revocation::{AdvanceRevocation, Revoke};
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::signing_key::AddKey;
use ringwall_raft::state::spa::RotateGatewaySpaKey;
use ringwall_raft::state::totp::{PutTotpSeed, UseTotpStep};
use ringwall_raft::{Command, CommandEnvelope, State, codec, state};

use super::fixture::*;

/// A Collective with two Gateways in its Site.
pub(crate) fn world() -> Replica {
    let mut replica = Replica::founded();
    for number in 1..=2u8 {
        replica.apply(PutObject::new(gateway_object(number.into())));
        let token = JoinTokenHash::new([number; 32]);
        let not_after = START.plus(Duration::from_secs(3600));
        replica.apply(CreateJoinToken { appliance: gateway(number.into()), token: token.clone(), not_after });
        replica.apply(AdmitGateway { token, key: key(number), spa_key: Sealed::new(1, "spa") }).accepted().unwrap();
    }
    replica
}

fn mode() -> impl Strategy<Value = RevocationMode> {
    prop_oneof![
        Just(RevocationMode::Cut),
        Just(RevocationMode::RenewNow),
        (1u16..5).prop_map(|slices| RevocationMode::RenewWindow { delay_seconds: 10, slices }),
    ]
}

fn simple_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0u128..3, 0u128..4).prop_map(|(who, on)| register(who, on).into()),
        (0u128..3, 0u128..4).prop_map(|(who, on)| {
            RemoveDevice { user_id: user(who), device_id: device(on), reason: String::new() }.into()
        }),
        (0u128..3, 0u128..4).prop_map(|(who, on)| {
            AllocateAddresses { user_id: user(who), provider_id: provider(), device_id: device(on) }.into()
        }),
        Just(SweepAddresses {}.into()),
        (0u128..3).prop_map(|who| BlockUser { user: user_dn(who), reason: "x".to_owned() }.into()),
        (0u128..3).prop_map(|who| UnblockUser { user: user_dn(who) }.into()),
        (0u128..3, mode(), any::<bool>()).prop_map(|(who, mode, here)| {
            let scope = RevocationScope::Dn(DnScope::User(user_dn(who)));
            let site = here.then(site);
            Revoke { scope, kinds: TokenKind::ALL.into(), site, mode, reason: String::new() }.into()
        }),
        (0u64..40, 0u16..5, 0u16..5).prop_map(|(index, told, effective)| {
            AdvanceRevocation { revocation: LogIndex(index), told, effective }.into()
        }),
        (0u128..3)
            .prop_map(|who| { PutTotpSeed { user: user(who), dn: user_dn(who), seed: Sealed::new(1, "seed") }.into() }),
        (0u128..3, 0u64..9).prop_map(|(who, step)| UseTotpStep { user: user(who), step }.into()),
        (0u8..5).prop_map(|number| {
            let public_key = data_encoding::BASE64URL_NOPAD.encode(&[number; 32]);
            AddKey { kid: format!("key{number}"), controller: NODE, public_key }.into()
        }),
    ]
}

fn site_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (5u32..20).prop_map(|lease| {
            let mut site = site_object();
            site.lease_seconds = lease;
            PutObject::new(site).into()
        }),
        (20u8..28).prop_map(|length| PutObject::new(pool_object(&format!("10.9.0.0/{length}"))).into()),
        (0u32..4).prop_map(|limit| PutObject::new(provider_object(limit)).into()),
        (0u32..200).prop_map(|weight| {
            let mut object = gateway_object(1);
            object.gateway.vpn.weight = weight;
            PutObject::new(object).into()
        }),
        prop_oneof![Just(ApplianceState::Suspended), Just(ApplianceState::Active), Just(ApplianceState::Removed)]
            .prop_map(|state| ChangeGatewayState { gateway: gateway(2), state }.into()),
        (0u32..3).prop_map(|replaces| {
            RotateGatewaySpaKey { gateway: gateway(1), replaces, key: Sealed::new(1, format!("key{replaces}")) }.into()
        }),
        prop_oneof![Just(SpaMode::Open), Just(SpaMode::Tcp)].prop_map(|spa_mode| {
            let settings = GlobalSettings { spa_mode, ..GlobalSettings::default() };
            ChangeSettings { settings, expected_version: None }.into()
        }),
        (0u128..3, 0u64..3, 0u64..3).prop_map(|(at, idx, seq)| {
            let binding = Binding {
                dn: dn(1, 1),
                user_id: user(1),
                site: site(),
                gateway: gateway(at),
                session: SessionId::new(id(u128::from(idx * 10 + seq))),
                sid: SignInId::new(id(1)),
                sign_in_idx: LogIndex(idx),
                connect_seq: seq,
                since: START,
                proof: proof(),
                key: key(9),
            };
            BindSessions { bindings: vec![binding] }.into()
        }),
    ]
}

/// Anything that can happen in [`world`], sensible or not.
pub(crate) fn any_command() -> impl Strategy<Value = Command> {
    let single = prop_oneof![3 => simple_command(), 2 => site_command()];
    let parts = prop_oneof![3 => simple_command(), 2 => site_command()];
    prop_oneof![8 => single, 1 => prop::collection::vec(parts, 0..4).prop_map(Command::Group)]
}

fn log() -> impl Strategy<Value = Vec<CommandEnvelope>> {
    // Few ids and wandering clocks: commands are repeated, and times are not in order.
    let one = (any_command(), 0u128..40, 0u64..200_000);
    prop::collection::vec(one, 1..60).prop_map(|entries| {
        let envelope = |(command, number, hours): (Command, u128, u64)| {
            let at = START.plus(Duration::from_millis(hours * 1_800));
            CommandEnvelope::new(ringwall_protocol::id::CommandId::new(id(number)), NODE, at, command)
        };
        entries.into_iter().map(envelope).collect()
    })
}

fn replay(state: &State, log: &[CommandEnvelope]) -> State {
    log.iter().fold(state.clone(), |state, envelope| {
        let index = LogIndex(state.index().0 + 1);
        state::apply(&state, index, envelope).state
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_replicas_agree_and_a_snapshot_with_its_tail_is_the_replay(log in log(), cut in 0usize..60) {
        let begin = world().state;
        let one = replay(&begin, &log);
        // The other gets every entry by the wire, and a snapshot in between.
        let decoded: Vec<CommandEnvelope> =
            log.iter().map(|envelope| codec::decode(&codec::encode(envelope).unwrap()).unwrap()).collect();
        prop_assert_eq!(&decoded, &log);
        let cut = cut.min(log.len());
        let snapshot = replay(&begin, &decoded[..cut]).to_bytes().unwrap();
        let restored = State::from_bytes(&snapshot).unwrap();
        prop_assert_eq!(restored.to_bytes().unwrap(), snapshot, "one value, one encoding");
        let two = replay(&restored, &decoded[cut..]);
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(one.digest(), two.digest());
    }

    #[test]
    fn a_repeated_command_gets_the_same_answer_later(log in log()) {
        let mut state = world().state;
        let mut first: std::collections::BTreeMap<_, ringwall_raft::Outcome> = Default::default();
        for envelope in &log {
            // Within the day for which answers are kept.
            let envelope = CommandEnvelope { proposed_at: START, ..envelope.clone() };
            let next = state::apply(&state, LogIndex(state.index().0 + 1), &envelope);
            let known = first.entry(envelope.command_id).or_insert_with(|| next.outcome.clone());
            prop_assert_eq!(&*known, &next.outcome);
            state = next.state;
        }
    }

    #[test]
    fn an_older_version_is_untouched_by_newer_ones(log in log()) {
        let begin = world().state;
        let digest = begin.digest();
        let _ = replay(&begin, &log);
        prop_assert_eq!(begin.digest(), digest);
    }
}
