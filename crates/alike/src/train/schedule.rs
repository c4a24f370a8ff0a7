//! How the learning rate goes over a run.

use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// What the learning rate is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Schedule {
    /// One, always.
    Constant,
    /// Less by a factor after every so many epochs.
    Step(Steps),
    /// From one to zero along half a cosine.
    Cosine,
    /// Up, then down to nothing (Smith and Topin 2019, <https://arxiv.org/abs/1708.07120>; `torch`'s `OneCycleLR` without
    /// momentum).
    OneCycle(OneCycle),
}

/// See [`Schedule::Step`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Steps {
    /// Epochs between.
    pub epochs: u64,
    /// The factor.
    pub factor: f64,
}

impl Default for Steps {
    fn default() -> Steps {
        Steps { epochs: 10, factor: 0.1 }
    }
}

/// See [`Schedule::OneCycle`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// The share of the run that goes up.
    pub rise: f64,
    /// The peak by the beginning.
    pub start: f64,
    /// The beginning by the end.
    pub end: f64,
    /// How it goes down.
    pub fall: Fall,
}

/// How a rate goes down, as a function of the share of the way that is done, t.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Fall {
    /// Along half a cosine.
    #[default]
    Cosine,
    /// Along a straight line.
    Linear,
    /// As 1 - sqrt(t): fast at first, with many small steps at the end (Hägele et al. 2024, <https://arxiv.org/abs/2405.18392>).
    Sqrt,
}

impl Fall {
    /// From one to zero.
    fn at(self, t: f64) -> f64 {
        match self {
            Fall::Cosine => (1.0 + (PI * t).cos()) / 2.0,
            Fall::Linear => 1.0 - t,
            Fall::Sqrt => 1.0 - t.sqrt(),
        }
    }
}

impl Default for OneCycle {
    fn default() -> OneCycle {
        OneCycle { rise: 0.3, start: 25.0, end: 1e4, fall: Fall::Cosine }
    }
}

impl Choice for Schedule {
    const WHAT: &'static str = "schedule";

    fn all() -> Vec<Schedule> {
        vec![
            Schedule::Constant,
            Schedule::Step(Steps::default()),
            Schedule::Cosine,
            Schedule::OneCycle(OneCycle::default()),
        ]
    }
}

impl std::str::FromStr for Schedule {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Schedule, text::ChoiceError> {
        text::parse(s)
    }
}

impl Schedule {
    /// The factor of step `step` of `total`, `per_epoch` of them an epoch, the first `warmup` of which rise to it.
    pub fn factor(&self, step: u64, total: u64, per_epoch: u64, warmup: u64) -> f64 {
        let rise = if step < warmup { (step + 1) as f64 / (warmup + 1) as f64 } else { 1.0 };
        let curve = |from: f64, to: f64, t: f64, fall: Fall| to + (from - to) * fall.at(t);
        rise * match *self {
            Schedule::Constant => 1.0,
            Schedule::Step(Steps { epochs, factor }) => {
                factor.powi((step / per_epoch.max(1) / epochs.max(1)) as i32)
            }
            Schedule::Cosine => curve(1.0, 0.0, step as f64 / total.max(1) as f64, Fall::Cosine),
            Schedule::OneCycle(OneCycle { rise, start, end, fall }) => {
                let peak = (rise * total as f64 - 1.0).max(1e-9);
                let last = (total as f64 - 1.0).max(peak + 1e-9);
                let (low, step) = (1.0 / start, step as f64);
                if step <= peak {
                    curve(low, 1.0, step / peak, Fall::Cosine)
                } else {
                    curve(1.0, low / end, (step - peak) / (last - peak), fall)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `OneCycleLR(max_lr=1, total_steps=10)` of PyTorch 2.15.
    const PYTORCH: [f64; 10] =
        [0.04, 0.52, 1.0, 0.9504846, 0.8117457, 0.611262, 0.388742, 0.1882583, 0.0495194, 4e-06];

    #[test]
    fn one_cycle_is_pytorchs() {
        let schedule: Schedule = "one-cycle".parse().unwrap();
        for (step, expected) in PYTORCH.iter().enumerate() {
            assert!((schedule.factor(step as u64, 10, 5, 0) - expected).abs() < 1e-6, "{step}");
        }
    }

    /// From the peak on, `OneCycleLR(max_lr=1, total_steps=10, anneal_strategy="linear")`.
    const PYTORCH_LINEAR: [f64; 8] =
        [1.0, 0.8571429, 0.7142869, 0.5714303, 0.4285737, 0.2857171, 0.1428606, 4e-06];

    #[test]
    fn it_goes_down_as_it_is_told_to() {
        let factor = |fall: &str, step: usize| {
            let schedule: Schedule = format!("one-cycle:fall={fall}").parse().unwrap();
            schedule.factor(step as u64, 10, 5, 0)
        };
        for (i, expected) in PYTORCH_LINEAR.iter().enumerate() {
            assert!((factor("linear", 2 + i) - expected).abs() < 1e-6, "{i}");
            assert_eq!(
                factor("cosine", 2 + i),
                "one-cycle".parse::<Schedule>().unwrap().factor(2 + i as u64, 10, 5, 0)
            );
        }
        // 1 - sqrt(4/7) by hand, and what is left at the end.
        assert!((factor("sqrt", 6) - 0.2440741).abs() < 1e-5 && (factor("sqrt", 9) - 4e-6).abs() < 1e-9);
        // They rise alike.
        assert_eq!((factor("sqrt", 0), factor("linear", 1)), (factor("cosine", 0), factor("cosine", 1)));
        let wrong = "one-cycle:fall=steep".parse::<Schedule>().unwrap_err().to_string();
        assert!(wrong.contains("steep") && wrong.contains("sqrt"), "{wrong}");
    }

    #[test]
    fn schedules_begin_and_end_where_they_say() {
        let factor = |text: &str, step| text.parse::<Schedule>().unwrap().factor(step, 100, 10, 0);
        assert_eq!((factor("constant", 0), factor("constant", 99)), (1.0, 1.0));
        assert_eq!((factor("cosine", 0), factor("cosine", 50)), (1.0, 0.5));
        assert_eq!(factor("step:epochs=3,factor=0.5", 29), 1.0);
        assert_eq!(factor("step:epochs=3,factor=0.5", 60), 0.25);
        let warm = |step| Schedule::Constant.factor(step, 100, 10, 4);
        assert_eq!((warm(0), warm(3), warm(4)), (0.2, 0.8, 1.0));
    }
}
