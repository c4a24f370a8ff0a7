//! What is searched: losses with their values, step sizes, batches.

use crate::rng::{Purpose, Rng, RngExt, stream};
use crate::train::Settings;

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

fn one<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

/// Candidate number `trial` of a search: the settings that it begins from, with another loss, its values, step size and
/// batch. The first candidates are every loss with its usual values; candidate 0 is the settings as they are.
pub fn candidate(base: &Settings, seed: u64, trial: u64) -> Settings {
    if trial == 0 {
        return base.clone();
    }
    let mut rng = stream(seed, Purpose::Tune, trial, 0);
    let plain = trial as usize <= FAMILIES.len();
    let family = if plain { &FAMILIES[trial as usize - 1] } else { one(&mut rng, &FAMILIES) };
    let mut loss = family.loss.to_owned();
    for (i, (name, usual, factors)) in family.values.iter().enumerate() {
        let value = usual * if plain { 1.0 } else { *one(&mut rng, factors) };
        loss.push_str(&format!("{}{name}={value}", if i == 0 { ":" } else { "," }));
    }
    let factor = if plain { 1.0 } else { *one(&mut rng, &[0.3, 0.6, 1.0, 1.7]) };
    let classes = *one(&mut rng, &[false, true]) && !plain;
    Settings {
        loss,
        miner: (if plain { family.miners[0] } else { *one(&mut rng, family.miners) }).map(str::to_owned),
        distance: None,
        reducer: None,
        memory: 0,
        regularizer: Vec::new(),
        // A batch of triplets suits triplets only.
        sampler: if classes || base.sampler.of_triplets() { fitting(base) } else { base.sampler },
        learning_rate: base.learning_rate * factor,
        ..base.clone()
    }
}

/// Classes and images of about the same batch.
fn fitting(base: &Settings) -> crate::train::Sampler {
    let images = base.sampler.images(base.batch_size);
    let classes = (images / 4).clamp(2, 10);
    crate::train::Sampler::Pk(crate::train::Pk { classes, images: (images / classes).max(2) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_can_be_trained_and_a_seed_gives_the_same() {
        for name in &crate::train::RECIPES[1..] {
            let base = Settings::recipe(name, "mnist").unwrap();
            for trial in 0..200 {
                let settings = candidate(&base, 3, trial);
                assert!(settings.clone().resolve().is_ok(), "{settings:?}");
                assert_eq!(settings, candidate(&base, 3, trial));
            }
        }
    }
}
