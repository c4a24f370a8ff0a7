//! What is searched: losses with their values, miners, batches, step sizes, optimisers, augmentation and epochs.

use crate::loss::Losses;
use crate::rng::{Purpose, Rng, RngExt, stream};
use crate::train::{Pk, Sampler, Settings};

/// A loss, values to try besides its own, and samplers that suit it.
struct Family {
    loss: &'static str,
    /// Names and factors by which the usual value is multiplied.
    values: &'static [(&'static str, f64, &'static [f64])],
    miners: &'static [Option<&'static str>],
}

const SHARP: &[f64] = &[0.5, 1.0, 2.0];

const FAMILIES: [Family; 12] = [
    Family {
        loss: "multi-similarity",
        values: &[("beta", 50.0, &[0.4, 1.0]), ("base", 0.5, &[0.6, 1.0, 1.4])],
        miners: &[None, Some("multi-similarity")],
    },
    Family {
        loss: "proxy-anchor",
        values: &[("alpha", 32.0, SHARP), ("margin", 0.1, &[1.0, 3.0])],
        miners: &[None],
    },
    Family {
        loss: "supervised-contrastive",
        values: &[("temperature", 0.1, &[0.5, 1.0, 2.0])],
        miners: &[None],
    },
    Family { loss: "nt-xent", values: &[("temperature", 0.07, &[1.0, 2.0, 4.0])], miners: &[None] },
    Family { loss: "circle", values: &[("gamma", 80.0, SHARP), ("m", 0.4, &[0.6, 1.0])], miners: &[None] },
    Family {
        loss: "triplet-margin",
        values: &[("margin", 0.2, &[0.5, 1.0, 2.0])],
        miners: &[Some("semi-hard"), Some("distance-weighted"), None],
    },
    Family {
        loss: "contrastive",
        values: &[("neg-margin", 1.0, &[0.7, 1.0, 1.3])],
        miners: &[None, Some("pair-margin")],
    },
    Family {
        loss: "arcface",
        values: &[("scale", 64.0, &[0.25, 0.5, 1.0]), ("margin", 28.6, &[0.5, 1.0])],
        miners: &[None],
    },
    Family {
        loss: "cosface",
        values: &[("scale", 64.0, &[0.25, 0.5, 1.0]), ("margin", 0.35, &[0.5, 1.0])],
        miners: &[None],
    },
    Family {
        loss: "normalized-softmax",
        values: &[("temperature", 0.05, &[0.5, 1.0, 2.0])],
        miners: &[None],
    },
    Family {
        loss: "soft-triple",
        values: &[("la", 20.0, SHARP), ("margin", 0.01, &[1.0, 10.0])],
        miners: &[None],
    },
    Family { loss: "fast-ap", values: &[("num-bins", 10.0, &[1.0, 2.0])], miners: &[None] },
];

/// Optimisers with the step size and the weight decay that are usual for them.
const OPTIMIZERS: [(&str, f64, f64); 3] =
    [("adamw", 2e-3, 1e-3), ("muon", 5e-3, 1e-2), ("sgd:momentum=0.9,nesterov=true", 5e-2, 5e-4)];
/// Factors by which a step size is multiplied, and the number of epochs.
const STEPS: &[f64] = &[0.3, 0.6, 1.0, 1.7];
const EPOCHS: &[f64] = &[0.5, 1.0, 2.0];
/// How drawings are changed, which must not be flipped, and how photos are.
const DRAWINGS: &[&str] = &[
    "none",
    "affine",
    "affine:elastic=0.04",
    "custom:shift=0.1,rotate=20,scale=0.25,shear=0.2,elastic=0.06,erase=0.3",
];
const PHOTOS: &[&str] = &[
    "none",
    "photo",
    "photo:cutout=0.25",
    "custom:shift=0.08,rotate=12,scale=0.15,flip=0.5,brightness=0.3,contrast=0.5,erase=0.5",
];
/// Draws that may be taken in vain, for each candidate that is asked for.
const VAIN: u64 = 100;

/// What a data set leaves open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space<'a> {
    /// What every candidate begins from.
    pub base: &'a Settings,
    /// Classes that are trained on.
    pub classes: usize,
    /// How images may be changed.
    pub augment: &'static [&'static str],
    /// Whether the number of epochs is searched.
    pub epochs: bool,
}

/// The changes that suit a set's images.
pub(super) fn changes(features: bool, drawn: bool) -> &'static [&'static str] {
    match (features, drawn) {
        (true, _) => &[],
        (_, true) => DRAWINGS,
        (_, false) => PHOTOS,
    }
}

fn one<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

impl Space<'_> {
    /// So many candidates, no two of them alike: the settings that the search begins from, then every loss with its usual values, then what
    /// is drawn. Fewer where there are no more.
    pub(super) fn candidates(&self, seed: u64, count: usize) -> Vec<Settings> {
        let mut all: Vec<Settings> = Vec::new();
        let mut seen: Vec<Settings> = Vec::new();
        for trial in 0..VAIN * count as u64 {
            if all.len() == count {
                break;
            }
            let mut candidate = self.drawn(seed, trial);
            candidate.sampler = candidate.sampler.fitted(self.classes);
            let meant = meant(&candidate);
            if (trial == 0 || candidate.clone().resolve().is_ok()) && !seen.contains(&meant) {
                all.push(candidate);
                seen.push(meant);
            }
        }
        all
    }

    fn drawn(&self, seed: u64, trial: u64) -> Settings {
        if trial == 0 {
            return self.base.clone();
        }
        let mut rng = stream(seed, Purpose::Tune, trial, 0);
        let plain = FAMILIES.get(trial as usize - 1);
        let family = plain.unwrap_or_else(|| one(&mut rng, &FAMILIES));
        let mut loss = family.loss.to_owned();
        for (i, (name, usual, factors)) in family.values.iter().enumerate() {
            let value = usual * if plain.is_some() { 1.0 } else { *one(&mut rng, factors) };
            loss.push_str(&format!("{}{name}={value}", if i == 0 { ":" } else { "," }));
        }
        let miner = if plain.is_some() { family.miners[0] } else { *one(&mut rng, family.miners) };
        let base = self.base;
        let candidate = Settings {
            loss,
            miner: miner.map(str::to_owned),
            distance: None,
            reducer: None,
            memory: 0,
            regularizer: Vec::new(),
            // A batch of triplets suits triplets only.
            sampler: if base.sampler.of_triplets() { classes_of_images(base) } else { base.sampler },
            ..base.clone()
        };
        if plain.is_some() { candidate } else { self.varied(candidate, &mut rng) }
    }

    /// Another step size and batch, and by halves another optimiser, augmentation and number of epochs.
    fn varied(&self, candidate: Settings, rng: &mut Rng) -> Settings {
        let mut varied = candidate;
        if rng.random_bool(0.5) {
            varied.sampler = classes_of_images(self.base);
        }
        if rng.random_bool(0.5) {
            let (name, rate, decay) = *one(rng, &OPTIMIZERS);
            let other = name.parse().unwrap_or(varied.optimizer);
            if other != varied.optimizer {
                (varied.optimizer, varied.learning_rate, varied.weight_decay) = (other, rate, decay);
            }
        }
        varied.learning_rate *= one(rng, STEPS);
        if rng.random_bool(0.5) && !self.augment.is_empty() {
            varied.augment = one(rng, self.augment).parse().unwrap_or(varied.augment);
        }
        if rng.random_bool(0.5) && self.epochs {
            let epochs = varied.epochs as f64 * one(rng, EPOCHS);
            varied.epochs = (epochs.round() as u64).max(1);
        }
        varied
    }
}

/// The same settings with every value of the loss written out, so that what is meant can be compared.
fn meant(candidate: &Settings) -> Settings {
    let loss = candidate.loss.parse::<Losses>().map_or_else(|_| candidate.loss.clone(), |l| l.to_string());
    Settings { loss, ..candidate.clone() }
}

/// Classes and images of about the same batch.
fn classes_of_images(base: &Settings) -> Sampler {
    let images = base.sampler.images(base.batch_size);
    let classes = (images / 4).clamp(2, 10);
    Sampler::Pk(Pk { classes, images: (images / classes).max(2) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;
    use std::collections::BTreeSet;

    fn space<'a>(base: &'a Settings, augment: &'static [&'static str]) -> Space<'a> {
        Space { base, classes: 10, augment, epochs: true }
    }

    #[test]
    fn every_candidate_can_be_trained_and_a_seed_gives_the_same() {
        for name in &crate::train::RECIPES[1..] {
            let base = Settings::recipe(name, "mnist").unwrap();
            let all = space(&base, DRAWINGS).candidates(3, 200);
            assert_eq!((all.len(), &all[0]), (200, &base));
            assert_eq!(all, space(&base, DRAWINGS).candidates(3, 200));
            assert_eq!(all[..27], space(&base, DRAWINGS).candidates(3, 27));
            for settings in all {
                assert!(settings.clone().resolve().is_ok(), "{settings:?}");
                assert!(settings.augment.changes().is_none_or(|c| c.flip == 0.0), "a drawing is not flipped");
            }
        }
    }

    #[test]
    fn no_candidate_is_tried_twice_and_everything_is_varied() {
        // The recipe's loss is one of the losses that are tried, with its usual values, which it does not write out.
        let base = Settings::recipe("fast", "mnist").unwrap();
        let all = space(&base, PHOTOS).candidates(1, 300);
        let distinct: BTreeSet<String> = all.iter().map(|s| format!("{:?}", meant(s))).collect();
        assert_eq!(distinct.len(), 300);
        let usual = "proxy-anchor".parse::<Losses>().unwrap().to_string();
        let same = |s: &&Settings| meant(s) == Settings { loss: usual.clone(), ..base.clone() };
        assert_eq!(all.iter().filter(same).count(), 1);
        let kinds = |of: &dyn Fn(&Settings) -> String| all.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(kinds(&|s| s.epochs.to_string()), 3);
        assert_eq!(kinds(&|s| text::write(&s.optimizer)), 3);
        // The recipe's own beside four.
        assert_eq!(kinds(&|s| text::write(&s.augment)), 5);
        let still = Space { epochs: false, ..space(&base, &[]) }.candidates(1, 300);
        assert!(still.iter().all(|s| s.epochs == base.epochs && s.augment == base.augment));
    }

    #[test]
    fn a_set_of_few_classes_has_batches_of_few() {
        let base = Settings::recipe("best", "mnist").unwrap();
        let all = Space { classes: 3, ..space(&base, DRAWINGS) }.candidates(1, 100);
        let classes = |s: &Settings| if let Sampler::Pk(pk) = s.sampler { pk.classes } else { 3 };
        assert!(all.iter().all(|s| classes(s) == 3));
    }
}
