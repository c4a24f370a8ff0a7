//! `alike eval anomaly MODEL`.

use super::{bracketed, percent};
use crate::args::{Global, SubjectArgs};
use crate::bars::doing;
use crate::commands::{refuse_existing, write_table};
use crate::models::{open_judged, other_data, subject};
use crate::printer::{json, line, note};
use alike::data::find_class;
use alike::eval::AnomalyMethod;
use alike::eval::{
    AnomalyMeans, AnomalyProtocolAnswer, AnomalyProtocolOptions, AnomalyRow, Baseline, anomaly_protocol,
};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval anomaly MODEL                              MODEL's training left classes out: are their images told from the others?
  alike eval anomaly MODEL --one-class --data mnist     each class alone is normal, all others are not
  alike eval anomaly MODEL --against fashion-mnist      another data set is what is not normal")]
#[command(group(ArgGroup::new("named").args(["data", "against"]).multiple(true)))]
#[command(mut_group("source", |group| group.requires("named")))]
pub(crate) struct AnomalyProtocolArgs {
    /// The model: a run's folder, an ONNX file with its manifest, or an encoder's name (alike encoders list)
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Methods: knn:k=1, mahalanobis, mahalanobis-by-class, lof:k=20
    #[arg(long, default_values = ["knn", "mahalanobis", "mahalanobis-by-class", "lof"], value_parser = clap::value_parser!(AnomalyMethod))]
    pub(crate) method: Vec<AnomalyMethod>,
    /// Take each class in turn as normal and all others as anomalies [default if the run excluded no class]
    #[arg(long, conflicts_with = "against")]
    pub(crate) one_class: bool,
    /// A data set whose test images are all anomalies
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) against: Option<String>,
    /// Exclude references of the image's own group, such as a camera, lot or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write a row for every class, method and space to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

pub(super) fn run(args: &AnomalyProtocolArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let opened = open_judged(&args.model, args.subject.last, global)?;
    let against = args.against.as_ref().map(|what| -> anyhow::Result<_> {
        let data = other_data(&opened, args.subject.source.request(what), global)?;
        opened.fits(&data)?;
        Ok(data)
    });
    let against = against.transpose()?;
    let subject = subject(opened, &args.subject, global)?;
    let excluded = subject.excluded().iter().map(|name| find_class(&subject.data, name));
    let options = AnomalyProtocolOptions {
        methods: args.method.clone(),
        one_class: args.one_class,
        excluded: excluded.collect::<Result<_, _>>()?,
        leave_group: args.leave_group,
        seed: global.seed.unwrap_or(0),
    };
    let answer = doing("scoring images", || {
        anomaly_protocol(subject.encoder(), &subject.data, against.as_ref(), &options)
    })?;
    if let Some(left_out) = &answer.left_out {
        note(global, left_out);
    }
    if let Some(path) = &args.csv {
        write_table(path, csv_of(&answer.rows)?, global)?;
    }
    if global.json {
        return json(&answer);
    }
    table(&answer, Baseline::of(&subject.data))
}

fn csv_of(rows: &[AnomalyRow]) -> anyhow::Result<Vec<u8>> {
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
    Ok(csv.into_inner()?)
}

/// A mean, and its interval.
type Mean = fn(&AnomalyMeans) -> (f64, [f64; 2]);
const MEANS: [(&str, Mean); 3] = [
    ("AUROC", |m| (m.auroc, m.auroc_interval)),
    ("AUPR", |m| (m.aupr, m.aupr_interval)),
    ("FPR at 95 %", |m| (m.fpr_at_95_tpr, m.fpr_interval)),
];

/// A row a class, a column a method; below them the means with their intervals.
fn table(answer: &AnomalyProtocolAnswer, baseline: Baseline) -> anyhow::Result<()> {
    line(format!(
        "{}: {}; AUROC by class and method, means [95 % interval over other images, by bootstrap]",
        answer.data, answer.protocol
    ))?;
    let per = answer.means.len();
    let heading = |m: &AnomalyMeans| {
        if m.space == "image" { format!("{}, knn", baseline.name()) } else { m.method.replace(":k=1", "") }
    };
    let columns: String = answer.means.iter().map(|m| format!(" {:>24}", heading(m))).collect();
    line(format!("{:16}{columns}", ""))?;
    for task in answer.rows.chunks(per) {
        let values: String = task.iter().map(|r| format!(" {:>24}", percent(r.detection.auroc))).collect();
        let name: String = task[0].name.chars().take(16).collect();
        line(format!("{name:16}{values}"))?;
    }
    for (name, of) in MEANS {
        let value = |m: &AnomalyMeans| {
            let (value, interval) = of(m);
            format!(" {:>24}", format!("{} {}", percent(value), bracketed(interval)))
        };
        let values: String = answer.means.iter().map(value).collect();
        line(format!("{:16}{values}", format!("mean {name}")))?;
    }
    Ok(())
}
