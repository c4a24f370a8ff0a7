//! `alike eval RUN anomaly`.

use crate::args::{AnomalyProtocolArgs, Global};
use crate::commands::refuse_existing;
use crate::judged::{Opened, Subject};
use crate::printer::line;
use alike::data::find_class;
use alike::eval::{AnomalyMethod, Detection, Detector};
use alike::files;
use alike::images::{Features, Images, Vectors};
use alike_kernels::Tier;
use anyhow::ensure;
use serde::Serialize;
use serde_json::json;

/// What is normal, and what asks: row numbers of a reference and of queries.
struct Task {
    /// What it is about: a class, or a data set.
    name: String,
    reference: Vec<usize>,
    queries: Vec<usize>,
    anomaly: Vec<bool>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    space: &'static str,
    method: String,
    #[serde(flatten)]
    detection: Detection,
}

pub(super) fn run(args: &AnomalyProtocolArgs, opened: Opened, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let other = args.against.as_ref().map(|what| {
        let data = opened.other(what, &args.subject.source, global)?;
        ensure!(!data.test.is_empty(), "{what} has no test images to be anomalies");
        opened.fits(&data)?;
        Ok(data)
    });
    let other = other.transpose()?;
    let mut subject = Subject::of(opened, &args.subject, global)?;
    let data = subject.data.clone();
    ensure!(!data.test.is_empty(), "{} has no test images to judge by", data.name);
    let excluded: Vec<u32> = if args.subject.data.is_some() {
        Vec::new()
    } else {
        subject.settings.exclude_class.iter().map(|name| find_class(&data, name)).collect::<Result<_, _>>()?
    };
    // Open sets have no class that is in both parts: their test images are halved.
    let (train, test) = (&data.train, &data.test);
    let all_test: Vec<usize> = (0..test.len()).collect();
    let known: Vec<usize> = (0..train.len()).filter(|i| !excluded.contains(&train.labels[*i])).collect();
    let mut queries_of: (Images, Vec<u32>) = (test.images.clone(), test.labels.clone());
    let (protocol, tasks) = if let Some(other) = &other {
        let n = test.len();
        let name = other.name.clone();
        let anomaly = (0..n + other.test.len()).map(|i| i >= n).collect();
        queries_of.1.extend(&other.test.labels);
        let queries = (0..n + other.test.len()).collect();
        ("another data set", vec![Task { name, reference: known, queries, anomaly }])
    } else if !args.one_class && !excluded.is_empty() {
        let anomaly = all_test.iter().map(|i| excluded.contains(&test.labels[*i])).collect();
        let name = subject.settings.exclude_class.join(", ");
        ("classes left out of training", vec![Task { name, reference: known, queries: all_test, anomaly }])
    } else {
        ensure!(data.labelled, "{} has no classes; name a data set of anomalies with --against", data.name);
        ensure!(
            !data.is_open_set(),
            "no class of {} has both training and test images; split it by image to judge classes alone",
            data.name
        );
        let tasks = (0..data.classes.len() as u32)
            .filter(|c| test.labels.contains(c))
            .map(|class| Task {
                name: data.classes[class as usize].clone(),
                reference: (0..train.len()).filter(|i| train.labels[*i] == class).collect(),
                queries: all_test.clone(),
                anomaly: test.labels.iter().map(|l| *l != class).collect(),
            })
            .filter(|t| t.reference.len() > 1)
            .collect();
        ("one class only", tasks)
    };
    ensure!(!tasks.is_empty(), "{} has no class with two training images and a test image", data.name);
    let reference = subject.embed(&train.images)?;
    let mut queries = subject.embed(&test.images)?;
    if let Some(other) = &other {
        let mut all = queries.into_data();
        all.extend_from_slice(subject.embed(&other.test.images)?.data());
        queries = Features::new(reference.d(), all);
    }
    let tier = subject.tier();
    let mut rows = Vec::new();
    for task in &tasks {
        let labels: Vec<u32> = task.reference.iter().map(|i| train.labels[*i]).collect();
        let (r, q) = (reference.select(&task.reference), queries.select(&task.queries));
        let mut add = |space, method: AnomalyMethod, reference, queries| -> anyhow::Result<()> {
            let detection = detect(tier, (reference, &labels), queries, &task.anomaly, method)?;
            rows.push(Row { name: task.name.clone(), space, method: method.to_string(), detection });
            Ok(())
        };
        // Pixels of two data sets lie in two places; those of one are asked as they are.
        let pixels = train.images.select(&task.reference);
        let asked = match &other {
            None => test.images.select(&task.queries),
            Some(other) => joined(&test.images, &other.test.images),
        };
        add("image", AnomalyMethod::Knn { k: 1 }, Vectors::Pixels(&pixels), Vectors::Pixels(&asked))?;
        for method in &args.method {
            add("feature", *method, Vectors::Features(&r), Vectors::Features(&q))?;
        }
    }
    if let Some(path) = &args.csv {
        files::write(path, csv_of(&rows)?.as_bytes())?;
    }
    if global.json {
        return line(json!({ "data": data.name, "protocol": protocol, "rows": rows }).to_string());
    }
    table(&data.name, protocol, &rows)
}

fn joined(a: &Images, b: &Images) -> Images {
    let mut scratch = Vec::new();
    let mut bytes = Vec::with_capacity((a.len() + b.len()) * a.shape().len());
    for images in [a, b] {
        (0..images.len()).for_each(|i| bytes.extend_from_slice(images.image(i, &mut scratch)));
    }
    Images::new(a.shape(), bytes)
}

fn detect(
    tier: Tier,
    (reference, labels): (Vectors<'_>, &[u32]),
    queries: Vectors<'_>,
    anomaly: &[bool],
    method: AnomalyMethod,
) -> anyhow::Result<Detection> {
    let scores = Detector::fit(tier, reference, labels, method)?.score(queries);
    Detection::new(&scores, anomaly)
        .ok_or_else(|| anyhow::anyhow!("there are no anomalies among the test images, or nothing else"))
}

fn csv_of(rows: &[Row]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["name", "space", "method", "auroc", "aupr", "fpr_at_95_tpr", "normal", "anomalies"])?;
    for r in rows {
        let d = r.detection;
        let numbers = [d.auroc, d.aupr, d.fpr_at_95_tpr].map(|v| v.to_string());
        let counts = [d.normal, d.anomalies].map(|v| v.to_string());
        let texts = [r.name.clone(), r.space.to_owned(), r.method.clone()];
        csv.write_record(texts.iter().chain(&numbers).chain(&counts))?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// A row a class, a column a method; below them the means.
fn table(data: &str, protocol: &str, rows: &[Row]) -> anyhow::Result<()> {
    line(format!("{data}: {protocol}; AUROC by class and method"))?;
    let per = rows.iter().take_while(|r| r.name == rows[0].name).count();
    let heading =
        |r: &Row| if r.space == "image" { "pixels, knn".to_owned() } else { r.method.replace(":k=1", "") };
    let columns: String = rows[..per].iter().map(|r| format!(" {:>22}", heading(r))).collect();
    line(format!("{:16}{columns}", ""))?;
    let show = |v: f64| format!(" {:>20.2} %", 100.0 * v);
    for task in rows.chunks(per) {
        let values: String = task.iter().map(|r| show(r.detection.auroc)).collect();
        let name: String = task[0].name.chars().take(16).collect();
        line(format!("{name:16}{values}"))?;
    }
    type Measure = fn(&Detection) -> f64;
    let means: [(&str, Measure); 3] =
        [("mean AUROC", |d| d.auroc), ("mean AUPR", |d| d.aupr), ("mean FPR at 95 %", |d| d.fpr_at_95_tpr)];
    let tasks = rows.len() / per;
    for (name, of) in means {
        let mean =
            |k: usize| rows.iter().skip(k).step_by(per).map(|r| of(&r.detection)).sum::<f64>() / tasks as f64;
        let values: String = (0..per).map(|k| show(mean(k))).collect();
        line(format!("{name:16}{values}"))?;
    }
    Ok(())
}
