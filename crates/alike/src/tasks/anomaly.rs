//! Anomalies: which images are unlike normal ones, with a threshold that keeps a promised rate of false alarms.

use super::{GallerySummary, Known, Match, Model, TaskError, Together, group_numbers};
use crate::data::Dataset;
use crate::eval::{
    Alarm, AnomalyMethod, Bursts, Detector, Reference, Siblings, alarm_threshold, known_or_found,
};
use crate::identity::{Identities, Shared};
use crate::images::{Features, Vectors};
use crate::neighbours::{Exact, Neighbour, nearest};
use serde::Serialize;
use std::collections::BTreeSet;

/// How anomalies are found.
#[derive(Clone, Copy, Debug)]
pub struct AnomalyOptions {
    /// What a score is.
    pub method: AnomalyMethod,
    /// The share of new normal images that may raise an alarm, from 0 to 1.
    pub false_alarms: f64,
    /// Whether images of the query's own group are left out.
    pub leave_group: bool,
    /// Of so many images, the most anomalous, the nearest normal images are wanted too.
    pub shown: usize,
    /// So many of these.
    pub beside: usize,
}

/// How anomalous images are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnomalyAnswer {
    /// What a score is.
    pub method: String,
    /// A score above this is an alarm.
    pub threshold: f64,
    /// The rate of false alarms that was asked for.
    pub false_alarms: f64,
    /// The rate that the threshold promises of new normal images, at most and in expectation.
    pub promised: f64,
    /// The normal images.
    pub reference: GallerySummary,
    /// Images that the threshold was found on.
    pub calibrated_on: usize,
    /// Whether these are images that were held out, rather than the normal images themselves.
    pub held_out: bool,
    /// What was left out when these were compared with the normal images.
    pub leaving_out: Together,
    /// How many of them are independent of each other.
    pub independent: usize,
    /// How many would have to be for the rate that was asked for; nothing where there are enough.
    pub needs: Option<usize>,
    /// Bursts of near copies, where they were looked for and found.
    pub bursts: Option<Bursts>,
    /// Whether the run learned from all normal images, and none were held out: more than promised will raise an alarm then.
    pub on_trained: bool,
    /// Images that raise an alarm.
    pub alarms: usize,
    /// By image that was asked about, the most anomalous first.
    pub images: Vec<Scored>,
}

/// How anomalous an image is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// Its name.
    pub path: String,
    /// The larger, the more anomalous; the method says what it is.
    pub score: f64,
    /// Whether it is above the threshold.
    pub alarm: bool,
    /// Whether the run learned from it.
    pub trained_on: bool,
    /// The nearest normal images, where they were asked for.
    #[serde(skip)]
    pub nearest: Vec<Match>,
    /// Its index among the images that were asked about.
    #[serde(skip)]
    pub index: usize,
}

/// Scores images against normal ones. `held_out` are normal images that the run did not learn from, where those that are `known` are what
/// it learned from.
///
/// # Errors
///
/// If an image cannot be embedded, or nothing tells how far apart normal images are.
pub fn anomaly(
    model: &Model,
    asked: &Dataset,
    known: &Known,
    held_out: Option<&Known>,
    options: &AnomalyOptions,
) -> Result<AnomalyAnswer, TaskError> {
    let trained = model.asked_of_trained(asked, Some(known));
    let labels: Vec<u32> = known.gallery.labels.iter().map(|l| l.unwrap_or(0)).collect();
    let (vectors, identities) = (Vectors::Features(&known.gallery.features), &known.gallery.identities);
    let plain = Reference::new(vectors, &labels, identities);
    let own = known.own(asked, options.leave_group)?;
    let siblings = siblings(model, known, held_out);
    let (groups, bursts) = (&siblings.groups, siblings.bursts.clone());
    let leaving_out = Together::of(groups, bursts.as_ref());
    let n = known.gallery.len();
    let (of_references, of_held_out) = groups.split_at(n.min(groups.len()));
    // Those of references and held out images together are of no use here.
    let near = if held_out.is_none() { &siblings.near[..] } else { &[] };
    let reference = Reference { groups: of_references, ..plain };
    let detector = Detector::fit_near(model.tier(), reference, options.method, near)?;
    let normal = match held_out {
        Some(test) => {
            let own = Identities::shared(&test.gallery.identities, identities)
                .unwrap_or_else(|| Shared::none(test.gallery.len(), n))
                .of_groups(of_held_out.to_vec());
            detector.score(Vectors::Features(&test.gallery.features), Some(&own))
        }
        None => detector.reference_scores().into_iter().flatten().collect(),
    };
    // What has nothing else to be compared with says nothing.
    let normal: Vec<f64> = normal.into_iter().filter(|s| s.is_finite()).collect();
    if normal.is_empty() {
        return Err(TaskError::NothingNormal { grouped: leaving_out != Together::Image });
    }
    let calibrated_on = normal.len();
    // What is independent of each other is what promises: bursts and groups, where images come in such.
    let distinct = |groups: &[u32]| groups.iter().collect::<BTreeSet<_>>().len();
    let independent = match held_out {
        _ if groups.is_empty() => calibrated_on,
        Some(_) => distinct(of_held_out),
        None => distinct(of_references),
    };
    let found = alarm_threshold(normal, options.false_alarms);
    let alarm = Alarm {
        rate: found.rate.max(1.0 / (independent + 1) as f64),
        scores: found.scores.min(independent),
        ..found
    };
    let queries = model.embed(&asked.train.images)?;
    // Those who ask are of no burst: groups are those that are named, if they are to be left out.
    let named = known.groups(options.leave_group)?.0;
    let asking = Reference { groups: &named, ..plain };
    let detector = if named == of_references {
        detector
    } else {
        Detector::fit_near(model.tier(), asking, options.method, near)?
    };
    let scores = detector.score(Vectors::Features(&queries), Some(&own));
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let shown = &order[..order.len().min(options.shown)];
    let mut beside =
        nearest_normal(model, known, asking, (&queries, &own), shown, options.beside).into_iter();
    let images = order.iter().map(|&i| Scored {
        path: asked.train.names[i].clone(),
        score: scores[i],
        alarm: scores[i] > found.threshold,
        trained_on: trained[i],
        nearest: beside.next().unwrap_or_default(),
        index: i,
    });
    Ok(AnomalyAnswer {
        method: options.method.to_string(),
        threshold: found.threshold,
        false_alarms: options.false_alarms,
        promised: alarm.rate,
        reference: known.summary(),
        calibrated_on,
        held_out: held_out.is_some(),
        leaving_out,
        independent,
        needs: alarm.needs(options.false_alarms),
        on_trained: held_out.is_none() && (0..n).all(|i| known.trained(i) == Some(true)),
        alarms: scores.iter().filter(|s| **s > found.threshold).count(),
        images: images.collect(),
        bursts,
    })
}

/// What belongs together, among normal images and those held out.
fn siblings(model: &Model, known: &Known, held_out: Option<&Known>) -> Siblings {
    let mut all = known.gallery.clone();
    held_out.iter().for_each(|more| all.append(&more.gallery));
    let labels: Vec<u32> = all.labels.iter().map(|l| l.unwrap_or(0)).collect();
    let named: Vec<u32> = group_numbers(&all.groups);
    let of = Reference::new(Vectors::Features(&all.features), &labels, &all.identities);
    known_or_found(model.tier(), Reference { groups: &named, ..of })
}

/// The `k` nearest normal images of some that were asked about.
fn nearest_normal(
    model: &Model,
    known: &Known,
    reference: Reference<'_>,
    (queries, own): (&Features, &Shared),
    some: &[usize],
    k: usize,
) -> Vec<Vec<Match>> {
    let rows = queries.select(some);
    let own = Shared {
        queries: some.iter().map(|i| own.queries[*i]).collect(),
        groups: some.iter().map(|i| own.groups[*i]).collect(),
        ..own.clone()
    };
    let near: Vec<Vec<Neighbour>> = reference.leaving(Some(&own), |exclude| {
        nearest(
            &Exact::new(model.tier(), reference.vectors),
            Vectors::Features(&rows),
            k,
            exclude,
            |_, list| list.to_vec(),
        )
    });
    near.into_iter().map(|list| list.into_iter().map(|n| Match::new(known, n)).collect()).collect()
}
