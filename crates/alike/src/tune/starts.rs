//! Whether few pictures are learned from at all, or a last layer is computed: chosen by cross-validation on the training classes.
//!
//! Of few pictures of classes that will be judged by other classes, a network learns those classes rather than what tells others apart;
//! where pictures always lie alike, as faces do, a computed layer is better. Which holds is seen on classes that neither was trained on.

use super::JudgeBy;
use super::folds::{Candidate, CandidateChoice, Folds, Words, choose};
use crate::data::{Dataset, Progress};
use crate::model::named_network;
use crate::train::{Settings, Start, TrainError, divide};
use std::sync::atomic::AtomicBool;

/// Halves: the network is trained once more than without a choice, and as many classes are judged as in the end.
const PARTS: usize = 2;

/// Chooses between what is learned by some settings and [`Start::Whitened`], for pictures whose classes will be judged by others. Nothing if
/// `stop` was set.
///
/// # Errors
///
/// If a class to be left out is not there, or a candidate cannot be trained.
pub fn choose_start(
    data: &Dataset,
    learned: &Settings,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<Option<CandidateChoice>, TrainError> {
    let seed = learned.seed;
    let trained = divide(data, &learned.exclude_class, learned.validate, seed)?.0;
    let folds = Folds::new(data, &trained, JudgeBy::Class, |_| PARTS, seed);
    // What a half is trained by has nothing held out, nor left out.
    let learned = Settings { validate: 0.0, exclude_class: Vec::new(), ..learned.clone() };
    let shallow = named_network("shallow", data.shape()).unwrap_or_else(|| learned.network.clone());
    let whitened = Settings { start: Start::Whitened, network: shallow, epochs: 0, ..learned.clone() };
    let candidate = |name, settings: Settings| Candidate {
        name,
        network: settings.network.clone(),
        settings: Box::new(move |_| settings.clone()),
    };
    let all = [candidate("trained", learned), candidate("whitened", whitened)];
    let words = Words { what: "start", first: "a trained network", none: "a trained network" };
    choose(data, &folds, (&all, words), (trained.len(), seed), progress, stop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Quiet, Split};
    use crate::images::{Images, Shape};

    /// Pictures whose classes are told apart by a faint pattern, beside light that changes far more.
    fn lit(classes: usize, each: usize) -> Dataset {
        let shape = Shape { h: 12, w: 12, c: 1 };
        let value = |a: usize, b: usize, c: usize| {
            let h = crate::rng::mix((a as u64) << 40 | (b as u64) << 20 | c as u64) >> 40;
            h as f32 / (1u32 << 24) as f32 - 0.5
        };
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for class in 0..classes {
            for i in 0..each {
                let slope = [0, 1, 2].map(|axis| 90.0 * value(class * each + i, 3, axis));
                for at in 0..144 {
                    let (y, x) = ((at / 12) as f32 / 6.0 - 1.0, (at % 12) as f32 / 6.0 - 1.0);
                    let light = slope[0] + slope[1] * y + slope[2] * x;
                    let own = 30.0 * value(class, 1, at / 24 * 6 + at % 12 / 2);
                    pixels.push((128.0 + light + own).clamp(0.0, 255.0) as u8);
                }
                labels.push(class as u32);
            }
        }
        let names = (0..classes).map(|c| format!("c{c}")).collect();
        let all = Split::new(Images::new(shape, pixels), labels);
        let half = |part: &dyn Fn(u32) -> bool| {
            all.select(&(0..all.len()).filter(|i| part(all.labels[*i])).collect::<Vec<_>>())
        };
        let half_of = classes as u32 / 2;
        Dataset::new("lit", "lit", names, half(&|l| l < half_of), half(&|l| l >= half_of))
    }

    fn choice(data: &Dataset) -> CandidateChoice {
        let learned = Settings { epochs: 1, ..Settings::auto(data, &[]).unwrap().settings };
        choose_start(data, &learned, &mut Quiet, &AtomicBool::new(false)).unwrap().unwrap()
    }

    #[test]
    fn a_computed_layer_is_chosen_where_it_tells_other_classes_apart() {
        let choice = choice(&lit(24, 8));
        assert_eq!((choice.judged_by, choice.images), (JudgeBy::Class, 96));
        assert_eq!((choice.settings.start, choice.settings.epochs), (Start::Whitened, 0), "{choice:?}");
        assert!(choice.scores[1].interval[0] > 0.0, "{choice:?}");
        assert!(choice.sentence().contains("points better than a trained network"), "{}", choice.sentence());
    }

    #[test]
    fn too_few_classes_are_learned_as_they_are() {
        let choice = choice(&lit(6, 8));
        assert!(choice.scores.is_empty() && choice.settings.start == Start::Random, "{choice:?}");
    }
}
