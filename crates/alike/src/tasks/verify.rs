//! Verification: whether two pictures show the same.

use super::{GallerySummary, Known, Model, TaskError};
use crate::data::Dataset;
use crate::eval::{Pair, Pairs};
use crate::images::Vectors;
use crate::neighbours::squared_distance;
use crate::rng::mix;
use serde::Serialize;
use std::collections::HashMap;

/// By what two pictures are judged.
#[derive(Clone, Debug)]
pub enum VerifyBy<'a> {
    /// A threshold of the distance that is given.
    Threshold(f64),
    /// Known images of known classes, whose pairs give the threshold.
    Known {
        /// These images.
        known: &'a Known,
        /// The share of new pairs of two classes that may be accepted, from 0 to 1; where there is none, the threshold is where errors
        /// of both kinds are equal.
        far: Option<f64>,
        /// Whether pairs of one group are left out.
        leave_group: bool,
    },
}

/// Whether two pictures show the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerifyAnswer {
    /// Whether they are nearer than the threshold; what a person said of them goes before.
    pub same: bool,
    /// True if a person said that the two show the same, false if a person said that they do not, nothing if nobody said either.
    pub said: Option<bool>,
    /// The Euclidean distance of their embeddings.
    pub distance: f64,
    /// Pairs that are no farther are taken for the same.
    pub threshold: f64,
    /// What known pairs tell; nothing where the threshold was given.
    #[serde(flatten)]
    pub by: Option<VerifiedBy>,
    /// By picture: whether the run learned from it, so that the distance says little.
    pub trained_on: Vec<bool>,
}

/// What known pairs tell of a distance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerifiedBy {
    /// The equal error rate of known pairs.
    pub eer: f64,
    /// The share of new pairs of two classes that is accepted, at most and in expectation; nothing where no rate was asked for.
    pub far: Option<f64>,
    /// The share of known pairs of one class that is accepted, where a rate was asked for.
    pub tar: Option<f64>,
    /// Known pairs of two classes that are accepted, where a rate was asked for.
    pub accepted_impostors: Option<usize>,
    /// Known pairs of one class.
    pub genuine_pairs: usize,
    /// Known pairs of two classes.
    pub impostor_pairs: usize,
    /// The share of known pairs of one class that are nearer than the two pictures.
    pub genuine_nearer: f64,
    /// The same of pairs of two classes.
    pub impostor_nearer: f64,
    /// The known images.
    pub gallery: GallerySummary,
}

/// Judges whether the two pictures of `two` show the same.
///
/// # Errors
///
/// If a picture cannot be embedded, known images make no pairs of both kinds, or what people said of them cannot all be true.
pub fn verify(model: &Model, two: &Dataset, by: &VerifyBy<'_>) -> Result<VerifyAnswer, TaskError> {
    let trained_on = model.asked_of_trained(two, None);
    let features = model.embed(&two.train.images)?;
    let distance = squared_distance(features.row(0), features.row(1)).sqrt();
    let (known, far, leave_group) = match *by {
        VerifyBy::Threshold(threshold) => {
            return Ok(VerifyAnswer {
                same: distance <= threshold,
                said: None,
                distance,
                threshold,
                by: None,
                trained_on,
            });
        }
        VerifyBy::Known { known, far, leave_group } => (known, far, leave_group),
    };
    let corrections = known.corrections();
    let said = corrections.settled()?;
    let place = |i: usize| two.train.identities.place(i);
    let of_two = place(0).zip(place(1)).and_then(|(a, b)| said.said(a, b));
    let pairs_said = pairs_said(known);
    let (known, labels) = known.labelled();
    let gallery = known.summary();
    let groups = if leave_group { known.groups(true)?.0 } else { Vec::new() };
    let (vectors, identities) = (Vectors::Features(&known.gallery.features), &known.gallery.identities);
    // What people said of a pair goes before what its classes say.
    let is_said = |pair: &Pair| {
        let [a, b] = pair.images.map(|i| identities.place(i as usize));
        a.zip(b).is_some_and(|(a, b)| said.said(a, b).is_some())
    };
    let mut pairs = Pairs::by_class(vectors, &labels, identities, &groups, 0);
    if !corrections.is_empty() {
        pairs.retain(|pair| !is_said(pair));
        pairs.extend(pairs_said);
    }
    let pairs = Pairs::new(pairs).ok_or_else(|| TaskError::NoPairs(gallery.sentence()))?;
    let eer = pairs.equal_error_rate();
    let (genuine_pairs, impostor_pairs) = pairs.counts();
    let at = far.map(|far| pairs.promising(far));
    let threshold = at.map_or(eer.threshold, |at| at.threshold);
    let [genuine_nearer, impostor_nearer] = pairs.nearer_than(distance);
    let by = VerifiedBy {
        eer: eer.eer,
        far: at.map(|at| at.far),
        tar: at.map(|at| at.tar),
        accepted_impostors: at.map(|at| at.support),
        genuine_pairs,
        impostor_pairs,
        genuine_nearer,
        impostor_nearer,
        gallery,
    };
    let same = of_two.unwrap_or(distance <= threshold);
    Ok(VerifyAnswer { same, said: of_two, distance, threshold, by: Some(by), trained_on })
}

/// The pairs that people said something of, as far as both images are among the known ones.
fn pairs_said(known: &Known) -> Vec<Pair> {
    let gallery = &known.gallery;
    let place = |i: usize| gallery.identities.place(i).map(|place| (place, i));
    let row: HashMap<&str, usize> = (0..gallery.len()).filter_map(place).collect();
    let corrections = known.corrections();
    let all = [(true, &corrections.same), (false, &corrections.different)];
    let all = all.into_iter().flat_map(|(genuine, pairs)| pairs.iter().map(move |pair| (genuine, pair)));
    let measured = |(n, (genuine, [a, b])): (u32, (bool, &[String; 2]))| {
        let (i, j) = (*row.get(a.as_str())?, *row.get(b.as_str())?);
        let keys = gallery.identities.keys();
        Some(Pair {
            distance: squared_distance(gallery.features.row(i), gallery.features.row(j)).sqrt(),
            genuine,
            // Each stands by itself, and beside all classes.
            of: [u32::MAX - n; 2],
            images: [i as u32, j as u32],
            key: mix(keys[i] ^ keys[j]),
        })
    };
    (0..).zip(all).filter_map(measured).collect()
}
