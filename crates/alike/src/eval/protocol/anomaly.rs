//! Anomaly detection: how well images of other classes are told from normal ones.

use super::{ProtocolError, groups_of};
use crate::data::{Dataset, Split, exclude};
use crate::encoder::Encoder;
use crate::eval::{AnomalyMethod, Detection, Detector, Reference, bootstrap_interval};
use crate::identity::{Identities, NO_GROUP, Shared};
use crate::images::{Features, Vectors, with_pixels};
use serde::Serialize;

/// What is normal, and how it is measured.
#[derive(Clone, Debug, Default)]
pub struct AnomalyProtocolOptions {
    /// Methods, each a column of the result; pixels are measured by the nearest neighbour.
    pub methods: Vec<AnomalyMethod>,
    /// Takes each class in turn as normal and all others as anomalies, even if classes were left out of training.
    pub one_class: bool,
    /// Classes that were left out of training, whose images are the anomalies.
    pub excluded: Vec<u32>,
    /// Excludes references of the image's own group.
    pub leave_group: bool,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// How well anomalies are detected.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnomalyProtocolAnswer {
    /// The data set's name.
    pub data: String,
    /// What is an anomaly: `classes left out of training`, `one class only` or `another data set`.
    pub protocol: &'static str,
    /// By class or data set, space and method.
    pub rows: Vec<AnomalyRow>,
    /// Over the rows of a space and method.
    pub means: Vec<AnomalyMeans>,
    /// Classes that are too small for a method, in words.
    #[serde(skip)]
    pub left_out: Option<String>,
}

/// How well the anomalies of a class or data set are detected.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnomalyRow {
    /// The class that is normal, the classes left out, or the other data set.
    pub name: String,
    /// `image` or `feature`.
    pub space: &'static str,
    /// The method.
    pub method: String,
    /// What came of it.
    #[serde(flatten)]
    pub detection: Detection,
    /// 95 % bootstrap interval of the AUROC.
    pub auroc_interval: [f64; 2],
    /// In which every draw is of the same images, whatever the row.
    #[serde(skip)]
    draws: Vec<Option<Detection>>,
}

/// Means over the rows of a space and method.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnomalyMeans {
    /// `image` or `feature`.
    pub space: &'static str,
    /// The method.
    pub method: String,
    /// Mean area under the ROC curve.
    pub auroc: f64,
    /// Its 95 % bootstrap interval.
    pub auroc_interval: [f64; 2],
    /// Mean area under the precision-recall curve.
    pub aupr: f64,
    /// Its 95 % bootstrap interval.
    #[serde(skip)]
    pub aupr_interval: [f64; 2],
    /// Mean false positive rate where 95 % of the anomalies are found.
    pub fpr_at_95_tpr: f64,
    /// Its 95 % bootstrap interval.
    #[serde(skip)]
    pub fpr_interval: [f64; 2],
}

/// One question: these references are normal, these test images are not.
struct Task {
    /// A class, or a data set.
    name: String,
    /// Training images.
    reference: Vec<usize>,
    /// By test image, those of another data set last: whether it is an anomaly.
    anomaly: Vec<bool>,
}

/// Measures how well anomalies are detected: the images of `against`, those of the excluded classes, or, for each class in turn, those of
/// all others.
///
/// # Errors
///
/// If there is nothing to judge by, a method needs more references than there are, or images cannot be read.
pub fn anomaly_protocol(
    encoder: &dyn Encoder,
    data: &Dataset,
    against: Option<&Dataset>,
    options: &AnomalyProtocolOptions,
) -> Result<AnomalyProtocolAnswer, ProtocolError> {
    if !data.labelled && against.is_none() {
        return Err(ProtocolError::NoClasses(data.name.clone()));
    }
    if let Some(set) = [Some(data), against].into_iter().flatten().find(|set| set.test.is_empty()) {
        return Err(ProtocolError::NoTestImages(set.name.clone()));
    }
    let (protocol, tasks, left_out) = tasks(data, against, options)?;
    let (train, test) = (&data.train, &data.test);
    let groups = groups_of(data, train, options.leave_group)?;
    groups_of(data, test, options.leave_group)?;
    let reference = encoder.embed(&train.images)?;
    // The queries, of one data set or of two: their pixels and their embeddings.
    let mut queries: Vec<(&Split, Features)> = Vec::new();
    for set in [Some(data), against].into_iter().flatten() {
        queries.push((&set.test, encoder.embed(&set.test.images)?));
    }
    let judge = Judging { data, groups, reference, queries, options };
    let mut rows = Vec::new();
    for task in &tasks {
        judge.rows(task, &mut rows)?;
    }
    let per = rows.iter().take_while(|r: &&AnomalyRow| r.name == rows[0].name).count();
    let means = (0..per).map(|k| means(&rows.iter().skip(k).step_by(per).collect::<Vec<_>>())).collect();
    Ok(AnomalyProtocolAnswer { data: data.name.clone(), protocol, rows, means, left_out })
}

type Tasks = (&'static str, Vec<Task>, Option<String>);

fn tasks(
    data: &Dataset,
    against: Option<&Dataset>,
    options: &AnomalyProtocolOptions,
) -> Result<Tasks, ProtocolError> {
    let (train, test, excluded) = (&data.train, &data.test, &options.excluded);
    let known = exclude(&train.labels, excluded);
    if let Some(other) = against {
        let anomaly = (0..test.len() + other.test.len()).map(|i| i >= test.len()).collect();
        let task = Task { name: other.name.clone(), reference: known, anomaly };
        return Ok(("another data set", vec![task], None));
    }
    if !options.one_class && !excluded.is_empty() {
        let anomaly = test.labels.iter().map(|l| excluded.contains(l)).collect();
        let names: Vec<&str> = excluded.iter().map(|c| data.classes[*c as usize].as_str()).collect();
        let task = Task { name: names.join(", "), reference: known, anomaly };
        return Ok(("classes left out of training", vec![task], None));
    }
    if !data.labelled {
        return Err(ProtocolError::NoClasses(data.name.clone()));
    }
    if data.is_open_set() {
        return Err(ProtocolError::OpenSet(data.name.clone()));
    }
    let (tasks, left_out) = one_class_each(data, &options.methods)?;
    Ok(("one class only", tasks, left_out))
}

/// Each class alone, where it has images enough for all methods: they are to be judged on the same classes.
fn one_class_each(
    data: &Dataset,
    methods: &[AnomalyMethod],
) -> Result<(Vec<Task>, Option<String>), ProtocolError> {
    let (train, test) = (&data.train, &data.test);
    let alone = |class: u32| Task {
        name: data.classes[class as usize].clone(),
        reference: (0..train.len()).filter(|i| train.labels[*i] == class).collect(),
        anomaly: test.labels.iter().map(|l| *l != class).collect(),
    };
    let tasks = (0..data.classes.len() as u32).filter(|c| test.labels.contains(c)).map(alone);
    let most = methods.iter().max_by_key(|m| m.needs());
    let needed = most.map_or(2, |m| m.needs()).max(2);
    let (tasks, small): (Vec<Task>, Vec<Task>) = tasks.partition(|t| t.reference.len() >= needed);
    let small: Vec<String> = small.iter().map(|t| format!("{} ({})", t.name, t.reference.len())).collect();
    let (method, classes) = (most.map_or(String::new(), ToString::to_string), small.join(", "));
    match (tasks.is_empty(), small.is_empty()) {
        (true, true) => Err(ProtocolError::NoClassAlone(data.name.clone())),
        (true, false) => {
            Err(ProtocolError::SmallClasses { data: data.name.clone(), needed, method, classes })
        }
        (false, true) => Ok((tasks, None)),
        (false, false) => {
            let words =
                format!("left out, for {method} needs {needed} training images of a class: {classes}");
            Ok((tasks, Some(words)))
        }
    }
}

/// What all tasks share.
struct Judging<'a> {
    data: &'a Dataset,
    groups: Vec<u32>,
    reference: Features,
    queries: Vec<(&'a Split, Features)>,
    options: &'a AnomalyProtocolOptions,
}

impl Judging<'_> {
    /// A row for pixels, and one for every method.
    fn rows(&self, task: &Task, rows: &mut Vec<AnomalyRow>) -> Result<(), ProtocolError> {
        let train = &self.data.train;
        let labels: Vec<u32> = task.reference.iter().map(|i| train.labels[*i]).collect();
        let identities = train.identities.select(&task.reference);
        let groups: Vec<u32> = task.reference.iter().filter_map(|i| self.groups.get(*i).copied()).collect();
        let shared: Vec<Option<Shared>> =
            self.queries.iter().map(|(split, _)| self.shared(split, &identities, &groups)).collect();
        let keys: Vec<u64> =
            self.queries.iter().flat_map(|(split, _)| split.identities.keys()).copied().collect();
        let row = |space, method: AnomalyMethod, reference: Vectors<'_>, queries: &[Vectors<'_>]| {
            let reference = Reference { groups: &groups, ..Reference::new(reference, &labels, &identities) };
            let detector = Detector::fit(reference, method)?;
            let scores = queries.iter().zip(&shared).flat_map(|(v, own)| detector.score(*v, own.as_ref()));
            let scores: Vec<f64> = scores.collect();
            let detection = Detection::new(&scores, &task.anomaly).ok_or(ProtocolError::OneKind)?;
            let draws = Detection::bootstrap(&scores, &task.anomaly, &keys, self.options.seed);
            let drawn: Vec<f64> = draws.iter().flatten().map(|d| d.auroc).collect();
            let auroc_interval = bootstrap_interval(detection.auroc, &drawn, detection.units());
            let (name, method) = (task.name.clone(), method.to_string());
            Ok::<_, ProtocolError>(AnomalyRow { name, space, method, detection, auroc_interval, draws })
        };
        let (pixels, features) =
            (train.images.select(&task.reference), self.reference.select(&task.reference));
        // The queries are of one part, or of two.
        let [first, last] = [0, self.queries.len() - 1].map(|i| &self.queries[i].0.images);
        rows.push(with_pixels([&pixels, first, last], |[reference, first, last]| {
            let queries = [first, last];
            row("image", AnomalyMethod::Knn { k: 1 }, reference, &queries[..self.queries.len()])
        })??);
        let queries: Vec<Vectors<'_>> = self.queries.iter().map(|(_, f)| Vectors::Features(f)).collect();
        for method in &self.options.methods {
            rows.push(row("feature", *method, Vectors::Features(&features), &queries)?);
        }
        Ok(())
    }

    /// Which queries are references themselves, or of the groups of some.
    fn shared(&self, split: &Split, references: &Identities, groups: &[u32]) -> Option<Shared> {
        let found = Identities::shared(&split.identities, references);
        if groups.is_empty() {
            return found;
        }
        // Groups of another data set are others.
        let is_own = std::ptr::eq(split, &raw const self.data.test);
        let own = if is_own { split.groups.clone() } else { vec![NO_GROUP; split.len()] };
        Some(found.unwrap_or_else(|| Shared::none(split.len(), references.len())).of_groups(own))
    }
}

fn means(rows: &[&AnomalyRow]) -> AnomalyMeans {
    let (auroc, auroc_interval) = mean(rows, |d| d.auroc);
    let (aupr, aupr_interval) = mean(rows, |d| d.aupr);
    let (fpr_at_95_tpr, fpr_interval) = mean(rows, |d| d.fpr_at_95_tpr);
    let (space, method) = (rows[0].space, rows[0].method.clone());
    AnomalyMeans { space, method, auroc, auroc_interval, aupr, aupr_interval, fpr_at_95_tpr, fpr_interval }
}

/// The mean over rows, and its 95 % interval over other images.
fn mean(rows: &[&AnomalyRow], of: fn(&Detection) -> f64) -> (f64, [f64; 2]) {
    let n = rows.len() as f64;
    let draw = |at: usize| -> Option<f64> {
        let each: Option<Vec<f64>> = rows.iter().map(|r| r.draws[at].as_ref().map(of)).collect();
        Some(each?.iter().sum::<f64>() / n)
    };
    let draws: Vec<f64> = (0..rows[0].draws.len()).filter_map(draw).collect();
    let value = rows.iter().map(|r| of(&r.detection)).sum::<f64>() / n;
    // As many as all rows' together, but no more than there are images.
    let images = (rows[0].detection.normal + rows[0].detection.anomalies) as f64;
    let units = n * n / rows.iter().map(|r| 1.0 / r.detection.units()).sum::<f64>();
    (value, bootstrap_interval(value, &draws, units.min(images)))
}
