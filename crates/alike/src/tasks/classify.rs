//! Classification by known images, with thresholds and confidences that known pairs calibrate.

use super::{GallerySummary, Known, Model, TaskError, Together, with_others};
use crate::data::Dataset;
use crate::eval::{
    Answer, Bursts, CALIBRATED, Calibration, Classifier, Reference, Rule, Siblings, known_or_found,
};
use crate::identity::Shared;
use crate::images::{Features, Vectors};
use crate::neighbours::squared_distance;
use crate::sample;
use serde::Serialize;

/// How images are classified.
#[derive(Clone, Copy, Debug)]
pub struct ClassifyOptions {
    /// How neighbours become an answer.
    pub rule: Rule,
    /// The share of new images of known class that is to be taken for known, from 0 to 1.
    pub accept: f64,
    /// The distance beyond which an image is unknown, instead of one that is calibrated.
    pub threshold: Option<f64>,
    /// Whether images of the query's own group are left out.
    pub leave_group: bool,
    /// Whether the known images are the run's own, so that those not trained on are new to it.
    pub own_images: bool,
}

/// The classes of images.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClassifyAnswer {
    /// What the images were compared with.
    pub gallery: GallerySummary,
    /// What tells known from unknown, and how that was found.
    pub calibration: CalibratedBy,
    /// Bursts of near copies among the known images, where they were looked for and found.
    pub bursts: Option<Bursts>,
    /// By image that was asked about, in order.
    pub answers: Vec<Classified>,
}

/// A calibration, and the images that it was found on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CalibratedBy {
    /// The threshold and what it promises.
    #[serde(flatten)]
    pub by: Calibration,
    /// Which images it was found on.
    pub on: CalibratedOn,
    /// What was left out when these were compared with the others.
    pub leaving_out: Together,
}

/// Which images calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CalibratedOn {
    /// None: the threshold was given.
    #[serde(rename = "nothing")]
    Nothing,
    /// Images of the run that it learned from, which lie nearer to each other than new ones do.
    #[serde(rename = "images that were trained on")]
    Trained,
    /// Images of the run that it did not learn from.
    #[serde(rename = "images that were not trained on")]
    NotTrained,
    /// Images of a gallery that was given.
    #[serde(rename = "images of the gallery")]
    Gallery,
}

impl CalibratedOn {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            CalibratedOn::Nothing => "nothing",
            CalibratedOn::Trained => "images that were trained on",
            CalibratedOn::NotTrained => "images that were not trained on",
            CalibratedOn::Gallery => "images of the gallery",
        }
    }
}

/// What is said of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Classified {
    /// Its name.
    pub path: String,
    /// Its class; nothing where it is unknown, or there is no other image to compare it with.
    pub class: Option<String>,
    /// The class that is nearest, known or not; nothing where there is no other image.
    pub nearest_class: Option<String>,
    /// Whether it is near enough to be of a known class.
    pub known: bool,
    /// How far the nearest image of that class is, or its mean.
    pub distance: Option<f64>,
    /// How sure the answer is among the known classes, from 0 to 1; nothing for what is unknown, and where too few images tell.
    pub confidence: Option<f64>,
    /// The nearest image of the class, where images answer.
    pub nearest: Option<String>,
    /// Whether the run learned from it.
    pub trained_on: bool,
    /// Whether a person set the class, of this image or of one that was said to show the same.
    pub by_hand: bool,
}

/// Classifies images by known ones. What people said goes before: a class that was set by hand, that an image shows the same as one of a
/// class, or that it does not show the same as an image, which then does not answer for it.
///
/// # Errors
///
/// If the known images have no classes, nothing tells how far apart images of a class are, an image cannot be embedded, or what people said
/// cannot all be true.
pub fn classify(
    model: &Model,
    asked: &Dataset,
    known: &Known,
    options: &ClassifyOptions,
) -> Result<ClassifyAnswer, TaskError> {
    let (known, labels) = known.labelled();
    if labels.is_empty() {
        return Err(TaskError::NoClasses("the gallery".into()));
    }
    let own = known.own(asked, options.leave_group)?;
    let trained = model.asked_of_trained(asked, Some(&known));
    let (gallery, names) = (&known.gallery, &known.gallery.names);
    // New images are of no burst and no group that is known: what calibrates is compared with other groups alone.
    let (groups, _) = known.groups(options.leave_group)?;
    let plain = Reference::new(Vectors::Features(&gallery.features), &labels, &gallery.identities);
    let Siblings { groups, bursts, .. } = known_or_found(Reference { groups: &groups, ..plain });
    let together = Together::of(&groups, bursts.as_ref());
    let reference = Reference { groups: &groups, ..plain };
    let classifier = Classifier::new(reference, gallery.classes.len(), options.rule);
    let (rows, on_trained) = calibrating(&known, &labels, &groups);
    let asking = gallery.select(&rows);
    let truth: Vec<u32> = rows.iter().map(|i| labels[*i]).collect();
    let held_out = Reference::new(Vectors::Features(&asking.features), &truth, &asking.identities);
    let calibrated = classifier.calibrate((!rows.is_empty()).then_some(held_out), options.accept);
    let by = match (options.threshold, calibrated) {
        (Some(threshold), Ok(by)) => Calibration { threshold, ..by },
        (Some(threshold), Err(_)) => Calibration::given(threshold),
        (None, by) => by?,
    };
    let on = match (options.own_images, on_trained) {
        _ if by.images == 0 => CalibratedOn::Nothing,
        (_, true) => CalibratedOn::Trained,
        (true, false) => CalibratedOn::NotTrained,
        (false, false) => CalibratedOn::Gallery,
    };
    let embedded = model.embed(&asked.train.images)?;
    let mut answers = classifier.answer(&embedded, Some(&own), &by);
    let said = known.corrections().settled()?;
    let mut by_hand = vec![None; answers.len()];
    for (i, (answer, by_hand)) in answers.iter_mut().zip(&mut by_hand).enumerate() {
        let Some(place) = asked.train.identities.place(i) else { continue };
        let [same, different] = said.rows(place, &gallery.identities);
        if !different.is_empty() {
            let query = embedded.select(&[i]);
            *answer = answer_without(&different, reference, &own, i, &query, options.rule, &by);
        }
        *by_hand = class_said(&known, &labels, place, &same);
    }
    let each = asked.train.names.iter().zip(&answers).zip(trained.iter().zip(by_hand)).enumerate();
    let answers = each.map(|(i, ((path, answer), (trained_on, by_hand)))| {
        let (path, trained_on) = (path.clone(), *trained_on);
        if let Some((class, row)) = by_hand {
            let class = Some(gallery.classes[class as usize].clone());
            let far = |row: usize| squared_distance(embedded.row(i), gallery.features.row(row)).sqrt();
            let (distance, nearest) = (row.map(far), row.map(|row| names[row].clone()));
            let (nearest_class, confidence) = (class.clone(), None);
            return Classified {
                path,
                class,
                nearest_class,
                known: true,
                distance,
                confidence,
                nearest,
                trained_on,
                by_hand: true,
            };
        }
        let Some(a) = answer else {
            return Classified { path, trained_on, ..Classified::default() };
        };
        let class = &gallery.classes[a.class as usize];
        Classified {
            path,
            class: a.known.then(|| class.clone()),
            nearest_class: Some(class.clone()),
            known: a.known,
            distance: Some(a.distance),
            confidence: a.confidence,
            nearest: a.nearest.map(|i| names[i].clone()),
            trained_on,
            by_hand: false,
        }
    });
    Ok(ClassifyAnswer {
        answers: answers.collect(),
        gallery: known.summary(),
        calibration: CalibratedBy { by, on, leaving_out: together },
        bursts,
    })
}

/// The class that a person said of the picture at a place, and the image of which it was said that both show the same: its own class, if
/// that was set by hand, else that of one of `same`, those first whose class was.
fn class_said(known: &Known, labels: &[u32], place: &str, same: &[usize]) -> Option<(u32, Option<usize>)> {
    let (gallery, set) = (&known.gallery, &known.corrections().classes);
    if let Some(class) = set.get(place).and_then(Option::as_ref) {
        let number = gallery.classes.iter().position(|c| c == class)?;
        return Some((number as u32, None));
    }
    let others = same.iter().copied().filter(|row| gallery.identities.place(*row) != Some(place));
    let is_set = |row: &usize| gallery.identities.place(*row).is_some_and(|place| set.contains_key(place));
    others.min_by_key(|row| !is_set(row)).map(|row| (labels[row], Some(row)))
}

/// What the known images but some say of query `i`, whose embedding is `query`.
fn answer_without(
    left_out: &[usize],
    known: Reference<'_>,
    own: &Shared,
    i: usize,
    query: &Features,
    rule: Rule,
    by: &Calibration,
) -> Option<Answer> {
    let rows: Vec<usize> = (0..known.len()).filter(|row| left_out.binary_search(row).is_err()).collect();
    if rows.is_empty() {
        return None;
    }
    let at =
        |numbers: &[u32]| -> Vec<u32> { rows.iter().filter_map(|row| numbers.get(*row).copied()).collect() };
    let (features, labels, groups) = (known.vectors.select(&rows), at(known.labels), at(known.groups));
    let identities = known.identities.select(&rows);
    let rest = Reference::new(Vectors::Features(&features), &labels, &identities);
    let classes = known.labels.iter().max().map_or(0, |most| *most as usize + 1);
    let own = Shared {
        queries: vec![own.queries[i]],
        gallery: at(&own.gallery),
        groups: own.groups.get(i).copied().into_iter().collect(),
    };
    let classifier = Classifier::new(Reference { groups: &groups, ..rest }, classes, rule);
    let found = classifier.answer(query, Some(&own), by).into_iter().next().flatten();
    found.map(|a| Answer { nearest: a.nearest.map(|row| rows[row]), ..a })
}

/// The known images that calibrate, and whether the run learned from them. Images that were trained on lie nearer to each other than new
/// ones do: those held back tell how near these are.
fn calibrating(known: &Known, labels: &[u32], groups: &[u32]) -> (Vec<usize>, bool) {
    let all = with_others(labels, groups);
    let is_trained = |i: &usize| known.trained(*i) == Some(true);
    let new: Vec<usize> = all.iter().copied().filter(|i| !is_trained(i)).collect();
    let on_trained = new.is_empty() && all.iter().any(is_trained);
    let rows = if new.is_empty() { all } else { new };
    let keys = known.gallery.identities.keys();
    let (of, keys): (Vec<u32>, Vec<u64>) = rows.iter().map(|i| (labels[*i], keys[*i])).unzip();
    (sample::stratified(&of, &keys, CALIBRATED, 1, 0).into_iter().map(|k| rows[k]).collect(), on_trained)
}
