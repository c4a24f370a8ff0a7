//! Clusters: which images lie together, and how that agrees with their classes.

use super::{Known, TaskError};
use crate::eval::{
    Agreement, Assignment, agreement, agreement_bootstrap, bootstrap_interval, by_density, k_means,
};
use crate::gallery::Gallery;
use crate::sample;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Attempts of k-means, the best of which counts.
const ATTEMPTS: usize = 4;

/// How images are put into clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterMethod {
    /// k-means with so many clusters; as many as there are classes, if nothing is said.
    KMeans {
        /// Clusters.
        k: Option<usize>,
    },
    /// Clusters by density (HDBSCAN); what lies alone belongs to none.
    Density {
        /// Images of a cluster, at least.
        min_cluster_size: usize,
    },
}

/// Which images lie together.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterAnswer {
    /// The method, in words.
    pub method: String,
    /// How many images.
    pub images: usize,
    /// By cluster: how many images.
    pub clusters: BTreeMap<String, usize>,
    /// Images that belong to no cluster.
    pub in_none: usize,
    /// How clusters agree with classes, where every image has one.
    pub agreement: Option<Agreement>,
    /// By measure: its 95 % bootstrap interval, where there are classes.
    pub intervals: Option<BTreeMap<&'static str, [f64; 2]>>,
    /// By image, its cluster; nothing where it belongs to none.
    #[serde(skip)]
    pub assignment: Assignment,
    /// The clusters, the largest first.
    #[serde(skip)]
    pub largest_first: Vec<Cluster>,
}

/// Images that lie together.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its number.
    pub number: u32,
    /// Its images.
    pub members: Vec<usize>,
    /// The commonest class among them, with its share; nothing where none has a class.
    pub commonest: Option<(String, f64)>,
}

impl ClusterAnswer {
    /// Some members of a cluster, `most` at most, drawn by `seed`: the same for any order of the images.
    pub fn some(known: &Known, members: &[usize], most: usize, seed: u64) -> Vec<usize> {
        let keys: Vec<u64> = members.iter().map(|i| known.gallery.identities.keys()[*i]).collect();
        sample::some(&keys, most, seed).into_iter().map(|i| members[i]).collect()
    }
}

type Measure = fn(&Agreement) -> f64;

/// How clusters agree with classes: names and values, for every [`Agreement`].
pub const CLUSTER_MEASURES: [(&str, Measure); 7] = [
    ("NMI", |a| a.nmi),
    ("AMI", |a| a.ami),
    ("ARI", |a| a.ari),
    ("homogeneity", |a| a.homogeneity),
    ("completeness", |a| a.completeness),
    ("V-measure", |a| a.v_measure),
    ("purity", |a| a.purity),
];

/// Puts images into clusters. Two of which people said that they show the same lie in one, and two that do not in two.
///
/// # Errors
///
/// If there are fewer images than clusters, no classes to count, or fewer images than a cluster takes; or if what people said cannot all be
/// true.
pub fn cluster(known: &Known, method: ClusterMethod, seed: u64) -> Result<ClusterAnswer, TaskError> {
    let gallery = &known.gallery;
    let n = gallery.len();
    let (assignment, words): (Assignment, String) = match method {
        ClusterMethod::KMeans { k } => {
            let there = gallery.labels.iter().flatten().collect::<BTreeSet<_>>().len();
            let k = k.or((there > 0).then_some(there)).ok_or(TaskError::HowMany)?;
            if k > n {
                return Err(TaskError::TooManyClusters { clusters: k, images: n });
            }
            let found = k_means(&gallery.features, k, ATTEMPTS, seed);
            (found.assignment.into_iter().map(Some).collect(), format!("k-means with k = {k}"))
        }
        ClusterMethod::Density { min_cluster_size: least } => {
            let found = by_density(&gallery.features, least).map_err(TaskError::Density)?;
            (found, format!("density, clusters of {least} or more"))
        }
    };
    let said = known.corrections().settled()?;
    let assignment = said.clusters(&gallery.features, &gallery.identities, &assignment);
    let mut members: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    assignment.iter().enumerate().for_each(|(i, c)| members.entry(*c).or_default().push(i));
    let in_none = members.remove(&None).map_or(0, |m| m.len());
    let mut largest_first: Vec<Cluster> = members
        .into_iter()
        .filter_map(|(number, members)| {
            let commonest = commonest(gallery, &members);
            Some(Cluster { number: number?, members, commonest })
        })
        .collect();
    largest_first.sort_by_key(|c| (std::cmp::Reverse(c.members.len()), c.number));
    let labelled: Option<Vec<u32>> = gallery.labels.iter().copied().collect();
    let agreement = labelled.as_ref().map(|labels| agreement(labels, &assignment));
    let intervals = labelled.as_ref().zip(agreement.as_ref()).map(|(labels, found)| {
        let draws = agreement_bootstrap(labels, &assignment, seed);
        let measured = CLUSTER_MEASURES.into_iter().filter(|_| !draws.is_empty());
        let interval =
            |of: Measure| bootstrap_interval(of(found), &draws.iter().map(of).collect::<Vec<_>>(), n as f64);
        measured.map(|(name, of)| (name, interval(of))).collect()
    });
    Ok(ClusterAnswer {
        method: words,
        images: n,
        clusters: largest_first.iter().map(|c| (c.number.to_string(), c.members.len())).collect(),
        in_none,
        agreement,
        intervals,
        assignment,
        largest_first,
    })
}

/// The commonest class of some images, with its share.
fn commonest(gallery: &Gallery, members: &[usize]) -> Option<(String, f64)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    members.iter().filter_map(|i| gallery.class(*i)).for_each(|c| *counts.entry(c).or_default() += 1);
    let best = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    best.map(|(class, n)| (class.to_owned(), n as f64 / members.len() as f64))
}
