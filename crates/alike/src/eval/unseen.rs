//! Classes that training never saw: are they found, where do they land, do they gather?

use super::{Classification, EvalError, Judge, Quality, SpaceJudgement};
use crate::data::{Dataset, find_class};
use crate::images::{Features, Vectors, with_pixels};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// How the classes that were excluded from training fare, in feature space.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unseen {
    /// Their names.
    pub classes: Vec<String>,
    /// By the nearest class mean.
    pub class_mean: ClassMeanRecall,
    /// By `k`: the vote of the nearest neighbours.
    pub knn: BTreeMap<usize, KnnRecall>,
    /// The share of their queries whose nearest neighbour is of their class.
    pub precision_at_1: f64,
    /// The mean R-Precision of their queries.
    pub r_precision: f64,
    /// The mean MAP@R of their queries.
    pub map_at_r: f64,
    /// The same queries in image space.
    pub image: UnseenBaseline,
    /// By class: the share of their queries that 1-NN gives to each other class.
    pub lands_on: BTreeMap<String, BTreeMap<String, f64>>,
    /// By class: see [`cluster_quality`].
    pub purity: BTreeMap<String, f64>,
    /// By class: see [`cluster_quality`].
    pub silhouette: BTreeMap<String, f64>,
}

/// Recall by the class means.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClassMeanRecall {
    /// Over all queries of unseen classes; `recall_by_class` tells them apart.
    pub recall: f64,
    /// By the class's name.
    pub recall_by_class: BTreeMap<String, f64>,
}

/// Recall by a vote of neighbours.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KnnRecall {
    /// Over all queries of unseen classes.
    pub recall: f64,
    /// By the class's name.
    pub recall_by_class: BTreeMap<String, f64>,
}

/// How the same queries fare in image space, for which no class is unseen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnseenBaseline {
    /// Recall by the nearest class mean.
    pub class_mean: f64,
    /// By `k`: recall by the vote of the nearest neighbours.
    pub knn: BTreeMap<usize, f64>,
    /// The mean R-Precision.
    pub r_precision: f64,
    /// The mean MAP@R.
    pub map_at_r: f64,
}

impl Unseen {
    /// By rule: recall in image space and in feature space.
    pub fn recalls(&self) -> Vec<(String, f64, f64)> {
        let mut rows = vec![("class means".to_owned(), self.image.class_mean, self.class_mean.recall)];
        let votes = self.image.knn.values().zip(&self.knn);
        rows.extend(votes.map(|(image, (k, feature))| (format!("{k}-NN"), *image, feature.recall)));
        rows
    }

    /// The headline figures by name, in image space and in feature space.
    pub fn headline(&self) -> Vec<(String, f64, f64)> {
        let recall = |(rule, image, feature)| (format!("recall, {rule}"), image, feature);
        let mut rows: Vec<(String, f64, f64)> = self.recalls().into_iter().map(recall).collect();
        rows.push(("R-Precision".to_owned(), self.image.r_precision, self.r_precision));
        rows.push(("MAP@R".to_owned(), self.image.map_at_r, self.map_at_r));
        rows
    }
}

impl Judge {
    /// How the classes called `excluded` fare; all classes are in gallery and queries.
    pub(super) fn unseen(
        &self,
        data: &Dataset,
        excluded: &[String],
        (gallery, queries): (&Features, &Features),
        (image, feature): (&SpaceJudgement, &SpaceJudgement),
    ) -> Result<Option<Unseen>, EvalError> {
        let ids: Vec<u32> = excluded.iter().filter_map(|name| find_class(data, name).ok()).collect();
        let truth = &data.test.labels;
        let asking: Vec<usize> = (0..data.test.len())
            .filter(|&i| ids.contains(&truth[i]) && feature.class_mean.counts(i))
            .collect();
        let (answering, leave_one_out) = data.gallery();
        // Where no class of the test is trained on, excluding one more says nothing.
        if asking.is_empty() || leave_one_out {
            return Ok(None);
        }
        let recall = |c: &Classification| {
            let right = asking.iter().filter(|&&i| c.predicted[i] == truth[i]).count();
            right as f64 / asking.len() as f64
        };
        let by_class = |c: &Classification| -> BTreeMap<String, f64> {
            excluded.iter().filter_map(|n| Some((n.clone(), *c.recall.get(n)?))).collect()
        };
        let asked = Dataset { test: data.test.select(&asking), ..data.clone() };
        let quality = |gallery: Vectors<'_>, queries: Vectors<'_>| -> Result<Quality, EvalError> {
            let ranked = self.rankings(&asked, gallery, queries, &[1])?;
            Ok(Quality::mean(ranked.iter().flatten(), 1))
        };
        let own = quality(Vectors::Features(gallery), Vectors::Features(&queries.select(&asking)))?;
        let pixels = with_pixels([&answering.images, &asked.test.images], |[gallery, queries]| {
            quality(gallery, queries)
        })??;
        let baseline = UnseenBaseline {
            class_mean: recall(&image.class_mean),
            knn: image.knn.iter().map(|(k, c)| (*k, recall(c))).collect(),
            r_precision: pixels.r_precision,
            map_at_r: pixels.map_at_r,
        };
        let votes = feature.knn.iter();
        let mut unseen = Unseen {
            classes: excluded.to_vec(),
            class_mean: ClassMeanRecall {
                recall: recall(&feature.class_mean),
                recall_by_class: by_class(&feature.class_mean),
            },
            knn: votes
                .map(|(&k, c)| (k, KnnRecall { recall: recall(c), recall_by_class: by_class(c) }))
                .collect(),
            precision_at_1: own.recall_at[0],
            r_precision: own.r_precision,
            map_at_r: own.map_at_r,
            image: baseline,
            lands_on: BTreeMap::new(),
            purity: BTreeMap::new(),
            silhouette: BTreeMap::new(),
        };
        for (name, &class) in excluded.iter().zip(&ids) {
            let members: Vec<usize> = asking.iter().copied().filter(|&i| truth[i] == class).collect();
            let mut lands = BTreeMap::new();
            for &i in &members {
                if let Some(&nearest) = feature.neighbours[i].first() {
                    let label = answering.labels[nearest];
                    if label != class {
                        *lands.entry(data.classes[label as usize].clone()).or_insert(0.0) +=
                            1.0 / members.len() as f64;
                    }
                }
            }
            unseen.lands_on.insert(name.clone(), lands);
            let (purity, silhouette) = cluster_quality(queries, truth, class);
            unseen.purity.insert(name.clone(), purity);
            unseen.silhouette.insert(name.clone(), silhouette);
        }
        Ok(Some(unseen))
    }
}

/// The purity and the silhouette of class `class` among the vectors.
///
/// *Purity*: of the vectors nearest to the mean of the class's `n` vectors, the share of the first `n` that belong to it:
/// 1 if a ball around the mean holds the class and nothing else.
///
/// *Silhouette*: the mean over its vectors of `(b - a) / max(a, b)`, `a` being the mean distance to the others of the
/// class and `b` that to the nearest other class (Rousseeuw 1987; as `sklearn.metrics.silhouette_samples`).
pub fn cluster_quality(vectors: &Features, labels: &[u32], class: u32) -> (f64, f64) {
    let members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
    let n = members.len();
    if n == 0 {
        return (0.0, 0.0);
    }
    let mut centre = vec![0.0f64; vectors.d()];
    for &i in &members {
        centre.iter_mut().zip(vectors.row(i)).for_each(|(c, v)| *c += f64::from(*v) / n as f64);
    }
    let mut by_distance: Vec<(f64, bool)> = vectors
        .rows()
        .zip(labels)
        .map(|(row, l)| {
            (row.iter().zip(&centre).map(|(v, c)| (f64::from(*v) - c).powi(2)).sum(), *l == class)
        })
        .collect();
    by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
    let purity = by_distance[..n].iter().filter(|x| x.1).count() as f64 / n as f64;

    let classes = labels.iter().max().map_or(0, |m| *m as usize + 1);
    let mut counts = vec![0usize; classes];
    labels.iter().for_each(|l| counts[*l as usize] += 1);
    let widths: Vec<f64> = members
        .par_iter()
        .map(|&i| {
            let mut sums = vec![0.0; classes];
            for (row, l) in vectors.rows().zip(labels) {
                let square: f64 = row
                    .iter()
                    .zip(vectors.row(i))
                    .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                    .sum();
                sums[*l as usize] += square.sqrt();
            }
            // A class of one vector has width zero by definition.
            if n < 2 {
                return 0.0;
            }
            let own = sums[class as usize] / (n - 1) as f64;
            let other = (0..classes)
                .filter(|c| *c != class as usize && counts[*c] > 0)
                .map(|c| sums[c] / counts[c] as f64)
                .fold(f64::INFINITY, f64::min);
            let largest = own.max(other);
            if other.is_finite() && largest > 0.0 { (other - own) / largest } else { 0.0 }
        })
        .collect();
    (purity, widths.iter().sum::<f64>() / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sklearn.metrics.silhouette_samples([[0],[1],[5],[7],[20]], [0,0,1,1,2])[:2].mean()` is
    /// ((6 - 1) / 6 + (5 - 1) / 5) / 2.
    #[test]
    fn silhouettes_are_those_of_the_definition() {
        let vectors = Features::new(1, vec![0.0, 1.0, 5.0, 7.0, 20.0]);
        let labels = [0, 0, 1, 1, 2];
        let (purity, silhouette) = cluster_quality(&vectors, &labels, 0);
        assert_eq!(purity, 1.0);
        assert!((silhouette - (5.0 / 6.0 + 4.0 / 5.0) / 2.0).abs() < 1e-12);
        assert_eq!(cluster_quality(&vectors, &labels, 2).1, 0.0);
        // A class around another: its ball holds the other's members.
        assert_eq!(cluster_quality(&Features::new(1, vec![0.0, 4.0, 1.9, 2.1]), &[0, 0, 1, 1], 0).0, 0.0);
    }
}
