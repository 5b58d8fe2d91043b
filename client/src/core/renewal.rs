//! When to ask a Controller for new tokens: before anything expires, spread over devices, backing off.
//!
//! A token is renewed at exp − max(5 min, life ÷ 6) − jitter(0 … life ÷ 12), the jitter taken from the DN's hash, but
//! never in the first half of that lifetime. New claims are followed by new entitlement tokens, which hold what the new
//! claims are worth; a certificate goes along when less than half of its lifetime is left.

use std::time::Duration;

use ringwall_protocol::time::UnixMillis;

use super::back_off;

const LEAD: Duration = Duration::from_mins(5);
/// Several Gateways tell of one revocation within this time.
pub(crate) const COALESCE_TIME: Duration = Duration::from_millis(500);
/// Least time between two renewals: lifetimes of no length must not make a Client ask without end.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// From when to when something is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// Issued.
    pub(crate) from: UnixMillis,
    /// Expires.
    pub(crate) until: UnixMillis,
}

impl Validity {
    const fn length(self) -> Duration {
        self.from.until(self.until)
    }

    fn half_over(self, now: UnixMillis) -> bool {
        now >= self.from.plus(self.length() / 2)
    }

    /// When to renew. `jitter` is in 0..1 and the same for one device at all times.
    #[must_use]
    pub(crate) fn renew_at(self, jitter: f64) -> UnixMillis {
        let life = self.length();
        let lead = LEAD.max(life / 6) + (life / 12).mul_f64(jitter.clamp(0.0, 1.0));
        self.until.minus(lead.min(life / 2))
    }
}

/// What is to be asked for now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Renewal {
    /// A claims token; entitlement tokens follow it.
    pub(crate) claims: bool,
    /// A certificate.
    pub(crate) certificate: bool,
    /// Entitlement tokens of all Sites.
    pub(crate) entitlements: bool,
}

impl Renewal {
    /// True if nothing is.
    #[must_use]
    pub(crate) const fn is_empty(self) -> bool {
        !(self.claims || self.certificate || self.entitlements)
    }

    const fn and(self, other: Self) -> Self {
        Self {
            claims: self.claims || other.claims,
            certificate: self.certificate || other.certificate,
            entitlements: self.entitlements || other.entitlements,
        }
    }
}

/// The lifetimes of what is held, and what was asked for out of turn.
#[derive(Debug, Clone)]
pub(crate) struct RenewalPlan {
    jitter: f64,
    claims: Option<Validity>,
    certificate: Option<Validity>,
    entitlements: Option<Validity>,
    urgent: Renewal,
    /// Wanted while a renewal was under way, and too late to be part of it.
    late: Renewal,
    /// Since when a renewal is under way.
    began: Option<UnixMillis>,
    failures: u32,
    not_before: UnixMillis,
}

impl RenewalPlan {
    /// A plan for the holder of `dn`, who holds nothing yet.
    #[must_use]
    pub(crate) fn new(dn: &str) -> Self {
        let [a, b, c, d, ..] = *blake3::hash(dn.as_bytes()).as_bytes();
        let jitter = f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX);
        Self {
            jitter,
            claims: None,
            certificate: None,
            entitlements: None,
            urgent: Renewal::default(),
            late: Renewal::default(),
            began: None,
            failures: 0,
            not_before: UnixMillis(0),
        }
    }

    /// A claims token is held.
    pub(crate) fn hold_claims(&mut self, life: Validity) {
        self.claims = Some(life);
        self.urgent.claims = false;
    }

    /// A certificate is held.
    pub(crate) fn hold_certificate(&mut self, life: Validity) {
        self.certificate = Some(life);
        self.urgent.certificate = false;
    }

    /// Entitlement tokens are held; the one that ends first counts. None at all is an answer too.
    pub(crate) fn hold_entitlements(&mut self, lives: impl IntoIterator<Item = Validity>) {
        self.entitlements = lives.into_iter().min_by_key(|life| life.until);
        self.urgent.entitlements = false;
    }

    /// A Gateway, or a revocation behind it, wants these renewed out of turn. What comes within [`COALESCE_TIME`] of a
    /// renewal's beginning is taken for the same cause, told by another Gateway; later ones are renewed once more,
    /// for the tokens on their way may be older than what is revoked now.
    pub(crate) fn want(&mut self, what: Renewal, now: UnixMillis) {
        if self.began.is_some_and(|began| now > began.plus(COALESCE_TIME)) {
            self.late = self.late.and(what);
        } else {
            self.urgent = self.urgent.and(what);
        }
    }

    /// A renewal of what is due begins.
    pub(crate) fn begin(&mut self, now: UnixMillis) {
        self.began = Some(now);
    }

    /// What is due.
    #[must_use]
    pub(crate) fn due(&self, now: UnixMillis) -> Renewal {
        if now < self.not_before {
            return Renewal::default();
        }
        let passed = |life: Option<Validity>| life.is_some_and(|life| now >= life.renew_at(self.jitter));
        let claims = passed(self.claims) || self.urgent.claims;
        let with_claims = claims && self.certificate.is_some_and(|life| life.half_over(now));
        Renewal {
            claims,
            certificate: passed(self.certificate) || self.urgent.certificate || with_claims,
            entitlements: claims || passed(self.entitlements) || self.urgent.entitlements,
        }
    }

    /// When [`Self::due`] will say more than now, if nothing happens.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<UnixMillis> {
        let planned = [self.claims, self.certificate, self.entitlements];
        let planned = planned.into_iter().flatten().map(|life| life.renew_at(self.jitter));
        let urgent = (!self.urgent.is_empty()).then_some(UnixMillis(0));
        planned.chain(urgent).min().map(|at| at.max(self.not_before))
    }

    /// No Controller gave an answer: wait longer each time. `random` is uniform in 0..1. Answers the wait.
    pub(crate) fn failed(&mut self, now: UnixMillis, random: f64) -> Duration {
        self.end();
        self.failures = self.failures.saturating_add(1);
        let wait = back_off::between_calls(self.failures, random);
        self.not_before = now.plus(wait);
        wait
    }

    /// Everything that was due has been renewed. The next renewal is at least [`MIN_INTERVAL`] away, whatever
    /// the lifetimes of what is new.
    pub(crate) fn succeeded(&mut self, now: UnixMillis) {
        self.end();
        self.failures = 0;
        self.not_before = now.plus(MIN_INTERVAL);
    }

    fn end(&mut self) {
        self.began = None;
        self.urgent = self.urgent.and(std::mem::take(&mut self.late));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn life(from: u64, until: u64) -> Validity {
        Validity { from: UnixMillis(from), until: UnixMillis(until) }
    }

    #[test]
    fn a_token_of_three_hours_is_renewed_half_an_hour_before_its_end() {
        assert_eq!(life(0, 3 * HOUR).renew_at(0.0), UnixMillis(3 * HOUR - HOUR / 2));
        assert_eq!(life(0, 3 * HOUR).renew_at(1.0), UnixMillis(3 * HOUR - 3 * HOUR / 4));
    }

    #[test]
    fn a_token_of_a_minute_is_renewed_after_half_of_it() {
        assert_eq!(life(1_000, 61_000).renew_at(0.7), UnixMillis(31_000));
    }

    #[test]
    fn new_claims_bring_entitlements_and_an_old_certificate_along() {
        let mut plan = RenewalPlan::new("CN=d,CN=u,OU=p");
        plan.hold_claims(life(0, 8 * HOUR));
        plan.hold_entitlements([life(0, 24 * HOUR)]);
        plan.hold_certificate(life(0, 10 * HOUR));
        assert!(plan.due(UnixMillis(HOUR)).is_empty());
        let due = plan.due(UnixMillis(8 * HOUR));
        assert_eq!(due, Renewal { claims: true, certificate: true, entitlements: true });
        plan.want(Renewal { claims: true, ..Renewal::default() }, UnixMillis(0));
        assert!(!plan.due(UnixMillis(HOUR)).certificate, "most of its lifetime is left");
    }

    #[test]
    fn what_a_gateway_asks_for_is_due_at_once_and_once() {
        let mut plan = RenewalPlan::new("x");
        plan.hold_claims(life(0, 8 * HOUR));
        plan.hold_entitlements([life(0, 3 * HOUR)]);
        plan.want(Renewal { entitlements: true, ..Renewal::default() }, UnixMillis(0));
        assert_eq!(plan.due(UnixMillis(1)), Renewal { entitlements: true, ..Renewal::default() });
        assert_eq!(plan.next_deadline(), Some(UnixMillis(0)));
        plan.hold_entitlements([life(1, 3 * HOUR)]);
        assert!(plan.due(UnixMillis(1)).is_empty());
    }

    #[test]
    fn one_revocation_told_by_two_gateways_is_one_renewal_and_a_later_one_is_another() {
        let claims = Renewal { claims: true, ..Renewal::default() };
        let renewed = |second: u64| {
            let mut plan = RenewalPlan::new("x");
            plan.want(claims, UnixMillis(1_000));
            plan.begin(UnixMillis(1_000));
            plan.want(claims, UnixMillis(second));
            plan.hold_claims(life(1_000, 8 * HOUR));
            plan.hold_entitlements([life(1_000, 8 * HOUR)]);
            plan.succeeded(UnixMillis(3_000));
            plan.due(UnixMillis(4_000))
        };
        assert!(renewed(1_400).is_empty());
        assert!(renewed(1_600).claims);
    }

    #[test]
    fn failures_delay_and_success_ends_the_delay() {
        let mut plan = RenewalPlan::new("x");
        plan.want(Renewal { claims: true, ..Renewal::default() }, UnixMillis(0));
        let wait = plan.failed(UnixMillis(1_000), 0.5);
        assert!(plan.due(UnixMillis(1_000)).is_empty());
        assert_eq!(plan.next_deadline(), Some(UnixMillis(1_000).plus(wait)));
        assert!(plan.due(UnixMillis(1_000).plus(wait)).claims);
        plan.succeeded(UnixMillis(1_000));
        assert!(plan.due(UnixMillis(2_000)).claims);
    }

    #[test]
    fn lives_of_no_length_do_not_make_a_client_ask_without_end() {
        let mut plan = RenewalPlan::new("x");
        plan.hold_claims(life(1_000, 1_000));
        plan.succeeded(UnixMillis(1_000));
        assert!(plan.due(UnixMillis(1_999)).is_empty());
        assert_eq!(plan.next_deadline(), Some(UnixMillis(2_000)));
    }

    #[test]
    fn without_entitlements_the_next_claims_request_them_again() {
        let mut plan = RenewalPlan::new("x");
        plan.hold_claims(life(0, 8 * HOUR));
        plan.hold_entitlements([]);
        assert!(!plan.due(UnixMillis(HOUR)).entitlements);
        assert!(plan.due(UnixMillis(8 * HOUR)).entitlements);
    }

    proptest! {
        #[test]
        fn renewal_falls_into_the_second_half_of_a_life_and_before_its_end(from in 0_u64..1 << 40, length in 1_u64..1 << 30, jitter in 0.0..=1.0) {
            let life = life(from, from + length);
            let at = life.renew_at(jitter);
            prop_assert!(at.0 >= from + length / 2 && at < life.until || length < 2);
        }

        #[test]
        fn at_the_deadline_something_is_due(claims in 1_u64..1 << 30, entitlements in 1_u64..1 << 30, dn: String) {
            let mut plan = RenewalPlan::new(&dn);
            plan.hold_claims(life(0, claims));
            plan.hold_entitlements([life(0, entitlements)]);
            let at = plan.next_deadline().expect("two lifetimes");
            prop_assert!(!plan.due(at).is_empty());
            prop_assert!(at.0 == 0 || plan.due(UnixMillis(at.0 - 1)).is_empty());
        }
    }
}
