//! Figures with their peers', as the summary holds them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::report::Step;

/// All figures by key.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, Figure>);

/// One figure: a median, and what it is compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figure {
    /// Median of the runs, or the quantile that the key names.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: String,
    /// Who was measured beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
    /// The peer's median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer_value: Option<f64>,
    /// Ours divided by the peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// Smallest run.
    pub(crate) min: f64,
    /// Largest run.
    pub(crate) max: f64,
    /// Number of runs.
    pub(crate) runs: usize,
}

impl Figures {
    /// Adds the median of samples.
    pub(crate) fn add(&mut self, step: &mut Step, key: &str, unit: &str, samples: &[f64]) -> Result<()> {
        self.insert(step, key, Figure::new(unit, samples)?);
        Ok(())
    }

    /// Adds a quantile of samples: the smallest one that so many of them (0 to 1) do not exceed.
    pub(crate) fn add_quantile(
        &mut self,
        step: &mut Step,
        key: &str,
        unit: &str,
        samples: &[f64],
        part: f64,
    ) -> Result<()> {
        self.insert(step, key, Figure::quantile(unit, samples, part)?);
        Ok(())
    }

    /// Adds the median of samples and its ratio to a peer's.
    pub(crate) fn add_beside(
        &mut self,
        step: &mut Step,
        key: &str,
        unit: &str,
        samples: &[f64],
        (peer, theirs): (&str, &[f64]),
    ) -> Result<()> {
        let other = Figure::new(unit, theirs)?;
        let mut figure = Figure::new(unit, samples)?;
        figure.peer = Some(peer.to_owned());
        figure.peer_value = Some(other.value);
        figure.ratio = Some(figure.value / other.value);
        self.insert(step, key, figure);
        Ok(())
    }

    /// Adds the median of samples whose peer is not to be had here: named, without a value.
    pub(crate) fn add_without(
        &mut self,
        step: &mut Step,
        key: &str,
        unit: &str,
        samples: &[f64],
        peer: &str,
    ) -> Result<()> {
        let mut figure = Figure::new(unit, samples)?;
        figure.peer = Some(peer.to_owned());
        self.insert(step, key, figure);
        Ok(())
    }

    /// Writes `summary.json` into a directory.
    pub(crate) fn write(&self, directory: &Path) -> Result<PathBuf> {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let path = directory.join("summary.json");
        fs::write(&path, serde_json::to_vec_pretty(self)?).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    fn insert(&mut self, step: &mut Step, key: &str, figure: Figure) {
        let beside = match (&figure.peer, figure.peer_value, figure.ratio) {
            (Some(peer), Some(value), Some(ratio)) => format!(", {peer} {value:.2}, ratio {ratio:.2}"),
            (Some(peer), ..) => format!(", {peer} is missing here"),
            _ => String::new(),
        };
        step.figure(key, format!("{:.2} {}{beside}", figure.value, figure.unit));
        self.0.insert(key.to_owned(), figure);
    }
}

impl Figure {
    fn new(unit: &str, samples: &[f64]) -> Result<Self> {
        Self::of(unit, samples, |sorted| sorted[sorted.len() / 2])
    }

    /// By nearest rank.
    fn quantile(unit: &str, samples: &[f64], part: f64) -> Result<Self> {
        Self::of(unit, samples, |sorted| {
            let rank = (part * sorted.len() as f64).ceil() as usize;
            sorted[rank.clamp(1, sorted.len()) - 1]
        })
    }

    /// `choose` gets the samples in ascending order; there is one at least.
    fn of(unit: &str, samples: &[f64], choose: impl FnOnce(&[f64]) -> f64) -> Result<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = sorted.first().copied().zip(sorted.last().copied()).context("nothing was measured")?;
        let value = choose(&sorted);
        Ok(Self {
            value,
            unit: unit.to_owned(),
            peer: None,
            peer_value: None,
            ratio: None,
            min,
            max,
            runs: sorted.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_peer_is_named_and_never_guessed() {
        let (mut figures, mut report) = (Figures::default(), crate::report::Report::stdout());
        report.step("figures", |step| {
            figures.add_without(step, "alone", "1/s", &[1.0], "nobody")?;
            figures.add_beside(step, "beside", "1/s", &[6.0, 4.0, 5.0], ("somebody", &[2.0]))
        });
        let summary = serde_json::to_value(&figures).unwrap();
        let alone =
            serde_json::json!({"value": 1.0, "unit": "1/s", "peer": "nobody", "min": 1.0, "max": 1.0, "runs": 1});
        assert_eq!(summary["alone"], alone);
        assert_eq!((&summary["beside"]["peerValue"], &summary["beside"]["ratio"]), (&2.0.into(), &2.5.into()));
    }

    #[test]
    fn the_median_is_the_value() {
        let figure = Figure::new("ms", &[9.0, 1.0, 2.0]).unwrap();
        assert_eq!((figure.value, figure.min, figure.max, figure.runs), (2.0, 1.0, 9.0, 3));
        assert!(Figure::new("ms", &[]).is_err());
    }

    #[test]
    fn a_quantile_is_the_smallest_sample_that_so_many_do_not_exceed() {
        let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let value = |part| Figure::quantile("ms", &samples, part).unwrap().value;
        assert_eq!([value(0.5), value(0.95), value(0.99), value(1.0)], [100.0, 190.0, 198.0, 200.0]);
        assert_eq!(Figure::quantile("ms", &[7.0], 0.99).unwrap().value, 7.0);
    }
}
