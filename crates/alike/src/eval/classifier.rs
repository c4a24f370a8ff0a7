//! Answers for images of unknown class: which class, how sure, or none of those that are known.
//!
//! Two things are found on images of known class ([`Classifier::calibrate`]): the distance beyond which an image is taken
//! for none of the classes ([`alarm_threshold`](super::alarm_threshold) says what that promises), and how often answers like this one
//! were right ([`Confidence`]).

use super::Reference;
use super::classification::{ClassMeans, vote, weighted_vote};
use super::confidence::Confidence;
use super::threshold::rank;
use crate::identity::{Identities, Shared};
use crate::images::{Features, Vectors};
use crate::neighbours::{Exact, Neighbour, nearest};
use crate::sample;
use serde::Serialize;
use std::sync::Arc;

/// How neighbours become an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    gallery: Reference<'a>,
    by: By<'a>,
}

/// What answers.
#[derive(Clone, Debug)]
enum By<'a> {
    /// The `k` nearest of these, by equal or weighted votes.
    Images {
        index: Arc<Exact<'a>>,
        k: usize,
        weighted: bool,
    },
    Means(ClassMeans<'a>),
}

/// What tells known from unknown, and how sure an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Calibration {
    /// Images that it was found on.
    pub images: usize,
    /// The share of them that the rule answers rightly.
    pub accuracy: f64,
    /// The share of new images of known classes that is taken for known, at least and in expectation: what was asked for, or the
    /// most that so few images can promise.
    pub accept: f64,
    /// What is farther than this is unknown.
    pub threshold: f64,
    /// How sure answers are; nothing where too few images tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// How many images would tell, where these are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_needs: Option<usize>,
}

impl Calibration {
    /// A threshold that was given, of which nothing else is known.
    pub fn given(threshold: f64) -> Calibration {
        Calibration {
            images: 0,
            accuracy: 0.0,
            accept: 0.0,
            threshold,
            confidence: None,
            confidence_needs: None,
        }
    }
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
    /// How sure the answer is among the known classes, from 0 to 1, and never 1; nothing of what is unknown, and where too few images
    /// tell.
    pub confidence: Option<f64>,
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

/// Neighbours that classes are looked for among, and classes whose means are looked at.
const DEEP: usize = 50;
/// Images that a gallery is calibrated on, at most.
pub const CALIBRATED: usize = 12_000;
/// How many answers of a gallery to its own images count as one, where neighbours vote: one image is another's neighbour, and they err
/// together (as measured).
const TOGETHER: f64 = 3.0;

impl<'a> Classifier<'a> {
    /// A classifier that answers by a gallery, whose labels are below `classes`.
    ///
    /// # Panics
    ///
    /// If the gallery is empty, or `k` is zero.
    pub fn new(gallery: Reference<'a>, classes: usize, rule: Rule) -> Classifier<'a> {
        gallery.check();
        assert!(!gallery.is_empty(), "classifier: a gallery has images");
        assert!(!matches!(rule, Rule::Knn(0) | Rule::Weighted(0)), "classifier: a vote needs neighbours");
        let votes = |k, weighted| By::Images { index: Arc::new(Exact::new(gallery.vectors)), k, weighted };
        let by = match rule {
            Rule::Knn(k) => votes(k, false),
            Rule::Weighted(k) => votes(k, true),
            Rule::Means => By::Means(ClassMeans::new(gallery.vectors, gallery.labels, classes)),
        };
        Classifier { gallery, by }
    }

    /// Finds threshold and confidences so that `accept` of images like those given are taken for known. Without any, the gallery's own
    /// images are asked, each left out: right where they are new to the model, too strict where it was trained on them.
    ///
    /// # Errors
    ///
    /// If no image can be asked.
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
                let rows = sample::stratified(labels, identities.keys(), CALIBRATED, 2, 0);
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
        let (rank, accept) = rank(n, accept);
        let last = distances[rank - 1];
        // Half way to what is next, of its own class or another, so that the threshold does not hang on one image.
        let others = asked.iter().filter_map(|(f, l)| f.by_class.iter().find(|c| c.0 != *l)).map(|c| c.1);
        let next =
            distances.iter().copied().chain(others).filter(|d| *d > last).fold(f64::INFINITY, f64::min);
        let threshold = if next.is_finite() { (last + next) / 2.0 } else { last };
        let mut answered: Vec<_> = asked
            .iter()
            .filter(|(f, _)| f.by_class[f.said].1 <= threshold)
            .map(|(f, l)| ((&f.by_class[..], f.said), *l))
            .collect();
        // In an order of their own, so that theirs changes no bit.
        answered.sort_by(|a, b| {
            let bits =
                |list: &[(u32, f64, Option<usize>)]| list.iter().map(|c| c.1.to_bits()).collect::<Vec<u64>>();
            bits(a.0.0).cmp(&bits(b.0.0)).then((a.0.1, a.1).cmp(&(b.0.1, b.1)))
        });
        let members =
            known.is_none_or(|k| Identities::shared(k.identities, self.gallery.identities).is_some());
        let each = if members && matches!(self.by, By::Images { .. }) { TOGETHER } else { 1.0 };
        let (confidence, confidence_needs) = match Confidence::fit(&answered, each) {
            Ok(confidence) => (Some(confidence), None),
            // Only those that are taken for known were asked.
            Err(needed) => (None, Some(needed * n / answered.len())),
        };
        let accuracy = right as f64 / n as f64;
        Ok(Calibration { images: n, accuracy, accept, threshold, confidence, confidence_needs })
    }

    /// What is said of each query; nothing where the gallery has no other image than the query itself. `own` says which queries are
    /// members of the gallery, if any are.
    pub fn answer(&self, queries: &Features, own: Option<&Shared>, by: &Calibration) -> Vec<Option<Answer>> {
        let answer = |f: Found| {
            let (class, distance, nearest) = *f.by_class.get(f.said)?;
            let known = distance <= by.threshold;
            let confidence = by.confidence.filter(|_| known).map(|c| c.of((&f.by_class, f.said)));
            Some(Answer { class, distance, nearest, confidence, known })
        };
        self.find(Vectors::Features(queries), own).into_iter().map(answer).collect()
    }

    fn find(&self, queries: Vectors<'_>, own: Option<&Shared>) -> Vec<Found> {
        let labels = self.gallery.labels;
        let (index, k, weighted) = match &self.by {
            By::Images { index, k, weighted } => (index, *k, *weighted),
            By::Means(means) => {
                let left = self.gallery.left_out(own, queries.len());
                let found = |list: Vec<(u32, f64)>| Found {
                    by_class: list.into_iter().map(|(c, d)| (c, d, None)).collect(),
                    said: 0,
                };
                return means.distances(queries, DEEP, |i| &left[i]).into_iter().map(found).collect();
            }
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
        self.gallery.leaving(own, |exclude| nearest(&**index, queries, k.max(DEEP), exclude, read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng, RngExt, stream};

    fn classifier<'a>(
        gallery: &'a Features,
        labels: &'a [u32],
        ids: &'a Identities,
        rule: Rule,
    ) -> Classifier<'a> {
        let classes = labels.iter().max().map_or(0, |m| *m as usize + 1);
        let of = Reference::new(Vectors::Features(gallery), labels, ids);
        Classifier::new(of, classes, rule)
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
            // Ten images promise ten in eleven, and the threshold lies between one class and the other.
            assert!((by.accept - 10.0 / 11.0).abs() < 1e-12);
            assert!((by.threshold - (0.1 + 9.6) / 2.0).abs() < 1e-6);
            let answers = said(&c, vec![0.05, 10.45, 25.0, 20.0], &by);
            let classes: Vec<(u32, bool)> = answers.iter().map(|a| (a.class, a.known)).collect();
            assert_eq!(classes[..2], [(0, true), (1, true)]);
            assert!(!classes[2].1);
            // Ten right answers say little of how sure the next is; many say more, and never all.
            assert_eq!((answers[0].confidence, answers[0].nearest), (None, Some(0)));
            assert!(by.confidence.is_none() && by.confidence_needs.is_some_and(|n| n > 100));
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
            let by = Calibration::given(9.0);
            said(&c, vec![1.5], &by)[0].class
        };
        assert_eq!((say(Rule::Knn(3)), say(Rule::Weighted(3)), say(Rule::Knn(1))), (1, 0, 0));
    }

    /// Images of classes that are normal clouds about centres on a circle, `apart` from each other in some way.
    fn clouds(rng: &mut Rng, classes: u32, d: usize, apart: f64, n: usize) -> (Features, Vec<u32>) {
        let labels: Vec<u32> = (0..n).map(|_| rng.random_range(0..classes)).collect();
        let mut data = Vec::with_capacity(n * d);
        for l in &labels {
            let turn = f64::from(*l) / f64::from(classes) * std::f64::consts::TAU;
            for j in 0..d {
                let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                let centre = match j {
                    0 => apart * turn.cos(),
                    1 => apart * turn.sin(),
                    _ => 0.0,
                };
                data.push((centre + normal) as f32);
            }
        }
        (Features::new(d, data), labels)
    }

    /// In ten bins, by rising confidence: what answers said, and how often they were right. All rules; the bench `coverage` tries more.
    #[test]
    fn confidences_are_right_as_often_as_they_say() {
        for rule in [Rule::Knn(5), Rule::Weighted(5), Rule::Means] {
            let mut told: Vec<(f64, bool)> = Vec::new();
            for set in 0..4 {
                let mut rng = stream(set, Purpose::Bootstrap, 0, 3);
                let (gallery, labels) = clouds(&mut rng, 4, 4, 2.2, 400);
                let (known, truth) = clouds(&mut rng, 4, 4, 2.2, 20_000);
                let (asked, right) = clouds(&mut rng, 4, 4, 2.2, 5000);
                let (ids, known_ids) =
                    (Identities::numbered(labels.len()), Identities::numbered(truth.len()));
                let c = classifier(&gallery, &labels, &ids, rule);
                let known = Reference::new(Vectors::Features(&known), &truth, &known_ids);
                let by = c.calibrate(Some(known), 0.9).unwrap();
                assert!(by.confidence.is_some(), "{rule:?} {by:?}");
                let answers = c.answer(&asked, None, &by);
                let known = answers.iter().flatten().filter(|a| a.known).count() as f64 / 5000.0;
                assert!((known - 0.9).abs() < 0.015, "{rule:?}: {known}");
                told.extend(answers.iter().zip(&right).filter_map(|(a, l)| {
                    let a = a.as_ref()?;
                    Some((a.confidence?, a.class == *l))
                }));
            }
            told.sort_by(|a, b| a.0.total_cmp(&b.0));
            for bin in told.chunks(told.len() / 10).take(10) {
                let n = bin.len() as f64;
                let said = bin.iter().map(|b| b.0).sum::<f64>() / n;
                let was = bin.iter().filter(|b| b.1).count() as f64 / n;
                assert!(n > 1000.0 && (said - was).abs() < 0.02, "{rule:?}: said {said}, was {was}");
            }
        }
    }

    #[test]
    fn answers_that_were_all_right_are_never_sure() {
        let mut rng = stream(1, Purpose::Bootstrap, 0, 4);
        let (gallery, labels) = clouds(&mut rng, 3, 2, 40.0, 300);
        let ids = Identities::numbered(300);
        for rule in [Rule::Knn(3), Rule::Weighted(3), Rule::Means] {
            let c = classifier(&gallery, &labels, &ids, rule);
            let by = c.calibrate(None, 0.99).unwrap();
            assert_eq!(by.accuracy, 1.0);
            let answers = said(&c, vec![40.0, 0.5, 500.0, 500.0], &by);
            let sure = answers[0].confidence.unwrap();
            assert!(sure > 0.99 && sure < 1.0, "{rule:?}: {sure}");
            if rule != Rule::Means {
                assert_eq!((answers[1].known, answers[1].confidence), (false, None));
            }
        }
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
        let by = Calibration::given(9.0);
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
        // 10,000 classes of two, in turn: a stride of two would ask about one image of each class, or of every other class.
        let n = 20_000u32;
        let labels: Vec<u32> = (0..n).map(|i| i % 10_000).collect();
        let at = |i: u32| (10 * (i % 10_000)) as f32 + if i < 10_000 { 0.0 } else { 1.0 };
        let gallery = Features::new(1, (0..n).map(at).collect());
        let ids = Identities::numbered(n as usize);
        let by = classifier(&gallery, &labels, &ids, Rule::Knn(1)).calibrate(None, 0.99).unwrap();
        assert_eq!((by.images, by.accuracy, by.threshold), (12_000, 1.0, 5.0));
    }
}
