//! Answers for images of unknown class: which class, how sure, or none of those that are known.
//!
//! Two numbers are found on images of known class ([`Classifier::calibrate`]): the distance beyond which an image is taken
//! for none of the classes, and the temperature that makes confidences as large as answers are often right (Guo et al. 2017,
//! "On Calibration of Modern Neural Networks", <https://arxiv.org/abs/1706.04599>).

use super::classification::{ClassMeans, vote, weighted_vote};
use crate::images::{Features, Vectors};
use crate::neighbours::{Leave, nearest};
use alike_kernels::Tier;
use serde::Serialize;

/// How neighbours become an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The class that most of the `k` nearest are of.
    Knn(usize),
    /// The same, each vote weighing one over its distance: [`weighted_vote`].
    Weighted(usize),
    /// The nearest class mean, as [`ClassMeans`] has it.
    Means,
}

/// Images of known class that answer.
#[derive(Clone, Debug)]
pub struct Classifier<'a> {
    tier: Tier,
    gallery: &'a Features,
    labels: &'a [u32],
    means: Option<ClassMeans>,
    rule: Rule,
}

/// What tells known from unknown, and how sure an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Images that it was found on.
    pub images: usize,
    /// The share of them that the rule answers rightly.
    pub accuracy: f64,
    /// The share of them that is taken for known.
    pub accept: f64,
    /// What is farther than this is unknown.
    pub threshold: f64,
    /// Confidence falls by `e` when the squared distance grows by this.
    pub temperature: f64,
}

/// What is said of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class.
    pub class: u32,
    /// How far its nearest image is, or its mean.
    pub distance: f64,
    /// The nearest image of the class, where images answer.
    pub nearest: Option<usize>,
    /// How sure the answer is among the known classes, from 0 to 1.
    pub confidence: f64,
    /// Whether it is near enough to be of a known class.
    pub known: bool,
}

/// There is nothing to calibrate on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no class of the gallery has two images, so nothing tells how far apart images of one class are; give --threshold"
)]
pub struct NothingToCalibrate;

/// A query's classes with their distances and nearest images, nearest first, and what the rule says.
struct Found {
    by_class: Vec<(u32, f64, Option<usize>)>,
    said: usize,
}

/// Neighbours that classes are looked for among.
const DEEP: usize = 50;
/// Images that a gallery is calibrated on, at most, evenly spread.
const MOST: usize = 5000;

impl<'a> Classifier<'a> {
    /// A classifier that answers by a gallery, `labels` being below `classes`.
    ///
    /// # Panics
    ///
    /// If the gallery is empty, or `k` is zero.
    pub fn new(
        tier: Tier,
        gallery: &'a Features,
        labels: &'a [u32],
        classes: usize,
        rule: Rule,
    ) -> Classifier<'a> {
        assert!(!gallery.is_empty() && gallery.len() == labels.len(), "classifier: a label for each image");
        assert!(!matches!(rule, Rule::Knn(0) | Rule::Weighted(0)), "classifier: a vote needs neighbours");
        let means =
            (rule == Rule::Means).then(|| ClassMeans::new(Vectors::Features(gallery), labels, classes));
        Classifier { tier, gallery, labels, means, rule }
    }

    /// Finds threshold and temperature so that `accept` of images like those given are taken for known. Without any, the gallery's own
    /// images are asked, each left out: right where they are new to the model, too strict where it was trained on them.
    pub fn calibrate(
        &self,
        known: Option<(&Features, &[u32])>,
        accept: f64,
    ) -> Result<Calibration, NothingToCalibrate> {
        let (found, truth): (Vec<Found>, Vec<u32>) = match known {
            Some((queries, labels)) => (self.find(queries, None), labels.to_vec()),
            None => {
                let n = self.labels.len();
                let rows: Vec<usize> = (0..n.min(MOST)).map(|i| i * n / n.min(MOST)).collect();
                let labels = rows.iter().map(|i| self.labels[*i]).collect();
                (self.find(&self.gallery.select(&rows), Some(&rows)), labels)
            }
        };
        // Of a class without other images nothing can be found, and nothing learned.
        let least = if known.is_some() { 1 } else { 2 };
        let mut counts = vec![0; self.labels.iter().max().map_or(0, |m| *m as usize + 1)];
        self.labels.iter().for_each(|l| counts[*l as usize] += 1);
        let asked: Vec<(&Found, u32)> = found
            .iter()
            .zip(truth)
            .filter(|(f, l)| counts.get(*l as usize).is_some_and(|n| *n >= least) && !f.by_class.is_empty())
            .collect();
        if asked.is_empty() {
            return Err(NothingToCalibrate);
        }
        let n = asked.len();
        let right = asked.iter().filter(|(f, l)| f.by_class[f.said].0 == *l).count();
        let mut distances: Vec<f64> = asked.iter().map(|(f, _)| f.by_class[f.said].1).collect();
        distances.sort_by(f64::total_cmp);
        let at = ((accept * n as f64).ceil() as usize).clamp(1, n) - 1;
        Ok(Calibration {
            images: n,
            accuracy: right as f64 / n as f64,
            accept,
            threshold: distances[at],
            temperature: temperature(&asked),
        })
    }

    /// What is said of each query.
    pub fn answer(&self, queries: &Features, by: &Calibration) -> Vec<Answer> {
        let answer = |f: Found| {
            let (class, distance, nearest) = f.by_class[f.said];
            let confidence = probability(&f.by_class, f.said, by.temperature);
            Answer { class, distance, nearest, confidence, known: distance <= by.threshold }
        };
        self.find(queries, None).into_iter().map(answer).collect()
    }

    /// `own`: the queries are these images of the gallery.
    fn find(&self, queries: &Features, own: Option<&[usize]>) -> Vec<Found> {
        if let Some(means) = &self.means {
            let labels: Option<Vec<u32>> = own.map(|rows| rows.iter().map(|i| self.labels[*i]).collect());
            let all = means.distances(Vectors::Features(queries), labels.as_deref());
            return all
                .into_iter()
                .map(|list| Found {
                    by_class: list.into_iter().map(|(c, d)| (c, d, None)).collect(),
                    said: 0,
                })
                .collect();
        }
        let (k, weighted) = match self.rule {
            Rule::Knn(k) => (k, false),
            Rule::Weighted(k) => (k, true),
            Rule::Means => unreachable!("means were looked at"),
        };
        // Each query is a group with the image that it is.
        let members: Vec<u32> = (0..self.labels.len() as u32).collect();
        let same: Option<Vec<u32>> = own.map(|rows| rows.iter().map(|i| *i as u32).collect());
        let leave = same.as_ref().map_or(Leave::None, |q| Leave::Group { queries: q, gallery: &members });
        let (q, g) = (Vectors::Features(queries), Vectors::Features(self.gallery));
        nearest(self.tier, q, g, k.max(DEEP), leave, |_, list| {
            let mut by_class: Vec<(u32, f64, Option<usize>)> = Vec::new();
            for n in list {
                let class = self.labels[n.index];
                if !by_class.iter().any(|c| c.0 == class) {
                    by_class.push((class, n.distance, Some(n.index)));
                }
            }
            let votes = &list[..k.min(list.len())];
            let class = if votes.is_empty() {
                0
            } else if weighted {
                weighted_vote(&votes.iter().map(|n| (self.labels[n.index], n.distance)).collect::<Vec<_>>())
            } else {
                vote(&votes.iter().map(|n| self.labels[n.index]).collect::<Vec<_>>())
            };
            let said = by_class.iter().position(|c| c.0 == class).unwrap_or(0);
            Found { by_class, said }
        })
    }
}

/// The softmax of negative squared distances, at place `at`.
fn probability(by_class: &[(u32, f64, Option<usize>)], at: usize, temperature: f64) -> f64 {
    let nearest = by_class.iter().map(|c| c.1).fold(f64::INFINITY, f64::min);
    let weight = |d: f64| (-(d * d - nearest * nearest) / temperature).exp();
    weight(by_class[at].1) / by_class.iter().map(|c| weight(c.1)).sum::<f64>()
}

/// The temperature by which the right classes are likeliest: golden-section search over its logarithm.
fn temperature(asked: &[(&Found, u32)]) -> f64 {
    let scale = asked.iter().map(|(f, _)| f.by_class[0].1.powi(2)).sum::<f64>() / asked.len() as f64;
    let cost = |log: f64| -> f64 {
        let t = scale.max(1e-12) * log.exp();
        let each = asked.iter().map(|(f, label)| {
            let at = f.by_class.iter().position(|c| c.0 == *label);
            // A class that is not among the neighbours has next to no probability.
            -at.map_or(1e-6, |at| probability(&f.by_class, at, t)).max(1e-6).ln()
        });
        each.sum()
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-12.0, 12.0);
    for _ in 0..40 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if cost(a) <= cost(b) { high = b } else { low = a }
    }
    scale.max(1e-12) * ((low + high) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes on a line, at 0 and at 10, five images each; and one image of a third.
    fn line() -> (Features, Vec<u32>) {
        let at: Vec<f32> = vec![0.0, 0.1, 0.2, 0.3, 0.4, 10.0, 10.1, 10.2, 10.3, 10.4, 20.0];
        (Features::new(1, at), vec![0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
    }

    #[test]
    fn what_is_far_from_all_is_unknown() {
        let (gallery, labels) = line();
        for rule in [Rule::Knn(3), Rule::Weighted(3)] {
            let c = Classifier::new(Tier::available()[0], &gallery, &labels, 3, rule);
            let by = c.calibrate(None, 1.0).unwrap();
            assert_eq!((by.images, by.accuracy), (10, 1.0), "the class of one image cannot be asked");
            assert!((by.threshold - 0.1).abs() < 1e-6);
            let answers = c.answer(&Features::new(1, vec![0.05, 10.45, 5.0, 20.0]), &by);
            let said: Vec<(u32, bool)> = answers.iter().map(|a| (a.class, a.known)).collect();
            assert_eq!(said[..2], [(0, true), (1, true)]);
            assert!(!said[2].1);
            assert!(answers[0].confidence > 0.99 && answers[0].nearest == Some(0));
        }
        // A third class is known from its one image, by the nearest.
        let c = Classifier::new(Tier::available()[0], &gallery, &labels, 3, Rule::Knn(1));
        let by = c.calibrate(None, 1.0).unwrap();
        assert_eq!(c.answer(&Features::new(1, vec![20.05]), &by)[0].class, 2);
    }

    #[test]
    fn nearer_votes_weigh_more() {
        let gallery = Features::new(1, vec![1.0, 4.0, 4.1]);
        let labels = [0, 1, 1];
        let say = |rule| {
            let c = Classifier::new(Tier::available()[0], &gallery, &labels, 2, rule);
            let by = Calibration { images: 0, accuracy: 0.0, accept: 1.0, threshold: 9.0, temperature: 1.0 };
            c.answer(&Features::new(1, vec![1.5]), &by)[0].class
        };
        assert_eq!((say(Rule::Knn(3)), say(Rule::Weighted(3)), say(Rule::Knn(1))), (1, 0, 0));
    }

    #[test]
    fn confidences_are_right_as_often_as_they_say() {
        // Two classes that overlap: the nearest of two prototypes is right three times in four at most.
        let gallery = Features::new(1, vec![0.0, 1.0]);
        let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1u32 << 24) as f32;
        let truth: Vec<u32> = (0..4000).map(|i| i % 2).collect();
        let queries: Vec<f32> = (0..4000).map(|i| (i % 2) as f32 * 0.5 + 2.0 * value(i) - 0.75).collect();
        let queries = Features::new(1, queries);
        let c = Classifier::new(Tier::available()[0], &gallery, &[0, 1], 2, Rule::Knn(1));
        let by = c.calibrate(Some((&queries, &truth)), 0.9).unwrap();
        let answers = c.answer(&queries, &by);
        let sure = answers.iter().map(|a| a.confidence).sum::<f64>() / 4000.0;
        assert!((sure - by.accuracy).abs() < 0.05, "{sure} {by:?}");
        let accepted = answers.iter().filter(|a| a.known).count() as f64 / 4000.0;
        assert!((accepted - 0.9).abs() < 0.01, "{accepted}");
    }

    #[test]
    fn means_answer_too_and_single_images_cannot_calibrate() {
        let gallery = Features::new(2, vec![1.0, 0.0, 1.0, 0.1, 0.0, 1.0, 0.1, 1.0]);
        let labels = [0, 0, 1, 1];
        let c = Classifier::new(Tier::available()[0], &gallery, &labels, 2, Rule::Means);
        let by = c.calibrate(None, 1.0).unwrap();
        let a = c.answer(&Features::new(2, vec![2.0, 0.1, -1.0, -1.0]), &by);
        assert_eq!((a[0].class, a[0].known, a[1].known), (0, true, false));
        let c = Classifier::new(Tier::available()[0], &gallery, &[0, 1, 2, 3], 4, Rule::Knn(1));
        assert_eq!(c.calibrate(None, 1.0), Err(NothingToCalibrate));
    }
}
