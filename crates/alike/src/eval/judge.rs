//! Image space against feature space: the training split is the gallery, the test split asks.

use super::{
    ClassMeans, Classification, Paired, Pairs, Quality, RetrievalReport, Unseen, Verification, compare,
    compare_groups, vote, weighted_vote,
};
use crate::data::{Dataset, Split};
use crate::files::FileError;
use crate::identity::{Shared, left_out};
use crate::images::{Features, Vectors, with_pixels};
use crate::neighbours::{Exact, Exclude, Neighbour, nearest, ranks_of_matches};
use alike_kernels::Tier;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The rules to judge by.
///
/// ```
/// use alike::data::{DigitCounts, digits};
/// use alike::eval::Judge;
///
/// let data = digits(DigitCounts { train: 200, test: 40 }, 1);
/// let judged = Judge::new(&[1, 5]).image_space(&data)?;
/// let nearest = &judged.knn[&1];
/// println!("pixels: {:.1} % by 1-NN, 95 % interval {:?}", 100.0 * nearest.accuracy, nearest.interval);
/// # assert!(nearest.accuracy > 0.3);
/// # Ok::<(), alike::eval::EvalError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Judge {
    tier: Tier,
    ks: Vec<usize>,
    leave_group: bool,
    weighted: bool,
}

/// A space cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A vote of more neighbours than there are.
    #[error("k = {k} asks for more neighbours than the {gallery} images of the gallery")]
    KTooLarge {
        /// What was asked for.
        k: usize,
        /// What is there.
        gallery: usize,
    },
    /// A vote of none.
    #[error("k = 0 asks for no neighbours")]
    KZero,
    /// Nothing asks, or nothing answers.
    #[error(
        "{0} has no images to judge with: two at least are needed, and two of a class where there are classes; give more"
    )]
    Empty(String),
    /// Images of no group.
    #[error("{0} has no groups to leave out; name them in a column 'group' of a table")]
    NoGroups(String),
    /// Nothing can be right.
    #[error(
        "no query of {0} has an image of its class to be compared with, itself left out; give more images of a class"
    )]
    NoMatch(String),
    /// Nobody knows what is right.
    #[error("{0} has no classes to judge by")]
    Unlabelled(String),
    /// An image could not be read.
    #[error(transparent)]
    Image(#[from] FileError),
}

/// How a space fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpaceJudgement {
    /// By the nearest class mean.
    pub class_mean: Classification,
    /// By `k`: the vote of the nearest neighbours.
    pub knn: BTreeMap<usize, Classification>,
    /// Of all pairs of queries, whether they are of the same class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// By query: its nearest neighbours in the gallery.
    #[serde(skip)]
    pub neighbours: Vec<Vec<usize>>,
}

/// What was found in both spaces.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spaces<T = SpaceJudgement> {
    /// Raw pixels.
    pub image: T,
    /// Embeddings.
    pub feature: T,
}

/// All that `alike eval --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Judgement {
    /// The data set's name.
    pub dataset: String,
    /// Images of the gallery.
    pub n_gallery: usize,
    /// Whether the queries are the gallery, each left out when it asks: where none of their classes was trained on.
    pub leave_one_out: bool,
    /// Whether a neighbour's vote weighed one over its distance.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub weighted_votes: bool,
    /// Images that ask.
    pub n_query: usize,
    /// Those of them without a match: the gallery holds no other image of their class, or none of another group. No measure counts
    /// them.
    pub without_match: usize,
    /// How both spaces fare.
    pub spaces: Spaces,
    /// By rule: whether the spaces differ.
    pub comparison: Vec<Comparison>,
    /// How classes that were excluded from training fare, if any were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
}

/// One rule's accuracy in both spaces, and whether the difference is real.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// `class means`, `1-NN` and so on.
    pub rule: String,
    /// Accuracy in image space.
    pub image: f64,
    /// Accuracy in feature space.
    pub feature: f64,
    /// McNemar's test of the two, image space first; its counterpart for whole classes where the set is an open one.
    pub paired: Paired,
}

/// Names the images that are drawn where all pairs are too many: judgements of one set draw the same ones.
const SEED: u64 = 0;

/// What does not count for a test image: the picture itself, and its group if that is asked for.
struct LeftOut<'a> {
    itself: bool,
    shared: Option<Shared>,
    groups: Option<(&'a [u32], &'a [u32])>,
}

impl LeftOut<'_> {
    fn with<T>(&self, then: impl FnOnce(Exclude<'_>) -> T) -> T {
        let own = self.shared.as_ref().map_or(Exclude::itself(self.itself), Exclude::shared);
        match self.groups {
            None => then(own),
            Some((queries, gallery)) => then(Exclude::Either(&own, &Exclude::Group { queries, gallery })),
        }
    }

    /// By test image: the members of the gallery that do not count for it.
    fn members(&self, queries: usize) -> Vec<Vec<usize>> {
        let each: Vec<u32> = if self.itself { (0..queries as u32).collect() } else { Vec::new() };
        let own = match &self.shared {
            Some(shared) => (&shared.queries[..], &shared.gallery[..]),
            None => (&each[..], &each[..]),
        };
        left_out(&[own, self.groups.unwrap_or_default()], queries)
    }

    /// By test image: whether a member of the gallery that counts for it is of its class.
    fn matched(&self, test: &[u32], gallery: &[u32]) -> Vec<bool> {
        let of = |numbers: &[u32], i: usize| numbers.get(i).copied();
        let each: Vec<u32> = if self.itself { (0..test.len() as u32).collect() } else { Vec::new() };
        let (own, members) = match &self.shared {
            Some(shared) => (&shared.queries[..], &shared.gallery[..]),
            None => (&each[..], &each[..]),
        };
        let (asking, groups) = self.groups.unwrap_or_default();
        // Those of a class, of which those of the same picture and of the same group are taken away; who is both, once.
        let mut counts: HashMap<(u32, Option<u32>, Option<u32>), usize> = HashMap::new();
        for (i, label) in gallery.iter().enumerate() {
            let (own, group) = (of(members, i), of(groups, i));
            let by_own = own.map(|_| (own, None));
            let by_group = group.map(|_| (None, group));
            let by_both = own.and(group).map(|_| (own, group));
            for (own, group) in [Some((None, None)), by_own, by_group, by_both].into_iter().flatten() {
                *counts.entry((*label, own, group)).or_default() += 1;
            }
        }
        let count = |label, own: Option<u32>, group: Option<u32>| {
            counts.get(&(label, own, group)).copied().unwrap_or(0)
        };
        let each = test.iter().enumerate().map(|(i, label)| {
            let (own, group) = (of(own, i), of(asking, i));
            let by_own = own.map_or(0, |_| count(*label, own, None));
            let by_group = group.map_or(0, |_| count(*label, None, group));
            let by_both = own.zip(group).map_or(0, |_| count(*label, own, group));
            count(*label, None, None) + by_both > by_own + by_group
        });
        each.collect()
    }
}

/// Neighbours that figures show, at least.
const SHOWN: usize = 8;

impl SpaceJudgement {
    /// Every rule's answers, by the rule's name: class means first, then votes by rising `k`.
    pub fn rules(&self) -> Vec<(String, &Classification)> {
        let votes = self.knn.iter().map(|(k, c)| (format!("{k}-NN"), c));
        [("class means".to_owned(), &self.class_mean)].into_iter().chain(votes).collect()
    }
}

impl Judge {
    /// A judge with votes of each of `ks` neighbours.
    pub fn new(ks: &[usize]) -> Judge {
        Judge { tier: Tier::found(), ks: ks.to_vec(), leave_group: false, weighted: false }
    }

    /// The same judge, who computes with the given instructions rather than the fastest.
    pub fn with_tier(self, tier: Tier) -> Judge {
        Judge { tier, ..self }
    }

    /// The same judge, by whom a query is not compared with images of its own group: what one camera or session took.
    pub fn leaving_groups(self, yes: bool) -> Judge {
        Judge { leave_group: yes, ..self }
    }

    /// The same judge, for whom a neighbour's vote weighs one over its distance: see [`weighted_vote`].
    pub fn weighting_votes(self, yes: bool) -> Judge {
        Judge { weighted: yes, ..self }
    }

    /// Which of the gallery's images do not count for a test image.
    fn left_out<'a>(&self, data: &'a Dataset) -> LeftOut<'a> {
        let (gallery, itself) = data.gallery();
        let groups = self.leave_group.then_some((&data.test.groups[..], &gallery.groups[..]));
        LeftOut { itself, shared: data.shared(), groups }
    }

    /// How many images every test image can be compared with: those of the gallery less what does not count for it, the picture itself
    /// or its group.
    pub fn neighbours(&self, data: &Dataset) -> usize {
        let (gallery, leave_one_out) = data.gallery();
        let most = |queries: &[u32], members: &[u32]| {
            let mut counts: HashMap<u32, usize> = HashMap::new();
            members.iter().for_each(|m| *counts.entry(*m).or_default() += 1);
            queries.iter().filter_map(|q| counts.get(q)).copied().max().unwrap_or(0)
        };
        let itself = data.shared().map_or(usize::from(leave_one_out), |s| most(&s.queries, &s.gallery));
        let group = if self.leave_group { most(&data.test.groups, &gallery.groups) } else { 0 };
        gallery.len() - itself.max(group).min(gallery.len())
    }

    /// Refuses what cannot be judged, before time is spent on it.
    ///
    /// # Errors
    ///
    /// What is wrong with the data, or with the numbers of neighbours.
    pub fn check(&self, data: &Dataset) -> Result<(), EvalError> {
        if !data.labelled {
            return Err(EvalError::Unlabelled(data.name.clone()));
        }
        let (gallery, leave_one_out) = data.gallery();
        if gallery.is_empty() || data.test.is_empty() {
            return Err(EvalError::Empty(data.name.clone()));
        }
        if self.leave_group && (data.test.groups.is_empty() || gallery.groups.is_empty()) {
            return Err(EvalError::NoGroups(data.name.clone()));
        }
        let gallery = gallery.len() - usize::from(leave_one_out);
        match self.ks.iter().max() {
            Some(&k) if k > gallery => Err(EvalError::KTooLarge { k, gallery }),
            _ if self.ks.contains(&0) => Err(EvalError::KZero),
            _ => Ok(()),
        }
    }

    /// Judges one space, given the vectors of the gallery and of the queries.
    ///
    /// # Errors
    ///
    /// As [`Judge::check`], or if no query can be right.
    pub fn space(
        &self,
        data: &Dataset,
        gallery: Vectors<'_>,
        queries: Vectors<'_>,
    ) -> Result<SpaceJudgement, EvalError> {
        self.check(data)?;
        let of_gallery = data.gallery().0;
        let (labels, truth) = (&of_gallery.labels, &data.test.labels);
        let deepest = self.ks.iter().copied().max().unwrap_or(0).max(SHOWN);
        let by_class = data.is_open_set();
        let left_out = self.left_out(data);
        let matched = left_out.matched(truth, labels);
        if !matched.contains(&true) {
            return Err(EvalError::NoMatch(data.name.clone()));
        }
        let judged = |predicted| {
            Classification::of_matched(predicted, matched.clone(), truth, &data.classes)
                .with_interval(truth, by_class)
        };
        let vote = |list: &[Neighbour]| -> u32 {
            match list {
                // Where a group is all that there is, nothing is left to answer; no class is right then.
                [] => u32::MAX,
                _ if self.weighted => {
                    weighted_vote(&list.iter().map(|n| (labels[n.index], n.distance)).collect::<Vec<_>>())
                }
                _ => vote(&list.iter().map(|n| labels[n.index]).collect::<Vec<_>>()),
            }
        };
        let asked = left_out.with(|leave| {
            nearest(&Exact::with_tier(self.tier, gallery), queries, deepest, leave, |_, list| {
                let votes: Vec<u32> = self.ks.iter().map(|k| vote(&list[..list.len().min(*k)])).collect();
                (list.iter().map(|n| n.index).collect(), votes)
            })
        });
        let (neighbours, votes): (Vec<Vec<usize>>, Vec<Vec<u32>>) = asked.into_iter().unzip();
        let by_k = |(at, k): (usize, &usize)| (*k, judged(votes.iter().map(|v| v[at]).collect()));
        let knn = self.ks.iter().enumerate().map(by_k).collect();
        let means = ClassMeans::with_tier(self.tier, gallery, labels, data.classes.len());
        let own = left_out.members(truth.len());
        let class_mean = judged(means.classify(queries, |i| &own[i]));
        let verification = self.pairs(data, queries).map(|pairs| pairs.equal_error_rate());
        Ok(SpaceJudgement { class_mean, knn, verification, neighbours })
    }

    /// All pairs of test images that count, measured: none of one group where groups are left out. Nothing if there are no pairs of
    /// one kind.
    pub fn pairs(&self, data: &Dataset, queries: Vectors<'_>) -> Option<Pairs> {
        let Split { labels, identities, groups, .. } = &data.test;
        let groups = if self.leave_group { &groups[..] } else { &[] };
        Pairs::leaving_groups(queries, labels, identities, groups, SEED)
    }

    /// How well a space retrieves, by every measure of the field: each test image asks the gallery for its class.
    ///
    /// # Errors
    ///
    /// As [`Judge::check`].
    pub fn retrieval(
        &self,
        data: &Dataset,
        gallery: Vectors<'_>,
        queries: Vectors<'_>,
        ks: &[usize],
    ) -> Result<RetrievalReport, EvalError> {
        Ok(RetrievalReport::new(data, &self.rankings(data, gallery, queries, ks)?, ks))
    }

    /// The same query by query; nothing for one without a match in the gallery.
    ///
    /// # Errors
    ///
    /// As [`Judge::check`].
    pub fn rankings(
        &self,
        data: &Dataset,
        gallery: Vectors<'_>,
        queries: Vectors<'_>,
        ks: &[usize],
    ) -> Result<Vec<Option<Quality>>, EvalError> {
        self.check(data)?;
        let (of_gallery, _) = data.gallery();
        Ok(self.left_out(data).with(|exclude| {
            ranks_of_matches(
                self.tier,
                (queries, &data.test.labels),
                (gallery, &of_gallery.labels),
                exclude,
                |_, ranks| (!ranks.is_empty()).then(|| Quality::of_ranks(ranks, ks)),
            )
        }))
    }

    /// Judges raw pixels, which no training changes.
    ///
    /// # Errors
    ///
    /// As [`Judge::space`].
    pub fn image_space(&self, data: &Dataset) -> Result<SpaceJudgement, EvalError> {
        with_pixels([&data.gallery().0.images, &data.test.images], |[gallery, queries]| {
            self.space(data, gallery, queries)
        })?
    }

    /// Judges the embeddings of both splits, and sets them against image space.
    ///
    /// # Errors
    ///
    /// As [`Judge::space`], or if an excluded class does not exist.
    pub fn judge(
        &self,
        data: &Dataset,
        image: SpaceJudgement,
        gallery: &Features,
        queries: &Features,
        excluded: &[String],
    ) -> Result<Judgement, EvalError> {
        let feature = self.space(data, Vectors::Features(gallery), Vectors::Features(queries))?;
        let unseen = self.unseen(data, excluded, (gallery, queries), (&image, &feature))?;
        let right = |c: &Classification| c.right(&data.test.labels);
        let counted: Vec<u32> = (0..data.test.len())
            .filter(|i| feature.class_mean.counts(*i))
            .map(|i| data.test.labels[i])
            .collect();
        let without_match = (0..data.test.len()).filter(|i| !feature.class_mean.counts(*i)).count();
        let comparison = image
            .rules()
            .into_iter()
            .zip(feature.rules())
            .map(|((rule, i), (_, f))| {
                let (first, second) = (right(i), right(f));
                let paired = if data.is_open_set() {
                    compare_groups(&first, &second, &counted)
                } else {
                    compare(first.into_iter(), second.into_iter())
                };
                Comparison { rule, image: i.accuracy, feature: f.accuracy, paired }
            })
            .collect();
        Ok(Judgement {
            dataset: data.name.clone(),
            n_gallery: data.gallery().0.len(),
            leave_one_out: data.gallery().1,
            weighted_votes: self.weighted,
            n_query: data.test.len(),
            without_match,
            spaces: Spaces { image, feature },
            comparison,
            unseen,
        })
    }
}
