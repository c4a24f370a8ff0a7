//! Cross-validation: settings that are trained on some of the images, or classes, and judged on the others.
//!
//! An image's score is the mean of two measures: whether its nearest neighbour is of its class, and its average precision at R. That
//! candidate wins whose advantage over the first is surest: whose 95 % interval has the highest lower end. If none of these is above
//! zero, the first stays.

use super::JudgeBy;
use crate::data::{Dataset, Progress, Unit};
use crate::eval::{difference, rank_quality};
use crate::files::FileError;
use crate::images::{Features, Images, Vectors};
use crate::neighbours::{Exact, Exclude, nearest};
use crate::sample;
use crate::train::{Outcome, Settings, TrainError, Training};
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Images that are judged, at most: some are drawn of more.
const MOST: usize = 6000;

/// What came of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CandidateScore {
    /// What it is called.
    pub name: &'static str,
    /// Its network.
    pub network: String,
    /// The share of images whose nearest neighbour is of their class.
    pub accuracy: f64,
    /// The mean average precision at R.
    pub map_at_r: f64,
    /// The mean of the two, minus that of the first candidate, with its 95 % interval.
    pub gain: f64,
    /// See `gain`.
    pub interval: [f64; 2],
    /// Whether it was chosen.
    pub chosen: bool,
}

/// Something that can be trained.
pub(super) struct Candidate<'a> {
    pub(super) name: &'static str,
    pub(super) network: String,
    /// What it is trained by, on so many images.
    pub(super) settings: Box<dyn Fn(usize) -> Settings + 'a>,
}

/// What is said of a choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// What was chosen, as in `head`.
    pub(super) what: &'static str,
    /// The first candidate, with which the others are compared.
    pub(super) first: &'static str,
    /// That it stays.
    pub(super) none: &'static str,
}

/// The candidate that was chosen.
#[derive(Clone, Debug)]
pub struct CandidateChoice {
    /// What to train it by.
    pub settings: Settings,
    /// All that could be trained, the first first. None where there was nothing to judge by.
    pub scores: Vec<CandidateScore>,
    /// Whether they were judged by classes that they were not trained on.
    pub judged_by: JudgeBy,
    /// Images that were judged.
    pub images: usize,
    words: Words,
}

impl CandidateChoice {
    /// What was chosen and why, in a sentence.
    pub fn sentence(&self) -> String {
        let by = match self.judged_by {
            JudgeBy::Class => "classes that they were not trained on",
            JudgeBy::Image => "images that they were not trained on",
        };
        let Words { what, first, none } = self.words;
        let percent = |v: f64| format!("{:+.1}", 100.0 * v);
        match self.scores.iter().position(|s| s.chosen) {
            None => format!("{none}: there are no two images of a class to judge another by"),
            Some(0) => format!("{none}: of {} images, none is surely better by {by}", self.images),
            Some(at) => {
                let best = &self.scores[at];
                format!(
                    "{what} '{}': {} points better than {first} [{} to {}], on {} images by {by}",
                    best.name,
                    percent(best.gain),
                    percent(best.interval[0]),
                    percent(best.interval[1]),
                    self.images
                )
            }
        }
    }
}

/// Trains and judges every candidate on all parts, and chooses one, which is to be trained on so many images. Nothing if `stop` was set.
pub(super) fn choose(
    data: &Dataset,
    folds: &Folds,
    (candidates, words): (&[Candidate<'_>], Words),
    (trained, seed): (usize, u64),
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<Option<CandidateChoice>, TrainError> {
    let judged_by = folds.judged_by;
    let chosen = |at: usize, scores, images| {
        let settings = (candidates[at].settings)(trained);
        CandidateChoice { settings, scores, judged_by, images, words }
    };
    if folds.parts.is_empty() {
        return Ok(Some(chosen(0, Vec::new(), 0)));
    }
    let trials = (candidates.len() * folds.parts.len()) as u64;
    progress.begin(&format!("choosing a {}", words.what), Some(trials), Unit::Trials);
    let mut judged: Vec<Option<Vec<[f64; 2]>>> = Vec::new();
    for candidate in candidates {
        let mut scores = Some(Vec::new());
        for part in &folds.parts {
            match folds.judge(data, part, candidate, stop)? {
                Judgement::Stopped => {
                    progress.end();
                    return Ok(None);
                }
                // A candidate whose loss becomes infinite is none.
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
    let Some(first) = judged[0].clone() else { return Ok(Some(chosen(0, Vec::new(), 0))) };
    let groups = folds.groups(data);
    let both = |s: &[f64; 2]| (s[0] + s[1]) / 2.0;
    let mean = |of: &dyn Fn(&[f64; 2]) -> f64, scores: &[[f64; 2]]| {
        scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64
    };
    let mut scores: Vec<(usize, CandidateScore)> = Vec::new();
    for (at, judged) in judged.iter().enumerate() {
        let Some(judged) = judged else { continue };
        let [own, first] = [judged, &first].map(|scores| scores.iter().map(both).collect::<Vec<f64>>());
        let (gain, interval) = advantage(&first, &own, &groups, seed);
        let (name, network) = (candidates[at].name, candidates[at].network.clone());
        let (accuracy, map_at_r) = (mean(&|s| s[0], judged), mean(&|s| s[1], judged));
        scores
            .push((at, CandidateScore { name, network, accuracy, map_at_r, gain, interval, chosen: false }));
    }
    let best = surest(scores.iter().map(|s| s.1.interval));
    scores[best].1.chosen = true;
    let (at, images) = (scores[best].0, first.len());
    Ok(Some(chosen(at, scores.into_iter().map(|s| s.1).collect(), images)))
}

enum Judgement {
    /// By image of the part that has a match: whether its nearest is of its class, and its average precision at R.
    Scores(Vec<[f64; 2]>),
    Failed,
    Stopped,
}

/// Images cut into parts, each judged by candidates that were trained on the others.
pub(super) struct Folds {
    judged_by: JudgeBy,
    /// The images that take part.
    images: Vec<usize>,
    /// By part: which of `images` are judged.
    parts: Vec<Vec<usize>>,
}

impl Folds {
    /// `most` parts of so many images, or fewer where there are few classes to judge by.
    pub(super) fn new(
        data: &Dataset,
        trained: &[usize],
        judged_by: JudgeBy,
        most: impl Fn(usize) -> usize,
        seed: u64,
    ) -> Folds {
        let keys =
            |some: &[usize]| -> Vec<u64> { some.iter().map(|i| data.train.identities.keys()[*i]).collect() };
        let labels = |some: &[usize]| -> Vec<u32> { some.iter().map(|i| data.train.labels[*i]).collect() };
        let drawn = sample::stratified(&labels(trained), &keys(trained), MOST, 4, seed);
        let mut images: Vec<usize> = drawn.into_iter().map(|i| trained[i]).collect();
        images.sort_unstable();
        let (keys, labels) = (keys(&images), labels(&images));
        let count = most(images.len());
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
        candidate: &Candidate<'_>,
        stop: &AtomicBool,
    ) -> Result<Judgement, TrainError> {
        let rows: Vec<usize> = self.others(part).into_iter().map(|i| self.images[i]).collect();
        let train = data.train.select(&rows);
        let mut settings = (candidate.settings)(rows.len());
        let classes = train.labels.iter().collect::<std::collections::BTreeSet<_>>().len();
        settings.sampler = settings.sampler.fitted(classes);
        settings.batch_size = settings.batch_size.min(rows.len());
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
