//! Classification by known images, with thresholds and confidences that known pairs calibrate.

use super::{GallerySummary, Known, Model, TaskError, Together, with_others};
use crate::data::Dataset;
use crate::eval::{Bursts, CALIBRATED, Calibration, Classifier, Reference, Rule, Siblings, known_or_found};
use crate::images::Vectors;
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
}

/// Classifies images by known ones.
///
/// # Errors
///
/// If the known images have no classes, nothing tells how far apart images of a class are, or an image cannot be embedded.
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
    let answers = classifier.answer(&model.embed(&asked.train.images)?, Some(&own), &by);
    let answers =
        asked.train.names.iter().zip(answers.iter().zip(trained)).map(|(path, (answer, trained_on))| {
            let path = path.clone();
            let Some(a) = answer else { return Classified { path, trained_on, ..Classified::default() } };
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
            }
        });
    Ok(ClassifyAnswer {
        answers: answers.collect(),
        gallery: known.summary(),
        calibration: CalibratedBy { by, on, leaving_out: together },
        bursts,
    })
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
