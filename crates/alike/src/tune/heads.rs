//! Which head over ready-made features, if any: chosen by cross-validation, so that a head never makes things worse without being seen.
//!
//! Candidates are settings, trained by the real loop: the features as they are, centred ones, computed whitenings, and learned heads. Each
//! is judged on images that it was not trained on: those of other classes where classes never trained on will be judged, and of the same
//! otherwise.

use super::JudgeBy;
use super::folds::{Candidate, CandidateChoice, Folds, Words, choose};
use crate::data::{Augment, Dataset, Progress};
use crate::train::{Settings, Start, TrainError, WIDEST, divide};
use std::sync::atomic::AtomicBool;

/// Parts that the images, or classes, are cut into; of many images fewer.
const FOLDS: usize = 5;
const FEWER: usize = 3;
const MANY: usize = 2000;
/// Passes over the images that a learned head gets, and images seen in all, at most.
const EPOCHS: u64 = 60;
const SEEN: u64 = 300_000;

const SHARP: &str = "normalized-softmax:smoothing=0.1,temperature=0.1";
const SOFT: &str = "normalized-softmax:smoothing=0.1,temperature=0.2";
/// The features as they are.
const RAW: &str = "raw";

struct Head {
    name: &'static str,
    network: String,
    start: Start,
    /// What it learns by, if anything, and the decay of its weights.
    learns: Option<(&'static str, f64)>,
}

/// The heads that are tried over `d` numbers.
fn heads(d: usize) -> Vec<Head> {
    let computed = |name, network: String, start| Head { name, network, start, learns: None };
    let learned = |name, network: String, loss, decay| Head {
        name,
        network,
        start: Start::Identity,
        learns: Some((loss, decay)),
    };
    let mut all = vec![
        // A pool over one place changes nothing.
        computed(RAW, "gap".to_owned(), Start::Identity),
        computed("unit length", "l2".to_owned(), Start::Identity),
        computed("centred", "norm l2".to_owned(), Start::Identity),
    ];
    // All directions: to choose some would take far longer, and what is learned does that better.
    if d <= WIDEST {
        all.push(computed("whitened", format!("linear({d}) l2"), Start::Whitened));
    }
    let linear = || "norm linear(128) l2".to_owned();
    let deep = "norm linear(256) relu linear(128) l2".to_owned();
    let residual = format!("norm residual(linear(256) relu linear({d})) l2");
    all.push(learned("linear", linear(), SHARP, 0.01));
    all.push(learned("linear, soft", linear(), SOFT, 0.01));
    all.push(learned("deep", deep, SHARP, 1.0));
    all.push(learned("residual", residual, SHARP, 1.0));
    all
}

impl Head {
    fn settings(&self, data: &Dataset, trained: usize, seed: u64) -> Settings {
        let base = Settings::seed_recipe(&data.name);
        let epochs = EPOCHS.min(SEEN / trained.max(1) as u64).max(1);
        let (loss, decay) = self.learns.unwrap_or((SHARP, 0.0));
        Settings {
            recipe: "auto".to_owned(),
            network: self.network.clone(),
            start: self.start,
            epochs: if self.learns.is_some() { epochs } else { 0 },
            batch_size: trained.clamp(1, 128),
            sampler: "random".parse().unwrap_or(base.sampler),
            loss: loss.to_owned(),
            distance: None,
            miner: None,
            reducer: None,
            regularizer: Vec::new(),
            memory: 0,
            augment: Augment::None,
            optimizer: "adamw".parse().unwrap_or(base.optimizer),
            learning_rate: 1e-3,
            schedule: "one-cycle".parse().unwrap_or(base.schedule),
            weight_decay: decay,
            proxy_rate: 10.0,
            average: 0.0,
            validate: 0.0,
            seed,
            ..base
        }
    }
}

/// Chooses a head for features, some of whose classes are not to be learned. Nothing if `stop` was set.
///
/// # Errors
///
/// If a class to be left out is not there, or a candidate cannot be trained.
///
/// # Panics
///
/// If the images are pictures rather than features.
pub fn choose_head(
    data: &Dataset,
    excluded: &[String],
    seed: u64,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<Option<CandidateChoice>, TrainError> {
    assert!(data.shape().is_features(), "choose_head: pictures have no head");
    let trained = divide(data, excluded, 0.0, seed)?.0;
    let judged_by = JudgeBy::of(data, excluded);
    let most = |images| if images < MANY { FOLDS } else { FEWER };
    let folds = Folds::new(data, &trained, judged_by, most, seed);
    let candidate = |head: Head| Candidate {
        name: head.name,
        network: head.network.clone(),
        settings: Box::new(move |trained| head.settings(data, trained, seed)),
    };
    let all: Vec<Candidate<'_>> = heads(data.shape().c).into_iter().map(candidate).collect();
    let words = Words { what: "head", first: "the features as they are", none: "no head" };
    choose(data, &folds, (&all, words), (trained.len(), seed), progress, stop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Quiet, Split};
    use crate::images::Images;
    use crate::train::Training;

    /// Features of `d` numbers: what tells classes apart in the first four, as loud as `signal`, and noise in the others that is far louder.
    fn set(classes: u32, each: usize, signal: f32, noise: f32) -> Dataset {
        let d = 24;
        let mut rows = Vec::new();
        let mut labels = Vec::new();
        let value = |a: usize, b: usize, c: usize| {
            let h = crate::rng::mix((a as u64) << 40 | (b as u64) << 20 | c as u64) >> 40;
            h as f32 / (1u32 << 24) as f32 - 0.5
        };
        for class in 0..classes as usize {
            for i in 0..each {
                for j in 0..d {
                    let own = if j < 4 {
                        signal * value(class, 999, j)
                    } else {
                        noise * value(class * each + i, 7, j)
                    };
                    rows.push(own + 0.02 * value(class * each + i, 3, j));
                }
                labels.push(class as u32);
            }
        }
        let names = (0..classes).map(|c| format!("c{c}")).collect();
        let split = Split::new(Images::from_features(d, &rows), labels);
        Dataset::new("made", "made", names, split.clone(), split)
    }

    /// So many classes to train on, and two others to judge by.
    fn open_set(classes: u32) -> Dataset {
        let all = set(classes + 2, 40, 1.0, 1.0);
        let (train, test) =
            (0..all.train.len()).partition::<Vec<usize>, _>(|i| all.train.labels[*i] < classes);
        Dataset { train: all.train.select(&train), test: all.train.select(&test), ..all }
    }

    fn choose(data: &Dataset, excluded: &[String]) -> CandidateChoice {
        choose_head(data, excluded, 1, &mut Quiet, &AtomicBool::new(false)).unwrap().unwrap()
    }

    #[test]
    fn a_head_wins_where_it_helps_and_none_where_it_cannot() {
        let noisy = choose(&set(12, 12, 1.0, 1.0), &[]);
        let best = noisy.scores.iter().find(|s| s.chosen).unwrap();
        let raw = &noisy.scores[0];
        assert!(best.name != RAW && best.interval[0] > 0.0, "{noisy:?}");
        assert!(best.accuracy > raw.accuracy + 0.1 && best.map_at_r > raw.map_at_r + 0.1, "{noisy:?}");
        assert_eq!((noisy.judged_by, noisy.images), (JudgeBy::Image, 144));
        // Nothing is left to be gained.
        let clean = choose(&set(12, 12, 1.0, 0.0), &[]);
        assert!(clean.scores[0].chosen && clean.scores[0].accuracy == 1.0, "{clean:?}");
        assert!(clean.sentence().starts_with("no head"));
        assert_eq!(clean.settings.network, "gap");
    }

    #[test]
    fn classes_that_are_left_out_are_judged_by_other_classes() {
        let data = set(12, 8, 1.0, 1.0);
        let choice = choose(&data, &["c3".to_owned()]);
        assert_eq!((choice.judged_by, choice.images), (JudgeBy::Class, 88));
        assert!(choice.sentence().contains("classes that they were not trained on"), "{}", choice.sentence());
    }

    #[test]
    fn a_head_for_other_classes_is_judged_by_several_at_a_time() {
        // One class by itself would be told apart by any features.
        for classes in [4, 5, 6] {
            let data = open_set(classes);
            let choice = choose(&data, &[]);
            assert_eq!(choice.judged_by, JudgeBy::Class);
            let raw = &choice.scores[0];
            assert!(raw.accuracy < 0.95, "{classes}: {raw:?}");
        }
        // Of three, one would be alone, or there would be one to learn from.
        assert!(choose(&open_set(3), &[]).scores.is_empty());
    }

    #[test]
    fn too_few_images_choose_no_head() {
        for (classes, each) in [(1, 9), (5, 1), (1, 1)] {
            let choice = choose(&set(classes, each, 1.0, 1.0), &[]);
            assert!(choice.scores.is_empty() && choice.settings.network == "gap", "{choice:?}");
            // What was chosen can be trained.
            let data = set(classes, each, 1.0, 1.0);
            Training::new(choice.settings, &data).unwrap().fit(&data).unwrap();
        }
    }
}
