//! How long to wait before trying again: doubling, bounded, spread.

use std::time::Duration;

/// `first × 2ⁿ`, at most `most`, ± 50 %. `failures` counts from 1; `random` is uniform in 0..1.
#[must_use]
pub(crate) fn delay(first: Duration, most: Duration, failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let centre = first.saturating_mul(1 << doublings).min(most);
    centre.mul_f64(0.5 + random.clamp(0.0, 1.0))
}

/// Between calls to Controllers: 1 s × 2ⁿ ≤ 30 s.
#[must_use]
pub(crate) fn between_calls(failures: u32, random: f64) -> Duration {
    delay(Duration::from_secs(1), Duration::from_secs(30), failures, random)
}

/// How long a Gateway that failed is passed over: 5 s × 2ⁿ ≤ 60 s.
#[must_use]
pub(crate) fn exclusion(failures: u32, random: f64) -> Duration {
    delay(Duration::from_secs(5), Duration::from_mins(1), failures, random)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exclusions_stay_within_half_of_their_centre(failures in 1_u32..1_000, random in 0.0..1.0) {
            let got = exclusion(failures, random);
            let centre = (5.0 * 2_f64.powi(i32::try_from(failures.min(20)).expect("small") - 1)).min(60.0);
            prop_assert!((got.as_secs_f64() - centre).abs() <= centre * 0.5 + 1e-6);
        }

        #[test]
        fn waiting_between_calls_never_exceeds_45_seconds(failures in 0_u32.., random in 0.0..1.0) {
            prop_assert!(between_calls(failures, random) <= Duration::from_secs(45));
        }
    }
}
