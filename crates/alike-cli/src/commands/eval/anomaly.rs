//! `alike eval RUN anomaly`.

use super::{bracketed, percent};
use crate::args::{AnomalyProtocolArgs, Global};
use crate::commands::{refuse_existing, write_table};
use crate::printer::{line, note};
use crate::using::{other_data, subject};
use alike::data::{Split, exclude, find_class};
use alike::eval::{AnomalyMethod, Detection, Detector, Reference, bootstrap_interval};
use alike::identity::{Identities, NO_GROUP, Shared};
use alike::images::{Features, Vectors};
use alike::tasks::Opened;
use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::json;

/// What is normal; all test images ask.
struct Task {
    /// What it is about: a class, or a data set.
    name: String,
    /// Training images.
    reference: Vec<usize>,
    /// By test image, those of another data set last: whether it is an anomaly.
    anomaly: Vec<bool>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    space: &'static str,
    method: String,
    #[serde(flatten)]
    detection: Detection,
    auroc_interval: [f64; 2],
    /// In which every draw is of the same images, whatever the row.
    #[serde(skip)]
    draws: Vec<Option<Detection>>,
}

type Measure = fn(&Detection) -> f64;
/// What is averaged over classes.
const MEANS: [(&str, Measure); 3] =
    [("AUROC", |d| d.auroc), ("AUPR", |d| d.aupr), ("FPR at 95 %", |d| d.fpr_at_95_tpr)];

pub(super) fn run(args: &AnomalyProtocolArgs, opened: Opened, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let other = args.against.as_ref().map(|what| {
        let data = other_data(&opened, args.subject.source.request(what, global.seed.unwrap_or(0)), global)?;
        ensure!(!data.test.is_empty(), "{what} has no test images to be anomalies");
        opened.fits(&data)?;
        Ok(data)
    });
    let other = other.transpose()?;
    if other.is_none() {
        args.subject.check()?;
    }
    let subject = subject(opened, &args.subject, global)?;
    let data = subject.data.clone();
    ensure!(!data.test.is_empty(), "{} has no test images to judge by", data.name);
    let excluded: Vec<u32> = if args.subject.data.is_some() {
        Vec::new()
    } else {
        subject.settings.exclude_class.iter().map(|name| find_class(&data, name)).collect::<Result<_, _>>()?
    };
    let (train, test) = (&data.train, &data.test);
    let known = exclude(&train.labels, &excluded);
    let (protocol, tasks) = if let Some(other) = &other {
        let anomaly = (0..test.len() + other.test.len()).map(|i| i >= test.len()).collect();
        ("another data set", vec![Task { name: other.name.clone(), reference: known, anomaly }])
    } else if !args.one_class && !excluded.is_empty() {
        let anomaly = test.labels.iter().map(|l| excluded.contains(l)).collect();
        let name = subject.settings.exclude_class.join(", ");
        ("classes left out of training", vec![Task { name, reference: known, anomaly }])
    } else {
        ensure!(data.labelled, "{} has no classes; name a data set of anomalies with --against", data.name);
        ensure!(
            !data.is_open_set(),
            "no class of {} has both training and test images; split it by image to judge classes alone",
            data.name
        );
        let tasks = (0..data.classes.len() as u32).filter(|c| test.labels.contains(c)).map(|class| Task {
            name: data.classes[class as usize].clone(),
            reference: (0..train.len()).filter(|i| train.labels[*i] == class).collect(),
            anomaly: test.labels.iter().map(|l| *l != class).collect(),
        });
        // All methods are to be judged on the same classes.
        let most = args.method.iter().max_by_key(|m| m.needs());
        let needed = most.map_or(2, |m| m.needs()).max(2);
        let (tasks, small): (Vec<Task>, Vec<Task>) = tasks.partition(|t| t.reference.len() >= needed);
        if !small.is_empty() {
            let names: Vec<String> =
                small.iter().map(|t| format!("{} ({})", t.name, t.reference.len())).collect();
            let names = names.join(", ");
            let method = most.map_or(String::new(), ToString::to_string);
            ensure!(
                !tasks.is_empty(),
                "no class of {} has a test image and the {needed} training images that {method} needs ({names}); name other methods with --method",
                data.name
            );
            note(
                global,
                format!("left out, for {method} needs {needed} training images of a class: {names}"),
            );
        }
        ("one class only", tasks)
    };
    ensure!(!tasks.is_empty(), "{} has no class with two training images and a test image", data.name);
    let groups = subject.groups(train, args.leave_group)?;
    subject.groups(test, args.leave_group)?;
    let reference = subject.embed(&train.images)?;
    // Those who ask, of one data set or of two: their pixels and their embeddings.
    let mut asking: Vec<(&Split, Features)> = Vec::new();
    for set in [Some(&data), other.as_ref()].into_iter().flatten() {
        asking.push((&set.test, subject.embed(&set.test.images)?));
    }
    let seed = global.seed.unwrap_or(0);
    let keys: Vec<u64> = asking.iter().flat_map(|(split, _)| split.identities.keys()).copied().collect();
    let mut rows = Vec::new();
    for task in &tasks {
        let labels: Vec<u32> = task.reference.iter().map(|i| train.labels[*i]).collect();
        let identities = train.identities.select(&task.reference);
        let members: Vec<u32> = task.reference.iter().filter_map(|i| groups.get(*i).copied()).collect();
        let shared = |split: &Split| {
            let found = Identities::shared(&split.identities, &identities);
            let n = (split.len(), identities.len());
            let by_group = || Shared::none(n.0, n.1);
            // Groups of another data set are others.
            let of_groups = |s: Shared, own: bool| {
                let groups = if own { split.groups.clone() } else { vec![NO_GROUP; n.0] };
                s.of_groups(groups)
            };
            let is_own = std::ptr::eq(split, test);
            if members.is_empty() { found } else { Some(of_groups(found.unwrap_or_else(by_group), is_own)) }
        };
        let own: Vec<Option<Shared>> = asking.iter().map(|(split, _)| shared(split)).collect();
        let mut add =
            |space, method: AnomalyMethod, reference, asking: &[Vectors<'_>]| -> anyhow::Result<()> {
                let detector = Detector::fit(
                    Reference { groups: &members, ..Reference::new(reference, &labels, &identities) },
                    method,
                )?;
                let scores = asking.iter().zip(&own).flat_map(|(v, own)| detector.score(*v, own.as_ref()));
                let scores: Vec<f64> = scores.collect();
                let detection = Detection::new(&scores, &task.anomaly)
                    .context("there are no anomalies among the test images, or nothing else")?;
                let draws = Detection::bootstrap(&scores, &task.anomaly, &keys, seed);
                let drawn: Vec<f64> = draws.iter().flatten().map(|d| d.auroc).collect();
                let auroc_interval = bootstrap_interval(detection.auroc, &drawn, detection.units());
                let (name, method) = (task.name.clone(), method.to_string());
                rows.push(Row { name, space, method, detection, auroc_interval, draws });
                Ok(())
            };
        let (pixels, features) = (train.images.select(&task.reference), reference.select(&task.reference));
        let asked: Vec<Vectors<'_>> =
            asking.iter().map(|(split, _)| Vectors::Pixels(&split.images)).collect();
        add("image", AnomalyMethod::Knn { k: 1 }, Vectors::Pixels(&pixels), &asked)?;
        let asked: Vec<Vectors<'_>> = asking.iter().map(|(_, f)| Vectors::Features(f)).collect();
        for method in &args.method {
            add("feature", *method, Vectors::Features(&features), &asked)?;
        }
    }
    asking.iter().try_for_each(|(split, _)| split.images.check())?;
    if let Some(path) = &args.csv {
        write_table(path, csv_of(&rows)?.into_bytes(), global)?;
    }
    if global.json {
        let per = methods(&rows);
        let means = (0..per).map(|k| {
            let own: Vec<&Row> = rows.iter().skip(k).step_by(per).collect();
            let [auroc, aupr, fpr] = MEANS.map(|(_, of)| mean(&own, of));
            json!({ "space": own[0].space, "method": own[0].method, "auroc": auroc.0, "auroc_interval": auroc.1, "aupr": aupr.0,
                "fpr_at_95_tpr": fpr.0 })
        });
        let means: Vec<_> = means.collect();
        return line(
            json!({ "data": data.name, "protocol": protocol, "rows": rows, "means": means }).to_string(),
        );
    }
    table(&data.name, protocol, &rows)
}

fn csv_of(rows: &[Row]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "name",
        "space",
        "method",
        "auroc",
        "auroc_low",
        "auroc_high",
        "aupr",
        "fpr_at_95_tpr",
        "normal",
        "anomalies",
    ])?;
    for r in rows {
        let (d, [low, high]) = (r.detection, r.auroc_interval);
        let numbers = [d.auroc, low, high, d.aupr, d.fpr_at_95_tpr].map(|v| v.to_string());
        let counts = [d.normal, d.anomalies].map(|v| v.to_string());
        let texts = [r.name.clone(), r.space.to_owned(), r.method.clone()];
        csv.write_record(texts.iter().chain(&numbers).chain(&counts))?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// How many rows a class has: one a method and space.
fn methods(rows: &[Row]) -> usize {
    rows.iter().take_while(|r| r.name == rows[0].name).count()
}

/// The mean over classes, and between what it lies for other images, 95 %.
fn mean(rows: &[&Row], of: Measure) -> (f64, [f64; 2]) {
    let n = rows.len() as f64;
    let draw = |at: usize| -> Option<f64> {
        let each: Option<Vec<f64>> = rows.iter().map(|r| r.draws[at].as_ref().map(of)).collect();
        Some(each?.iter().sum::<f64>() / n)
    };
    let draws: Vec<f64> = (0..rows[0].draws.len()).filter_map(draw).collect();
    let value = rows.iter().map(|r| of(&r.detection)).sum::<f64>() / n;
    // As many as all classes' together, but no more than there are images.
    let images = (rows[0].detection.normal + rows[0].detection.anomalies) as f64;
    let units = n * n / rows.iter().map(|r| 1.0 / r.detection.units()).sum::<f64>();
    (value, bootstrap_interval(value, &draws, units.min(images)))
}

/// A row a class, a column a method; below them the means with their intervals.
fn table(data: &str, protocol: &str, rows: &[Row]) -> anyhow::Result<()> {
    line(format!(
        "{data}: {protocol}; AUROC by class and method, means [95 % interval over other images, by bootstrap]"
    ))?;
    let per = methods(rows);
    let heading =
        |r: &Row| if r.space == "image" { "pixels, knn".to_owned() } else { r.method.replace(":k=1", "") };
    let columns: String = rows[..per].iter().map(|r| format!(" {:>24}", heading(r))).collect();
    line(format!("{:16}{columns}", ""))?;
    for task in rows.chunks(per) {
        let values: String = task.iter().map(|r| format!(" {:>24}", percent(r.detection.auroc))).collect();
        let name: String = task[0].name.chars().take(16).collect();
        line(format!("{name:16}{values}"))?;
    }
    for (name, of) in MEANS {
        let value = |k: usize| {
            let (value, interval) = mean(&rows.iter().skip(k).step_by(per).collect::<Vec<_>>(), of);
            format!(" {:>24}", format!("{} {}", percent(value), bracketed(interval)))
        };
        let values: String = (0..per).map(value).collect();
        line(format!("{:16}{values}", format!("mean {name}")))?;
    }
    Ok(())
}
