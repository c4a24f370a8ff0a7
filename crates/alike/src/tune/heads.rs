//! Which head over ready-made features, if any: chosen by cross-validation, so that a head never makes things worse without being seen.
//!
//! Candidates are settings, trained by the real loop: the features as they are, centred ones, computed whitenings, and learned heads. Each
//! is judged on images that it was not trained on: those of other classes where classes never trained on will be judged, and of the same
//! otherwise. An image's score is the mean of two measures: whether its nearest neighbour is of its class, and its average precision at R.
//! That candidate wins whose advantage over the features as they are is surest: whose 95 % interval has the highest lower end. If none of
//! these is above zero, the features stay as they are.

use super::JudgeBy;
use crate::data::{Augment, Dataset, Progress, Unit};
use crate::eval::{difference, rank_quality};
use crate::files::FileError;
use crate::images::{Features, Images, Vectors};
use crate::neighbours::{Exact, Exclude, nearest};
use crate::sample;
use crate::train::{Outcome, Settings, Start, TrainError, Training, WIDEST, divide};
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Images that are judged, at most: some are drawn of more.
const MOST: usize = 6000;
/// Parts that the images, or classes, are cut into; of many images fewer.
const FOLDS: usize = 5;
const FEWER: usize = 3;
const MANY: usize = 2000;
/// Passes over the images that a learned head gets, and images seen in all, at most.
const EPOCHS: u64 = 60;
const SEEN: u64 = 300_000;

/// What came of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeadScore {
    /// What it is called.
    pub name: &'static str,
    /// Its network.
    pub network: String,
    /// The share of images whose nearest neighbour is of their class.
    pub accuracy: f64,
    /// The mean average precision at R.
    pub map_at_r: f64,
    /// The mean of the two, minus that of the features as they are, with its 95 % interval.
    pub gain: f64,
    /// See `gain`.
    pub interval: [f64; 2],
    /// Whether it was chosen.
    pub chosen: bool,
}

/// The head that was chosen.
#[derive(Clone, Debug)]
pub struct HeadChoice {
    /// What to train it by.
    pub settings: Settings,
    /// All candidates, the features as they are first. None where there was nothing to judge by.
    pub scores: Vec<HeadScore>,
    /// Whether they were judged by classes that they were not trained on.
    pub judged_by: JudgeBy,
    /// Images that were judged.
    pub images: usize,
}

impl HeadChoice {
    /// What was chosen and why, in a sentence.
    pub fn sentence(&self) -> String {
        let by = match self.judged_by {
            JudgeBy::Class => "classes that they were not trained on",
            JudgeBy::Image => "images that they were not trained on",
        };
        let percent = |v: f64| format!("{:+.1}", 100.0 * v);
        match self.scores.iter().find(|s| s.chosen) {
            None => "no head: there are no two images of a class to judge one by".to_owned(),
            Some(raw) if raw.name == RAW => {
                format!("no head: of {} images, none is surely better by {by}", self.images)
            }
            Some(best) => format!(
                "head '{}': {} points better than the features as they are [{} to {}], on {} images by {by}",
                best.name,
                percent(best.gain),
                percent(best.interval[0]),
                percent(best.interval[1]),
                self.images
            ),
        }
    }
}

const SHARP: &str = "normalized-softmax:smoothing=0.1,temperature=0.1";
const SOFT: &str = "normalized-softmax:smoothing=0.1,temperature=0.2";
/// The features as they are.
const RAW: &str = "raw";

struct Candidate {
    name: &'static str,
    network: String,
    start: Start,
    /// What it learns by, if anything, and the decay of its weights.
    learns: Option<(&'static str, f64)>,
}

/// The heads that are tried over `d` numbers.
fn candidates(d: usize) -> Vec<Candidate> {
    let computed = |name, network: String, start| Candidate { name, network, start, learns: None };
    let learned = |name, network: String, loss, decay| Candidate {
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

impl Candidate {
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
) -> Result<Option<HeadChoice>, TrainError> {
    assert!(data.shape().is_features(), "choose_head: pictures have no head");
    let trained = divide(data, excluded, 0.0, seed)?.0;
    let judged_by = JudgeBy::of(data, excluded);
    let all = candidates(data.shape().c);
    let chosen = |at: usize, scores, images| {
        let settings = all[at].settings(data, trained.len(), seed);
        HeadChoice { settings, scores, judged_by, images }
    };
    let folds = Folds::new(data, &trained, judged_by, seed);
    if folds.parts.is_empty() {
        return Ok(Some(chosen(0, Vec::new(), 0)));
    }
    progress.begin("choosing a head", Some((all.len() * folds.parts.len()) as u64), Unit::Trials);
    let mut judged: Vec<Option<Vec<[f64; 2]>>> = Vec::new();
    for candidate in &all {
        let mut scores = Some(Vec::new());
        for part in &folds.parts {
            match folds.judge(data, part, candidate, seed, stop)? {
                Judgement::Stopped => {
                    progress.end();
                    return Ok(None);
                }
                // A head whose loss becomes infinite is none.
                Judgement::Failed => scores = None,
                Judgement::Scores(more) => {
                    if let Some(scores) = &mut scores {
                        scores.extend(more);
                    }
                }
            }
            progress.advance(1);
        }
        judged.push(scores);
    }
    progress.end();
    let Some(raw) = judged[0].clone() else { return Ok(Some(chosen(0, Vec::new(), 0))) };
    let groups = folds.groups(data);
    let both = |s: &[f64; 2]| (s[0] + s[1]) / 2.0;
    let mean = |of: &dyn Fn(&[f64; 2]) -> f64, scores: &[[f64; 2]]| {
        scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64
    };
    let mut scores: Vec<(usize, HeadScore)> = Vec::new();
    for (at, judged) in judged.iter().enumerate() {
        let Some(judged) = judged else { continue };
        let [own, raw] = [judged, &raw].map(|scores| scores.iter().map(both).collect::<Vec<f64>>());
        let (gain, interval) = advantage(&raw, &own, &groups, seed);
        let (name, network) = (all[at].name, all[at].network.clone());
        let (accuracy, map_at_r) = (mean(&|s| s[0], judged), mean(&|s| s[1], judged));
        scores.push((at, HeadScore { name, network, accuracy, map_at_r, gain, interval, chosen: false }));
    }
    let best = surest(scores.iter().map(|s| s.1.interval));
    scores[best].1.chosen = true;
    let at = scores[best].0;
    let images = raw.len();
    Ok(Some(chosen(at, scores.into_iter().map(|s| s.1).collect(), images)))
}

enum Judgement {
    /// By image of the part that has a match: whether its nearest is of its class, and its average precision at R.
    Scores(Vec<[f64; 2]>),
    Failed,
    Stopped,
}

/// Images cut into parts, each judged by heads that were trained on the others.
struct Folds {
    judged_by: JudgeBy,
    /// The images that take part.
    images: Vec<usize>,
    /// By part: which of `images` are judged.
    parts: Vec<Vec<usize>>,
}

impl Folds {
    fn new(data: &Dataset, trained: &[usize], judged_by: JudgeBy, seed: u64) -> Folds {
        let keys =
            |some: &[usize]| -> Vec<u64> { some.iter().map(|i| data.train.identities.keys()[*i]).collect() };
        let labels = |some: &[usize]| -> Vec<u32> { some.iter().map(|i| data.train.labels[*i]).collect() };
        let drawn = sample::stratified(&labels(trained), &keys(trained), MOST, 4, seed);
        let mut images: Vec<usize> = drawn.into_iter().map(|i| trained[i]).collect();
        images.sort_unstable();
        let (keys, labels) = (keys(&images), labels(&images));
        let count = if images.len() < MANY { FOLDS } else { FEWER };
        let classes = labels.iter().collect::<std::collections::BTreeSet<_>>().len();
        // A class that is judged alone is told apart from nothing.
        let count = if judged_by == JudgeBy::Class { count.min(classes / 2).max(1) } else { count };
        let groups = &data.train.groups;
        let groups: Vec<u32> = images.iter().filter_map(|i| groups.get(*i).copied()).collect();
        let fold = match judged_by {
            // Whole classes: as groups of one class that all are of.
            JudgeBy::Class => sample::folds(&vec![0; labels.len()], Some(&labels), &keys, count, seed),
            JudgeBy::Image => {
                let groups = (groups.len() == images.len()).then_some(&groups[..]);
                sample::folds(&labels, groups, &keys, count, seed)
            }
        };
        let mut folds = Folds { judged_by, images, parts: Vec::new() };
        if !data.labelled {
            return folds;
        }
        let parts = (0..count).map(|f| (0..fold.len()).filter(|i| fold[*i] == f).collect::<Vec<_>>());
        // A part tells something if some of its images have a match, and the others are of two classes, so that something can be learned.
        let tells = |part: &Vec<usize>| {
            let inside: std::collections::HashSet<usize> = part.iter().copied().collect();
            let others: std::collections::BTreeSet<u32> =
                (0..labels.len()).filter(|i| !inside.contains(i)).map(|i| labels[i]).collect();
            let own: std::collections::BTreeSet<u32> = part.iter().map(|i| labels[*i]).collect();
            let told = folds.judged_by == JudgeBy::Image || own.len() > 1;
            told && !folds.matched(data, part).is_empty() && others.len() > 1
        };
        let parts: Vec<Vec<usize>> = parts.filter(tells).collect();
        folds.parts = parts;
        folds
    }

    /// What a part is compared with: itself, or what it was not trained on.
    fn gallery(&self, part: &[usize]) -> Vec<usize> {
        let rows = |some: &[usize]| some.iter().map(|i| self.images[*i]).collect();
        match self.judged_by {
            JudgeBy::Class => rows(part),
            JudgeBy::Image => rows(&self.others(part)),
        }
    }

    fn others(&self, part: &[usize]) -> Vec<usize> {
        let inside: std::collections::HashSet<usize> = part.iter().copied().collect();
        (0..self.images.len()).filter(|i| !inside.contains(i)).collect()
    }

    /// By image of a part that has a match in the gallery: its place in the part, and how many matches.
    fn matched(&self, data: &Dataset, part: &[usize]) -> Vec<(usize, usize)> {
        let label = |i: usize| data.train.labels[i];
        let mut counts = vec![0usize; data.classes.len()];
        self.gallery(part).into_iter().for_each(|i| counts[label(i) as usize] += 1);
        let itself = usize::from(self.judged_by == JudgeBy::Class);
        let matches = |i: &usize| counts[label(self.images[*i]) as usize].saturating_sub(itself);
        part.iter().map(matches).enumerate().filter(|(_, r)| *r > 0).collect()
    }

    /// What is not independent of each other: whole classes where they are judged by classes.
    fn groups(&self, data: &Dataset) -> Vec<u32> {
        let mut groups = Vec::new();
        for part in &self.parts {
            for (place, _) in self.matched(data, part) {
                groups.push(match self.judged_by {
                    JudgeBy::Class => data.train.labels[self.images[part[place]]],
                    JudgeBy::Image => groups.len() as u32,
                });
            }
        }
        groups
    }

    fn judge(
        &self,
        data: &Dataset,
        part: &[usize],
        candidate: &Candidate,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Judgement, TrainError> {
        let rows: Vec<usize> = self.others(part).into_iter().map(|i| self.images[i]).collect();
        let train = data.train.select(&rows);
        let settings = candidate.settings(data, rows.len(), seed);
        let views = data.views.iter().map(|view| view.select(&rows)).collect();
        let learned = Dataset { train, views, held_out: Vec::new(), ..data.clone() };
        let mut training = Training::new(settings, &learned)?;
        match training.run(&learned, &mut [], stop) {
            Ok(Outcome::Finished) => {}
            Ok(Outcome::Stopped) => return Ok(Judgement::Stopped),
            Err(TrainError::NotFinite { .. } | TrainError::WeightsNotFinite { .. }) => {
                return Ok(Judgement::Failed);
            }
            Err(e) => return Err(e),
        }
        let mut embed = |rows: &[usize]| -> Result<Features, FileError> {
            let images: Images = data.train.images.select(rows);
            training.embed(&images)
        };
        let (members, asked) = (self.gallery(part), part.iter().map(|i| self.images[*i]).collect::<Vec<_>>());
        let (gallery, queries) = (embed(&members)?, embed(&asked)?);
        let labels = |some: &[usize]| some.iter().map(|i| data.train.labels[*i]).collect::<Vec<u32>>();
        let exclude = Exclude::itself(self.judged_by == JudgeBy::Class);
        let scores = qualities((&gallery, &labels(&members)), (&queries, &labels(&asked)), exclude);
        Ok(Judgement::Scores(scores.into_iter().flatten().collect()))
    }
}

/// The mean by which the second scores are above the first, and its 95 % interval: nothing where they are the same scores.
pub(super) fn advantage(first: &[f64], second: &[f64], groups: &[u32], seed: u64) -> (f64, [f64; 2]) {
    if first == second {
        return (0.0, [0.0; 2]);
    }
    let found = difference(first, second, groups, seed);
    (found.mean, found.interval)
}

/// Which of several has the surest advantage over the first: whose interval has the highest lower end. The first if none is above zero.
pub(super) fn surest(intervals: impl Iterator<Item = [f64; 2]>) -> usize {
    let lower = intervals.map(|interval| interval[0]).enumerate().skip(1).filter(|(_, low)| *low > 0.0);
    lower.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i)
}

/// By query that has a match in the gallery: whether its nearest is of its class, and its average precision at R.
pub(super) fn qualities(
    gallery: (&Features, &[u32]),
    queries: (&Features, &[u32]),
    exclude: Exclude<'_>,
) -> Vec<Option<[f64; 2]>> {
    let same = |q: usize, member: usize| gallery.1[member] == queries.1[q];
    let matches = |q: usize| (0..gallery.1.len()).filter(|m| same(q, *m) && !exclude.covers(q, *m)).count();
    let of: Vec<usize> = (0..queries.1.len()).map(matches).collect();
    let most = of.iter().copied().max().unwrap_or(1).max(1);
    let index = Exact::new(Vectors::Features(gallery.0));
    nearest(&index, Vectors::Features(queries.0), most, exclude, |q, list| {
        let quality = || rank_quality(list.iter().map(|n| same(q, n.index)), of[q]);
        (of[q] > 0).then(quality).map(|found| [found.precision_at_1, found.map_at_r])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Quiet, Split};

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

    fn choose(data: &Dataset, excluded: &[String]) -> HeadChoice {
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
