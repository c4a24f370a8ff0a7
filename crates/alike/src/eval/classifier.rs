//! Answers for images of unknown class: which class, how sure, or none of those that are known.
//!
//! Two numbers are found on images of known class ([`Classifier::calibrate`]): the distance beyond which an image is taken
//! for none of the classes, and the temperature that makes confidences as large as answers are often right (Guo et al. 2017,
//! "On Calibration of Modern Neural Networks", <https://arxiv.org/abs/1706.04599>).

use super::Reference;
use super::classification::{ClassMeans, vote, weighted_vote};
use crate::identity::{Identities, Shared};
use crate::images::{Features, Vectors};
use crate::neighbours::{Neighbour, nearest};
use crate::sample;
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
    gallery: Reference<'a>,
    means: Option<ClassMeans<'a>>,
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
/// Images that a gallery is calibrated on, at most.
const MOST: usize = 5000;

impl<'a> Classifier<'a> {
    /// A classifier that answers by a gallery, whose labels are below `classes`.
    ///
    /// # Panics
    ///
    /// If the gallery is empty, or `k` is zero.
    pub fn new(tier: Tier, gallery: Reference<'a>, classes: usize, rule: Rule) -> Classifier<'a> {
        gallery.check();
        assert!(!gallery.is_empty(), "classifier: a gallery has images");
        assert!(!matches!(rule, Rule::Knn(0) | Rule::Weighted(0)), "classifier: a vote needs neighbours");
        let means = (rule == Rule::Means).then(|| ClassMeans::new(gallery.vectors, gallery.labels, classes));
        Classifier { tier, gallery, means, rule }
    }

    /// Finds threshold and temperature so that `accept` of images like those given are taken for known. Without any, the gallery's own
    /// images are asked, each left out: right where they are new to the model, too strict where it was trained on them.
    pub fn calibrate(
        &self,
        known: Option<Reference<'_>>,
        accept: f64,
    ) -> Result<Calibration, NothingToCalibrate> {
        let (found, truth): (Vec<Found>, Vec<u32>) = match known {
            Some(known) => {
                let own = Identities::shared(known.identities, self.gallery.identities);
                (self.find(known.vectors, own.as_ref()), known.labels.to_vec())
            }
            None => {
                let Reference { vectors, labels, identities, .. } = self.gallery;
                let rows = sample::stratified(labels, identities.keys(), MOST, 2, 0);
                let truth = rows.iter().map(|i| labels[*i]).collect();
                let queries = vectors.select(&rows);
                (self.find(Vectors::Features(&queries), Some(&self.gallery.own(&rows))), truth)
            }
        };
        // Of a class without other images nothing can be found, and nothing learned.
        let least = if known.is_some() { 1 } else { 2 };
        let labels = self.gallery.labels;
        let mut counts = vec![0; labels.iter().max().map_or(0, |m| *m as usize + 1)];
        labels.iter().for_each(|l| counts[*l as usize] += 1);
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

    /// What is said of each query; nothing where the gallery has no other image than the query itself. `own` says which queries are
    /// members of the gallery, if any are.
    pub fn answer(&self, queries: &Features, own: Option<&Shared>, by: &Calibration) -> Vec<Option<Answer>> {
        let answer = |f: Found| {
            let (class, distance, nearest) = *f.by_class.get(f.said)?;
            let confidence = probability(&f.by_class, f.said, by.temperature);
            Some(Answer { class, distance, nearest, confidence, known: distance <= by.threshold })
        };
        self.find(Vectors::Features(queries), own).into_iter().map(answer).collect()
    }

    fn find(&self, queries: Vectors<'_>, own: Option<&Shared>) -> Vec<Found> {
        let labels = self.gallery.labels;
        if let Some(means) = &self.means {
            let left = self.gallery.left_out(own, queries.len());
            return means
                .distances(queries, |i| &left[i])
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
        let read = |_: usize, list: &[Neighbour]| {
            let mut by_class: Vec<(u32, f64, Option<usize>)> = Vec::new();
            for n in list {
                let class = labels[n.index];
                if !by_class.iter().any(|c| c.0 == class) {
                    by_class.push((class, n.distance, Some(n.index)));
                }
            }
            let votes = &list[..k.min(list.len())];
            let class = if votes.is_empty() {
                0
            } else if weighted {
                weighted_vote(&votes.iter().map(|n| (labels[n.index], n.distance)).collect::<Vec<_>>())
            } else {
                vote(&votes.iter().map(|n| labels[n.index]).collect::<Vec<_>>())
            };
            let said = by_class.iter().position(|c| c.0 == class).unwrap_or(0);
            Found { by_class, said }
        };
        self.gallery
            .leaving(own, |leave| nearest(self.tier, queries, self.gallery.vectors, k.max(DEEP), leave, read))
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

    fn classifier<'a>(
        gallery: &'a Features,
        labels: &'a [u32],
        ids: &'a Identities,
        rule: Rule,
    ) -> Classifier<'a> {
        let classes = labels.iter().max().map_or(0, |m| *m as usize + 1);
        let of = Reference::new(Vectors::Features(gallery), labels, ids);
        Classifier::new(Tier::available()[0], of, classes, rule)
    }

    fn said(c: &Classifier<'_>, queries: Vec<f32>, by: &Calibration) -> Vec<Answer> {
        let queries = Features::new(c.gallery.vectors.d(), queries);
        c.answer(&queries, None, by).into_iter().map(|a| a.expect("others are in the gallery")).collect()
    }

    /// Two classes on a line, at 0 and at 10, five images each; and one image of a third.
    fn line() -> (Features, Vec<u32>) {
        let at: Vec<f32> = vec![0.0, 0.1, 0.2, 0.3, 0.4, 10.0, 10.1, 10.2, 10.3, 10.4, 20.0];
        (Features::new(1, at), vec![0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
    }

    #[test]
    fn what_is_far_from_all_is_unknown() {
        let (gallery, labels) = line();
        let ids = Identities::numbered(labels.len());
        for rule in [Rule::Knn(3), Rule::Weighted(3)] {
            let c = classifier(&gallery, &labels, &ids, rule);
            let by = c.calibrate(None, 1.0).unwrap();
            assert_eq!((by.images, by.accuracy), (10, 1.0), "the class of one image cannot be asked");
            assert!((by.threshold - 0.1).abs() < 1e-6);
            let answers = said(&c, vec![0.05, 10.45, 5.0, 20.0], &by);
            let classes: Vec<(u32, bool)> = answers.iter().map(|a| (a.class, a.known)).collect();
            assert_eq!(classes[..2], [(0, true), (1, true)]);
            assert!(!classes[2].1);
            assert!(answers[0].confidence > 0.99 && answers[0].nearest == Some(0));
        }
        // A third class is known from its one image, by the nearest.
        let c = classifier(&gallery, &labels, &ids, Rule::Knn(1));
        let by = c.calibrate(None, 1.0).unwrap();
        assert_eq!(said(&c, vec![20.05], &by)[0].class, 2);
    }

    #[test]
    fn nearer_votes_weigh_more() {
        let gallery = Features::new(1, vec![1.0, 4.0, 4.1]);
        let labels = [0, 1, 1];
        let ids = Identities::numbered(3);
        let say = |rule| {
            let c = classifier(&gallery, &labels, &ids, rule);
            let by = Calibration { images: 0, accuracy: 0.0, accept: 1.0, threshold: 9.0, temperature: 1.0 };
            said(&c, vec![1.5], &by)[0].class
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
        let (ids, asked) = (Identities::numbered(2), Identities::numbered(4000));
        let c = classifier(&gallery, &[0, 1], &ids, Rule::Knn(1));
        let by = c.calibrate(Some(Reference::new(Vectors::Features(&queries), &truth, &asked)), 0.9).unwrap();
        let answers = said(&c, queries.data().to_vec(), &by);
        let sure = answers.iter().map(|a| a.confidence).sum::<f64>() / 4000.0;
        assert!((sure - by.accuracy).abs() < 0.05, "{sure} {by:?}");
        let accepted = answers.iter().filter(|a| a.known).count() as f64 / 4000.0;
        assert!((accepted - 0.9).abs() < 0.01, "{accepted}");
    }

    #[test]
    fn means_answer_too_and_single_images_cannot_calibrate() {
        let gallery = Features::new(2, vec![1.0, 0.0, 1.0, 0.1, 0.0, 1.0, 0.1, 1.0]);
        let labels = [0, 0, 1, 1];
        let ids = Identities::numbered(4);
        let c = classifier(&gallery, &labels, &ids, Rule::Means);
        let by = c.calibrate(None, 1.0).unwrap();
        let a = said(&c, vec![2.0, 0.1, -1.0, -1.0], &by);
        assert_eq!((a[0].class, a[0].known, a[1].known), (0, true, false));
        let c = classifier(&gallery, &[0, 1, 2, 3], &ids, Rule::Knn(1));
        assert_eq!(c.calibrate(None, 1.0), Err(NothingToCalibrate));
    }

    #[test]
    fn a_query_that_is_in_the_gallery_does_not_answer_itself() {
        let gallery = Features::new(1, vec![0.0, 4.0, 5.0, 5.5]);
        let names = ["a", "b", "c", "d"];
        let ids = Identities::new(names.iter().map(|n| (crate::identity::key(n, ""), *n)));
        let c = classifier(&gallery, &[0, 1, 1, 1], &ids, Rule::Knn(1));
        let by = Calibration { images: 0, accuracy: 0.0, accept: 1.0, threshold: 9.0, temperature: 1.0 };
        let asked = ids.select(&[0]);
        let own = Identities::shared(&asked, &ids);
        let answers = c.answer(&gallery.select(&[0]), own.as_ref(), &by);
        assert_eq!(answers[0].map(|a| (a.class, a.nearest)), Some((1, Some(1))));
        // Alone in its gallery it has no answer.
        let (one, only) = (gallery.select(&[0]), ids.select(&[0]));
        let c = classifier(&one, &[0], &only, Rule::Means);
        let own = Identities::shared(&asked, &only);
        assert_eq!(c.answer(&one, own.as_ref(), &by), [None]);
    }

    #[test]
    fn a_gallery_of_classes_in_turn_is_calibrated_like_any_other() {
        // 5,000 classes of two, in turn: a stride of two would ask about one image of each class, or of every other class.
        let n = 10_000u32;
        let labels: Vec<u32> = (0..n).map(|i| i % 5000).collect();
        let at = |i: u32| (10 * (i % 5000)) as f32 + if i < 5000 { 0.0 } else { 1.0 };
        let gallery = Features::new(1, (0..n).map(at).collect());
        let ids = Identities::numbered(n as usize);
        let by = classifier(&gallery, &labels, &ids, Rule::Knn(1)).calibrate(None, 0.99).unwrap();
        assert_eq!((by.images, by.accuracy, by.threshold), (5000, 1.0, 1.0));
    }
}
