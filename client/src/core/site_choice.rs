//! Which Gateway of a Site to connect to: sticky, by weight, passing over those that failed.
//!
//! Candidates are active and not excluded, ranked by −weight ÷ ln h with h = BLAKE3(deviceId ‖ gatewayId) as a number
//! in (0, 1): weighted rendezvous hashing, so that one device keeps its Gateway and many devices spread by weight.
//! Weight 0 comes last. A suspended Gateway keeps whom it has and is not chosen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringwall_protocol::id::{ApplianceId, DeviceId};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::token::GatewayOffer;

use super::back_off;

/// The next candidate is tried if the one before has not welcomed the Client after this long.
pub(crate) const HEAD_START: Duration = Duration::from_millis(400);
/// A Gateway that served this long without failing has earned a clean slate.
pub(crate) const STABLE_AFTER: Duration = Duration::from_mins(10);

/// What one device remembers of the Gateways of one Site.
#[derive(Debug, Clone)]
pub(crate) struct SiteChoice {
    device: DeviceId,
    exclusions: BTreeMap<ApplianceId, Exclusion>,
}

#[derive(Debug, Clone, Copy)]
struct Exclusion {
    failures: u32,
    until: Instant,
}

impl SiteChoice {
    /// A choice without memories.
    #[must_use]
    pub(crate) const fn new(device: DeviceId) -> Self {
        Self { device, exclusions: BTreeMap::new() }
    }

    /// Gateways in the order in which to try them. `current` carries the session now: it comes first, and may be
    /// suspended, for resuming is not choosing.
    #[must_use]
    pub(crate) fn candidates<'a>(
        &self,
        offers: &'a [GatewayOffer],
        current: Option<ApplianceId>,
        now: Instant,
    ) -> Vec<&'a GatewayOffer> {
        let mut usable: Vec<_> = offers
            .iter()
            .filter(|offer| may_be_tried(offer, current) && !self.excluded(offer.id, now))
            .map(|offer| (current != Some(offer.id), self.rank(offer), offer))
            .collect();
        usable.sort_by(|(late_a, rank_a, a), (late_b, rank_b, b)| {
            late_a.cmp(late_b).then(rank_b.total_cmp(rank_a)).then(a.id.cmp(&b.id))
        });
        usable.into_iter().map(|(_, _, offer)| offer).collect()
    }

    /// When the first of these Gateways may be tried again; `None` if one may be tried now, or none ever.
    #[must_use]
    pub(crate) fn next_try(
        &self,
        offers: &[GatewayOffer],
        current: Option<ApplianceId>,
        now: Instant,
    ) -> Option<Instant> {
        let usable = || offers.iter().filter(|offer| may_be_tried(offer, current));
        if usable().any(|offer| !self.excluded(offer.id, now)) {
            return None;
        }
        usable().filter_map(|offer| self.exclusions.get(&offer.id)).map(|exclusion| exclusion.until).min()
    }

    /// A Gateway failed: it is passed over for 5 s × 2ⁿ ≤ 60 s, ± 50 %. `random` is uniform in 0..1.
    pub(crate) fn failed(&mut self, gateway: ApplianceId, now: Instant, random: f64) {
        let failures = self.exclusions.get(&gateway).map_or(0, |exclusion| exclusion.failures).saturating_add(1);
        let until = now + back_off::exclusion(failures, random);
        self.exclusions.insert(gateway, Exclusion { failures, until });
    }

    /// A Gateway has served for `stable`; after [`STABLE_AFTER`] its failures are forgotten.
    pub(crate) fn served(&mut self, gateway: ApplianceId, stable: Duration) {
        if stable >= STABLE_AFTER {
            self.exclusions.remove(&gateway);
        }
    }

    /// Every Gateway may be tried at once again: the device has another network, or new tokens.
    pub(crate) fn clear_exclusions(&mut self, now: Instant) {
        for exclusion in self.exclusions.values_mut() {
            exclusion.until = exclusion.until.min(now);
        }
    }

    fn excluded(&self, gateway: ApplianceId, now: Instant) -> bool {
        self.exclusions.get(&gateway).is_some_and(|exclusion| now < exclusion.until)
    }

    /// Higher is better; 0 for weight 0, where all are equal and the hash no longer counts but for the order.
    fn rank(&self, offer: &GatewayOffer) -> f64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.device.uuid().as_bytes());
        hasher.update(offer.id.uuid().as_bytes());
        let [a, b, c, d, e, f, g, ..] = *hasher.finalize().as_bytes();
        let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]) >> 3; // 53 bits: what a double holds exactly
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let h = (bits as f64 + 0.5) / (1_u64 << 53) as f64;
        -f64::from(offer.weight) / h.ln()
    }
}

fn may_be_tried(offer: &GatewayOffer, current: Option<ApplianceId>) -> bool {
    match offer.state {
        ApplianceState::Active => true,
        ApplianceState::Suspended | ApplianceState::Retiring => current == Some(offer.id),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(id: u8, weight: u32, state: ApplianceState) -> GatewayOffer {
        GatewayOffer {
            id: ApplianceId::from_random([id; 16]),
            name: format!("gw{id}"),
            addresses: vec![format!("192.0.2.{id}:443")],
            weight,
            state,
            spki_sha256: vec![],
            spa_key: None,
            spa_mode: None,
            datagram: false,
        }
    }

    fn device(bits: u128) -> DeviceId {
        DeviceId::from_random(bits.to_be_bytes())
    }

    fn ids(list: &[&GatewayOffer]) -> Vec<ApplianceId> {
        list.iter().map(|offer| offer.id).collect()
    }

    #[test]
    fn devices_spread_by_weight() {
        let offers = [offer(1, 300, ApplianceState::Active), offer(2, 100, ApplianceState::Active)];
        let now = Instant::now();
        let first = (0..4_000_u128)
            .filter(|n| {
                let hashed = *blake3::hash(&n.to_be_bytes()).as_bytes();
                let choice = SiteChoice::new(device(u128::from_be_bytes(hashed[..16].try_into().expect("16 bytes"))));
                choice.candidates(&offers, None, now)[0].id == offers[0].id
            })
            .count();
        assert!((2_850..=3_150).contains(&first), "{first} of 4000 chose the one with three quarters of the weight");
    }

    #[test]
    fn suspended_is_kept_but_not_chosen_and_others_never_are() {
        let offers = [offer(1, 1, ApplianceState::Suspended), offer(2, 1, ApplianceState::Active)];
        let (choice, now) = (SiteChoice::new(device(7)), Instant::now());
        assert_eq!(ids(&choice.candidates(&offers, None, now)), [offers[1].id]);
        assert_eq!(ids(&choice.candidates(&offers, Some(offers[0].id), now)), [offers[0].id, offers[1].id]);
    }

    #[test]
    fn when_all_failed_the_earliest_is_waited_for() {
        let offers = [offer(1, 1, ApplianceState::Active), offer(2, 1, ApplianceState::Active)];
        let (mut choice, now) = (SiteChoice::new(device(7)), Instant::now());
        choice.failed(offers[0].id, now, 0.5);
        assert_eq!(choice.next_try(&offers, None, now), None);
        choice.failed(offers[1].id, now, 0.0);
        assert_eq!(choice.candidates(&offers, None, now).len(), 0);
        let next = choice.next_try(&offers, None, now).expect("a time");
        assert_eq!(next - now, Duration::from_millis(2_500));
        assert_eq!(ids(&choice.candidates(&offers, None, next)), [offers[1].id]);
        choice.clear_exclusions(now);
        assert_eq!(choice.candidates(&offers, None, now).len(), 2);
    }

    #[test]
    fn failures_are_forgotten_only_after_a_stable_time() {
        let gateway = ApplianceId::from_random([1; 16]);
        let (mut choice, now) = (SiteChoice::new(device(7)), Instant::now());
        choice.failed(gateway, now, 0.5);
        choice.served(gateway, Duration::from_secs(599));
        choice.failed(gateway, now, 0.5);
        assert!(choice.excluded(gateway, now + Duration::from_millis(9_999)), "second failure: 10 s");
        choice.served(gateway, STABLE_AFTER);
        choice.failed(gateway, now, 0.5);
        assert!(!choice.excluded(gateway, now + Duration::from_secs(5)), "first failure again: 5 s");
    }

    prop_compose! {
        fn some_offers()(weights in prop::collection::vec(0_u32..=10_000, 0..8)) -> Vec<GatewayOffer> {
            (0_u8..).zip(weights).map(|(id, weight)| offer(id, weight, ApplianceState::Active)).collect()
        }
    }

    proptest! {
        #[test]
        fn order_depends_on_device_and_weights_only(offers in some_offers(), bits: u128, seed: u64) {
            let (choice, now) = (SiteChoice::new(device(bits)), Instant::now());
            let mut shuffled = offers.clone();
            shuffled.sort_by_key(|offer| *blake3::hash(&[offer.id.uuid().as_bytes().as_slice(), &seed.to_be_bytes()].concat()).as_bytes());
            prop_assert_eq!(ids(&choice.candidates(&offers, None, now)), ids(&choice.candidates(&shuffled, None, now)));
        }

        #[test]
        fn weight_zero_comes_last(offers in some_offers(), bits: u128) {
            let weights: Vec<_> = SiteChoice::new(device(bits))
                .candidates(&offers, None, Instant::now()).iter().map(|offer| offer.weight == 0).collect();
            prop_assert!(weights.is_sorted());
        }

        #[test]
        fn a_gateway_that_leaves_moves_nobody_else(offers in some_offers(), bits: u128, gone in 0_usize..8) {
            let (choice, now) = (SiteChoice::new(device(bits)), Instant::now());
            let before = ids(&choice.candidates(&offers, None, now));
            let Some(gone) = offers.get(gone).map(|offer| offer.id) else { return Ok(()) };
            let rest: Vec<_> = offers.iter().filter(|offer| offer.id != gone).cloned().collect();
            let after = ids(&choice.candidates(&rest, None, now));
            prop_assert_eq!(before.into_iter().filter(|id| *id != gone).collect::<Vec<_>>(), after);
        }

        #[test]
        fn the_failed_one_is_never_a_candidate_until_its_time(offers in some_offers(), bits: u128, at in 0_usize..8, random in 0.0..1.0) {
            let (mut choice, now) = (SiteChoice::new(device(bits)), Instant::now());
            let Some(failed) = offers.get(at).map(|offer| offer.id) else { return Ok(()) };
            choice.failed(failed, now, random);
            prop_assert!(!ids(&choice.candidates(&offers, None, now)).contains(&failed));
            prop_assert!(ids(&choice.candidates(&offers, None, now + Duration::from_secs(8))).contains(&failed));
        }
    }
}
