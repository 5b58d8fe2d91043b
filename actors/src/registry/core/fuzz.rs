//! The registry against a plain model: Clients come with any tokens in any order, revocations, keys, members and other
//! Gateways change, time passes, the kernel lets go of addresses or does not.
//!
//! What has to hold is in [`model`]: a session that was cut never comes back; a revoked token never admits, and no session
//! lives on one; nothing older replaces anything newer; an address has one holder; nobody is admitted without a lease (T3,
//! T12, T18, T36).

mod model;
mod world;

use std::time::Duration;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, IncarnationId, LogIndex, SignInId, TokenId};
use ringwall_protocol::membership::{KeyRecord, KeyState};
use ringwall_protocol::name::{DnScope, ProviderName};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken};
use ringwall_protocol::wire::error::ErrorCode;

use self::model::Model;
use self::world::{WORLD, World};
use super::{Effect, RegistryCore, Ticket};
use crate::fuzz::choices::Choices;
use crate::registry::admission::Presentation;
use crate::support::clock::Moment;
use crate::support::entropy::CountingEntropy;

struct Run<'w> {
    world: &'w mut World,
    core: RegistryCore,
    model: Model,
    entropy: CountingEntropy,
    now: Moment,
    tickets: u64,
    /// Index of the latest change.
    change: u64,
    epoch: u64,
}

/// Steps.
#[must_use]
pub fn registry(bytes: &[u8]) -> bool {
    WORLD.with_borrow_mut(|world| {
        let incarnation = world.scene.collective.incarnation;
        let (core, now) = (RegistryCore::new(world.scene.gateway.id), world.scene.at(0));
        let entropy = CountingEntropy::default();
        let model = Model::new(now.instant);
        let epoch = incarnation.epoch;
        let mut run = Run { world, core, model, entropy, now, tickets: 0, change: 100, epoch };
        run.full(100);
        run.lease(3_600);
        let mut choices = Choices::new(bytes);
        while !choices.is_over() {
            run.step(&mut choices);
        }
        let opened = run.model.opened;
        run.world.scene.collective.incarnation = incarnation;
        opened > 0
    })
}

impl Run<'_> {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0..4 => self.admit(choices),
            4 => self.present(choices),
            5 | 6 => self.revoke(choices),
            7 => self.advance(choices),
            8 => {
                let index = self.core.complete().0.max(self.change) + u64::from(choices.below(3));
                let effects = self.core.caught_up(LogIndex(index), self.now, &mut self.entropy);
                self.check(effects);
            }
            9 => self.lease(u64::from(choices.byte())),
            10 => {
                let span = Duration::from_millis(u64::from(choices.byte()) * 100);
                self.now = self.now.plus(span);
                let effects = self.core.tick(self.now.instant);
                self.check(effects);
            }
            11 => {
                if let Some(session) = self.model.some_session(choices.byte()) {
                    let effects = self.core.end(session, ErrorCode::ClientLeft, "left", self.now.instant);
                    self.check(effects);
                }
            }
            12 => {
                if let Some((session, addresses)) = self.model.let_go(choices.byte()) {
                    self.core.removed(session, addresses);
                    self.check(vec![]);
                }
            }
            13 => self.member(choices),
            14 => self.elsewhere(choices),
            _ => self.restart(choices),
        }
    }

    fn check(&mut self, effects: Vec<Effect>) {
        self.model.take(effects, self.core.complete(), self.now);
        self.model.agrees_with(&self.core);
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.model.asked(Ticket(self.tickets));
        Ticket(self.tickets)
    }

    /// Tokens of an index near the present one, of one of two sign-ins.
    fn tokens(&self, choices: &mut Choices<'_>) -> (usize, ClaimsToken, EntitlementToken) {
        let who = usize::from(choices.below(3));
        let near = |choices: &mut Choices<'_>| self.core.complete().0 + u64::from(choices.below(6));
        let person = &self.world.people[who];
        let mut claims = self.world.scene.claims(person, near(choices).saturating_sub(3));
        let mut entitlement = self.world.scene.entitlement(person, near(choices).saturating_sub(3), &[]);
        if choices.below(4) == 3 {
            claims.sign_in_idx = LogIndex(95);
            let sid = SignInId::from_random([99; 16]);
            (claims.head.sid, entitlement.head.sid) = (sid, sid);
        }
        let jti = TokenId::from_random([1 + choices.below(3); 16]);
        (claims.head.jti, entitlement.head.jti) = (jti, jti);
        entitlement.claims_idx = LogIndex(u64::from(choices.below(2)) * claims.head.idx.0);
        (who, claims, entitlement)
    }

    fn admit(&mut self, choices: &mut Choices<'_>) {
        let (who, claims, entitlement) = self.tokens(choices);
        let connect_seq = u64::from(choices.below(8));
        let person = &self.world.people[who];
        let scene = &self.world.scene;
        let admission = scene.admission_with(person, connect_seq, &claims, &entitlement);
        let ticket = self.ticket();
        let effects = self.core.admit(ticket, admission, self.now, &mut self.entropy);
        self.check(effects);
    }

    fn present(&mut self, choices: &mut Choices<'_>) {
        let Some(session) = self.model.some_session(choices.byte()) else { return };
        let (_, claims, entitlement) = self.tokens(choices);
        let which = choices.below(4);
        let presentation = Presentation {
            session,
            claims: (which != 1).then(|| self.world.scene.prove_claims(&claims)),
            entitlement: (which != 0).then(|| self.world.scene.prove_entitlement(&entitlement)),
        };
        let ticket = self.ticket();
        let effects = self.core.present(ticket, Box::new(presentation), self.now);
        self.check(effects);
    }

    /// The next change of the log, as the feed lets it through: above everything that is complete.
    fn next_change(&mut self, choices: &mut Choices<'_>) -> LogIndex {
        self.change = self.change.max(self.core.complete().0 + 1) + u64::from(choices.below(2));
        LogIndex(self.change)
    }

    fn change(&mut self, index: LogIndex, event: FeedEvent) {
        self.model.changed(&event);
        let effects = self.core.change(index, event, self.now, &mut self.entropy);
        self.check(effects);
    }

    fn revoke(&mut self, choices: &mut Choices<'_>) {
        // An entry makes one revocation at most, whose index is its own.
        self.change = self.change.max(self.core.complete().0) + 1;
        let index = LogIndex(self.change);
        let dn = self.world.people[usize::from(choices.below(3))].client.subject.dn.clone();
        let scope = match choices.below(5) {
            0 => RevocationScope::Dn(DnScope::Everyone),
            1 => RevocationScope::Dn(DnScope::Provider(ProviderName::parse("local").expect("a name"))),
            2 => RevocationScope::Dn(DnScope::User(dn.user)),
            3 => RevocationScope::Dn(DnScope::Device(dn)),
            _ => RevocationScope::Token(TokenId::from_random([1 + choices.below(3); 16])),
        };
        let mode = match choices.below(3) {
            0 => RevocationMode::Cut,
            1 => RevocationMode::RenewNow,
            _ => RevocationMode::RenewWindow { delay_seconds: 5, slices: 4 },
        };
        let done = if mode == RevocationMode::Cut { mode.slices() } else { 0 };
        let kinds = match choices.below(3) {
            0 => [TokenKind::Claims].into(),
            1 => [TokenKind::Entitlement].into(),
            _ => TokenKind::ALL.into(),
        };
        let site = (choices.below(4) == 3).then_some(self.world.scene.collective.site);
        let (reason, at) = (String::new(), UnixMillis(0));
        let revocation = Revocation { index, scope, kinds, site, mode, reason, at, told: done, effective: done };
        self.change(index, FeedEvent::RevocationAdded { revocation });
    }

    fn advance(&mut self, choices: &mut Choices<'_>) {
        let Some(revocation) = self.model.some_revocation(choices.byte()) else { return };
        let index = self.next_change(choices);
        let event = match choices.below(4) {
            0 => FeedEvent::RevocationForgotten { revocation },
            _ => {
                let (told, effective) = (u16::from(choices.below(5)), u16::from(choices.below(5)));
                FeedEvent::RevocationAdvanced { revocation, told, effective }
            }
        };
        self.change(index, event);
    }

    /// The enforcer renewed the lease for a poll that was sent now.
    fn lease(&mut self, seconds: u64) {
        let lease = Duration::from_secs(seconds);
        self.core.lease_renewed(self.now.instant, lease, lease);
        self.model.lease_until(self.now.instant + lease);
    }

    /// A key, a Controller, this Gateway or the Site changes.
    fn member(&mut self, choices: &mut Choices<'_>) {
        let index = self.next_change(choices);
        let scene = &self.world.scene;
        let event = match choices.below(8) {
            0 => FeedEvent::KeyChanged { key: KeyRecord { state: KeyState::Removed, ..scene.key_record() } },
            1 => {
                let until = Some(LogIndex(self.core.complete().0));
                FeedEvent::KeyChanged { key: KeyRecord { state: KeyState::Retired, until, ..scene.key_record() } }
            }
            2 | 3 => FeedEvent::KeyChanged { key: scene.key_record() },
            4 => {
                let mut controller = scene.collective.controller_records().next().expect("one").clone();
                let removed = choices.below(4) == 0;
                controller.state = if removed { ApplianceState::Removed } else { ApplianceState::Active };
                FeedEvent::ControllerChanged { controller }
            }
            5 | 6 => {
                let mut gateway = scene.collective.gateway_records().next().expect("one").clone();
                gateway.state = [ApplianceState::Active, ApplianceState::Suspended, ApplianceState::Removed]
                    [usize::from(choices.below(3))];
                FeedEvent::GatewayChanged { gateway }
            }
            _ => {
                let mut site = scene.site();
                let pool = ["10.9.0.0/16", "10.9.0.1/32"][usize::from(choices.below(2))];
                site.pools = vec![pool.parse().expect("a network")];
                FeedEvent::SiteChanged { site }
            }
        };
        self.change(index, event);
    }

    /// A session of somebody is bound at another Gateway, with his proof of this number or of another one.
    fn elsewhere(&mut self, choices: &mut Choices<'_>) {
        let index = self.next_change(choices);
        let who = usize::from(choices.below(3));
        let people = &self.world.people;
        let dn = people[who].client.subject.dn.clone();
        let (sid, sign_in_idx) = match choices.below(2) {
            0 => (people[who].sid, people[who].sign_in),
            _ => (SignInId::from_random([99; 16]), LogIndex(95)),
        };
        let (gateway, connect_seq) = (ApplianceId::from_random([77; 16]), u64::from(choices.below(8)));
        let (scene, sign_in) = (&self.world.scene, (sid, sign_in_idx));
        let genuine = choices.below(4) != 3;
        let proved = if genuine { connect_seq } else { connect_seq + 1 };
        let proof = scene.proof_of(&people[who], sign_in, gateway, proved);
        let event = FeedEvent::SessionBound { dn, gateway, sign_in_idx, connect_seq, sid, proof };
        if genuine {
            return self.change(index, event);
        }
        let effects = self.core.change(index, event, self.now, &mut self.entropy);
        assert!(
            !effects.iter().any(|effect| matches!(effect, Effect::Cut { .. })),
            "ended by a number that nobody gave"
        );
        self.check(effects);
    }

    /// A full state: of now, of a moment ago, of another incarnation.
    fn restart(&mut self, choices: &mut Choices<'_>) {
        let index = self.change.max(self.core.complete().0);
        match choices.below(8) {
            0 => {
                self.epoch += 1;
                self.world.scene.collective.incarnation.epoch = self.epoch;
                self.full(100);
                self.change = 100;
            }
            1 => {
                let now = self.world.scene.collective.incarnation;
                self.world.scene.collective.incarnation.id = IncarnationId::from_random([8; 16]);
                let twin = self.world.scene.view(index + 5);
                self.world.scene.collective.incarnation = now;
                assert!(
                    self.core.full(twin, self.now, &mut self.entropy).is_empty(),
                    "a second incarnation is believed"
                );
            }
            2 => {
                let mut older = self.world.scene.view(index.saturating_sub(20));
                older.revocations.clear();
                let behind = older.position.index < self.core.complete();
                if behind {
                    assert!(
                        self.core.full(older, self.now, &mut self.entropy).is_empty(),
                        "an older state is believed"
                    );
                }
            }
            _ => self.full(index + u64::from(choices.below(2))),
        }
    }

    fn full(&mut self, index: u64) {
        let mut view = self.world.scene.view(index);
        view.revocations = self.model.full(&view);
        view.forgotten_up_to = self.model.forgotten_up_to();
        let effects = self.core.full(view, self.now, &mut self.entropy);
        self.check(effects);
    }
}
