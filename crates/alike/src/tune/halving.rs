//! Successive halving, one trial after another, so that a search can be stopped and continued anywhere.

use super::space::{Space, changes};
use crate::data::{Apart, Dataset, Split, drawn, hold_out};
use crate::eval::{Retrieval, rank_quality};
use crate::files::FileError;
use crate::images::{Features, Vectors};
use crate::neighbours::{Exact, Exclude, nearest};
use crate::rng::{Purpose, SliceRandom, stream};
use crate::text;
use crate::train::{Observer, Outcome, Settings, TrainError, Training};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

/// What candidates are judged on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum JudgeBy {
    /// Images of the classes that are trained on.
    Image,
    /// Classes that are not.
    Class,
}

impl JudgeBy {
    /// What says most about the images that will be judged: other classes where such are left out of training.
    pub(super) fn of(data: &Dataset, excluded: &[String]) -> JudgeBy {
        if data.is_open_set() || !excluded.is_empty() { JudgeBy::Class } else { JudgeBy::Image }
    }
}

/// A round of a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rung {
    /// How many candidates are left.
    pub candidates: usize,
    /// The share of the images that they are trained on.
    pub share: f64,
}

/// The rounds for so many candidates: a third goes on, to twice the images. (Three times would begin with so few that a
/// loss's start decides, and not where it leads.)
pub fn rungs(candidates: usize) -> Vec<Rung> {
    let mut counts = vec![candidates.max(1)];
    while let Some(&last) = counts.last().filter(|n| **n > 3 && counts.len() < 4) {
        counts.push(last.div_ceil(3));
    }
    let top = counts.len() - 1;
    let share = |i: usize| 2f64.powi(i as i32 - top as i32);
    counts.iter().enumerate().map(|(i, n)| Rung { candidates: *n, share: share(i) }).collect()
}

/// What a candidate came to in a round: a line of the search's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trial {
    /// The round, from 0.
    pub rung: usize,
    /// The candidate.
    pub number: u64,
    /// Its loss.
    pub loss: String,
    /// Its miner.
    pub miner: Option<String>,
    /// Its step size.
    pub learning_rate: f64,
    /// Its optimizer; version 0.1 did not say, and varied neither that nor what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// Its augmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<String>,
    /// Its epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Precision@1 on what it was not trained on; below zero where training failed.
    pub accuracy: f64,
    /// The mean MAP@R there.
    pub map_at_r: f64,
    /// How long training took.
    pub seconds: f64,
}

impl Trial {
    /// A trial of these settings that has come to nothing yet.
    fn of(settings: &Settings, rung: usize, number: u64) -> Trial {
        Trial {
            rung,
            number,
            loss: settings.loss.clone(),
            miner: settings.miner.clone(),
            learning_rate: settings.learning_rate,
            optimizer: Some(text::write(&settings.optimizer)),
            augment: Some(text::write(&settings.augment)),
            epochs: Some(settings.epochs),
            accuracy: -1.0,
            map_at_r: -1.0,
            seconds: 0.0,
        }
    }

    /// Whether it says of its settings what another says, where both say anything.
    fn is_of(&self, other: &Trial) -> bool {
        fn same<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        (self.number, &self.loss, &self.miner, self.learning_rate)
            == (other.number, &other.loss, &other.miner, other.learning_rate)
            && same(self.optimizer.as_ref(), other.optimizer.as_ref())
            && same(self.augment.as_ref(), other.augment.as_ref())
            && same(self.epochs.as_ref(), other.epochs.as_ref())
    }
}

/// How a search is made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchOptions {
    /// How many candidates it begins with.
    pub candidates: usize,
    /// What they are judged on.
    #[serde(rename = "by")]
    pub judge_by: JudgeBy,
    /// The share of the training images, or of the classes, that is held out for that.
    #[serde(rename = "hold_out")]
    pub held_out: f64,
    /// Whether all candidates get as many epochs as the settings that they begin from. Not written down: [`Search::has`] knows trials of others.
    #[serde(skip)]
    pub keep_epochs: bool,
}

/// A search cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// There is nothing to judge by.
    #[error("{0}")]
    Data(String),
    /// A candidate's training failed in a way that every candidate's would.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An image could not be read.
    #[error(transparent)]
    Images(#[from] FileError),
}

/// A search over candidates that begin from settings.
#[derive(Debug)]
pub struct Search {
    base: Settings,
    seed: u64,
    candidates: Vec<Settings>,
    classes: Vec<String>,
    categories: Vec<String>,
    train: Split,
    held_out: Split,
    judge_by: JudgeBy,
    /// The rounds.
    pub rungs: Vec<Rung>,
    /// What was done, in order.
    pub trials: Vec<Trial>,
}

impl Search {
    /// A search over the training split of a data set, for candidates that begin from `base`.
    ///
    /// # Errors
    ///
    /// If there are too few images to hold any back, or one cannot be read.
    pub fn new(base: Settings, data: &Dataset, options: SearchOptions) -> Result<Search, TuneError> {
        let SearchOptions { judge_by, held_out, .. } = options;
        let seed = base.seed;
        let labels = &data.train.labels;
        let all: Vec<usize> = (0..labels.len()).collect();
        let (stay, out) = match judge_by {
            JudgeBy::Image => hold_out(&data.train, &all, held_out, seed, Apart::Image),
            JudgeBy::Class => {
                let mut classes: Vec<u32> = (0..data.classes.len() as u32).collect();
                classes.shuffle(&mut stream(seed, Purpose::Tune, 0, 1));
                let n = ((classes.len() as f64 * held_out).round() as usize).max(2);
                let apart = &classes[..n.min(classes.len())];
                all.iter().partition(|i| !apart.contains(&labels[**i]))
            }
        };
        if out.len() < 10 || stay.len() < 10 {
            let why = format!(
                "{} has too few images to hold any back for judging: {} would stay and {} be held back",
                data.name,
                stay.len(),
                out.len()
            );
            return Err(TuneError::Data(why));
        }
        // More than this many queries tell no more of candidates than these do.
        let mut queries = out;
        queries.shuffle(&mut stream(seed, Purpose::Tune, 0, 2));
        queries.truncate(10_000);
        queries.sort_unstable();
        let base = Settings { validate: 0.0, ..base };
        let space = Space {
            base: &base,
            classes: stay.iter().map(|i| labels[*i]).collect::<HashSet<_>>().len(),
            augment: changes(data.train.images.are_floats(), drawn(&data.train.images)?),
            epochs: !options.keep_epochs,
        };
        let candidates = space.candidates(seed, options.candidates.max(1));
        Ok(Search {
            seed,
            classes: data.classes.clone(),
            categories: data.categories.clone(),
            train: data.train.select(&stay),
            held_out: data.train.select(&queries),
            judge_by,
            rungs: rungs(candidates.len()),
            candidates,
            base,
            trials: Vec::new(),
        })
    }

    /// How many images candidates are judged by.
    pub fn queries(&self) -> usize {
        self.held_out.len()
    }

    /// The candidates of a round, if all before it are done.
    fn entrants(&self, rung: usize) -> Vec<u64> {
        if rung == 0 {
            return (0..self.rungs[0].candidates as u64).collect();
        }
        self.best(rung - 1).into_iter().take(self.rungs[rung].candidates).map(|t| t.number).collect()
    }

    /// The trials of a round, the best first.
    pub fn best(&self, rung: usize) -> Vec<&Trial> {
        let mut all: Vec<&Trial> = self.trials.iter().filter(|t| t.rung == rung).collect();
        all.sort_by(|a, b| {
            (b.accuracy, b.map_at_r)
                .partial_cmp(&(a.accuracy, a.map_at_r))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        all
    }

    /// What is to be tried next; nothing when the search is done.
    pub fn next(&self) -> Option<(usize, u64)> {
        for rung in 0..self.rungs.len() {
            let tried = |n: &u64| self.trials.iter().any(|t| (t.rung, t.number) == (rung, *n));
            if let Some(number) = self.entrants(rung).into_iter().find(|n| !tried(n)) {
                return Some((rung, number));
            }
        }
        None
    }

    /// The settings of a candidate.
    ///
    /// # Panics
    ///
    /// If the search has no such candidate.
    pub fn settings(&self, number: u64) -> &Settings {
        &self.candidates[number as usize]
    }

    /// Whether a recorded trial is one of this search's: of a round and a candidate that it has, with the same settings.
    pub fn has(&self, trial: &Trial) -> bool {
        let candidate = self.candidates.get(trial.number as usize);
        trial.rung < self.rungs.len()
            && candidate.is_some_and(|c| Trial::of(c, trial.rung, trial.number).is_of(trial))
    }

    /// Trains and judges a candidate; nothing if it was stopped.
    ///
    /// # Errors
    ///
    /// If its settings do not fit the data, or training fails.
    pub fn run(
        &self,
        rung: usize,
        number: u64,
        observers: &mut [&mut dyn Observer],
        stop: &AtomicBool,
    ) -> Result<Option<Trial>, TuneError> {
        let began = std::time::Instant::now();
        let settings = self.settings(number).clone();
        let all: Vec<usize> = (0..self.train.len()).collect();
        let (_, part) = if self.rungs[rung].share < 1.0 {
            part(&self.train, &all, self.rungs[rung].share, self.seed)
        } else {
            (Vec::new(), all)
        };
        let train = self.train.select(&part);
        let (name, classes) = (self.base.data.as_str(), self.classes.clone());
        let data = Dataset {
            categories: self.categories.clone(),
            ..Dataset::new(name, "", classes, train, self.held_out.clone())
        };
        let mut trial = Trial::of(&settings, rung, number);
        let mut training = Training::new(settings, &data)?;
        match training.run(&data, observers, stop) {
            Ok(Outcome::Finished) => {}
            Ok(Outcome::Stopped) => return Ok(None),
            // A candidate whose loss leaves the numbers is a bad one, and no reason to stop the search.
            Err(TrainError::NotFinite { .. } | TrainError::WeightsNotFinite { .. }) => {
                trial.seconds = began.elapsed().as_secs_f64();
                return Ok(Some(trial));
            }
            Err(e) => return Err(e.into()),
        }
        trial.seconds = began.elapsed().as_secs_f64();
        let quality = self.judge(&mut training)?;
        (trial.accuracy, trial.map_at_r) = (quality.precision_at_1, quality.map_at_r);
        Ok(Some(trial))
    }

    /// Held-out images among themselves: no candidate has an advantage from a larger gallery.
    fn judge(&self, training: &mut Training) -> Result<Retrieval, FileError> {
        let embeddings: Features = training.embed(&self.held_out.images)?;
        let labels = &self.held_out.labels;
        let mut counts = vec![0usize; self.classes.len()];
        labels.iter().for_each(|l| counts[*l as usize] += 1);
        let most = counts.iter().max().copied().unwrap_or(1).saturating_sub(1).max(1);
        let vectors = Vectors::Features(&embeddings);
        let all = nearest(&Exact::new(vectors), vectors, most, Exclude::Itself, |q, list| {
            let r = counts[labels[q] as usize] - 1;
            (r > 0).then(|| rank_quality(list.iter().map(|n| labels[n.index] == labels[q]), r))
        });
        Ok(Retrieval::mean(&all.into_iter().flatten().collect::<Vec<_>>()))
    }

    /// Whether candidates are judged by classes that they were not trained on.
    pub fn judge_by(&self) -> JudgeBy {
        self.judge_by
    }
}

/// A share of every class, at least two images of each.
fn part(split: &Split, all: &[usize], share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut by_class: std::collections::BTreeMap<u32, Vec<usize>> = std::collections::BTreeMap::new();
    all.iter().for_each(|i| by_class.entry(split.labels[*i]).or_default().push(*i));
    let (mut rest, mut chosen) = (Vec::new(), Vec::new());
    for (class, mut members) in by_class {
        members.shuffle(&mut stream(seed, Purpose::Tune, u64::from(class), 3));
        let n = ((members.len() as f64 * share).round() as usize).max(2).min(members.len());
        chosen.extend_from_slice(&members[..n]);
        rest.extend_from_slice(&members[n..]);
    }
    chosen.sort_unstable();
    (rest, chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DigitCounts, digits};

    fn options(judge_by: JudgeBy, candidates: usize) -> SearchOptions {
        SearchOptions { judge_by, candidates, held_out: 0.3, keep_epochs: false }
    }

    #[test]
    fn a_third_goes_on_to_twice_the_images() {
        let all = rungs(27);
        assert_eq!(all.iter().map(|r| r.candidates).collect::<Vec<_>>(), [27, 9, 3]);
        assert_eq!(all.iter().map(|r| r.share).collect::<Vec<_>>(), [0.25, 0.5, 1.0]);
        assert_eq!(rungs(2), [Rung { candidates: 2, share: 1.0 }]);
    }

    #[test]
    fn a_set_of_few_classes_has_batches_of_few() {
        let digits = digits(DigitCounts { train: 300, test: 20 }, 1);
        let of_three = |split: &Split| {
            let few: Vec<usize> = (0..split.len()).filter(|i| split.labels[*i] < 3).collect();
            split.select(&few)
        };
        let classes = digits.classes[..3].to_vec();
        let data = Dataset::new("three", "", classes, of_three(&digits.train), of_three(&digits.test));
        let base = Settings {
            network: "norm relu conv(16) maxpool(3, stride=3) norm relu conv(16) gap".into(),
            epochs: 1,
            batch_size: 16,
            ..Settings::recipe("seed", "digits").unwrap()
        };
        let mut search = Search::new(base, &data, options(JudgeBy::Image, 3)).unwrap();
        while let Some((rung, number)) = search.next() {
            let trial = search.run(rung, number, &mut [], &AtomicBool::new(false)).unwrap().unwrap();
            search.trials.push(trial);
        }
        assert_eq!(search.trials.len(), 3);
    }

    #[test]
    fn a_search_that_is_continued_does_what_is_left_and_finds_the_same() {
        let data = digits(DigitCounts { train: 300, test: 20 }, 1);
        let base = Settings {
            network: "norm relu conv(16) maxpool(3, stride=3) norm relu conv(16) gap".into(),
            epochs: 1,
            batch_size: 20,
            ..Settings::recipe("fast", "digits").unwrap()
        };
        for judgement in [JudgeBy::Image, JudgeBy::Class] {
            let search = || Search::new(base.clone(), &data, options(judgement, 4)).unwrap();
            let go = |search: &mut Search, most: usize| {
                for _ in 0..most {
                    let Some((rung, number)) = search.next() else { return };
                    let trial = search.run(rung, number, &mut [], &AtomicBool::new(false)).unwrap().unwrap();
                    assert!(trial.accuracy > 0.0);
                    search.trials.push(trial);
                }
            };
            let mut whole = search();
            go(&mut whole, 99);
            assert_eq!(whole.trials.len(), 4 + 2);
            let mut continued = search();
            go(&mut continued, 3);
            let mut again = search();
            again.trials = continued.trials;
            go(&mut again, 99);
            let results =
                |s: &Search| s.trials.iter().map(|t| (t.rung, t.number, t.accuracy)).collect::<Vec<_>>();
            assert_eq!(results(&whole), results(&again));
        }
    }
}
