//! `alike eval`: the usual judgement, and a protocol a file.

use crate::args::{Global, SubjectArgs};
use clap::{Args, Subcommand};
mod anomaly;
mod few_shot;
mod verification;

use super::report::{AT, KS};
use super::{refuse_existing, write_table};
use crate::bars::{comparing, doing};
use crate::models::{open_judged, subject};
use crate::printer::{heading, json, line, note};
use alike::eval::{
    AccuracyOptions, Baseline, ConsistencyAnswer, ConsistencyOptions, Judgement, RetrievalReport, Spaces,
    accuracy_protocol, consistency_protocol,
};
use alike::tasks::Subject;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  alike eval MODEL                                accuracy and retrieval, in image space and in feature space
  alike eval MODEL --data more/ --k 1,5,20 --csv classes.csv
  alike eval few-shot MODEL --ways 5,20 --shots 1,5
  alike eval few-shot MODEL --runs all_runs.zip   Omniglot's one-shot runs
  alike eval verification MODEL -o curves.png
  alike eval anomaly MODEL                        classes that were left out of training, or each class alone")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct EvalArgs {
    /// The model: a run's folder, an ONNX file with its manifest, or an encoder's name (alike encoders list)
    #[arg(required = true)]
    pub(crate) model: Option<PathBuf>,
    /// Values of k for k-NN classification [default: 1,5, where the gallery is large enough]
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) k: Vec<usize>,
    /// Weight a neighbour's vote by the inverse of its distance
    #[arg(long)]
    pub(crate) weighted: bool,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Values of K for Recall@K, Precision@K and NDCG@K [default: 1,5,10, where the gallery is large enough]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at: Vec<u32>,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write the retrieval measures of every class and category to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
    #[command(subcommand)]
    pub(crate) protocol: Option<Protocol>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Protocol {
    /// Few-shot classification of classes never trained on
    FewShot(few_shot::FewShotArgs),
    /// Verification of pairs: error rates, ROC curve, accuracy by folds
    Verification(verification::VerificationArgs),
    /// Anomaly detection: AUROC of images of other classes against normal ones
    Anomaly(anomaly::AnomalyProtocolArgs),
}

pub(crate) fn run(args: &EvalArgs, global: &Global) -> anyhow::Result<()> {
    match (&args.protocol, &args.model) {
        (Some(Protocol::FewShot(few)), _) => few_shot::run(few, global),
        (Some(Protocol::Verification(pairs)), _) => verification::run(pairs, global),
        (Some(Protocol::Anomaly(anomaly)), _) => anomaly::run(anomaly, global),
        (None, Some(model)) => judge(model, args, global),
        // clap lets neither pass.
        (None, None) => anyhow::bail!("a model is needed"),
    }
}

/// Accuracy and retrieval.
fn judge(model: &Path, args: &EvalArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let subject = subject(open_judged(model, args.subject.last, global)?, &args.subject, global)?;
    if !subject.data.labelled {
        return without_classes(&subject, args, global);
    }
    let mut options = AccuracyOptions {
        k: args.k.clone(),
        weighted: args.weighted,
        at: args.at.iter().map(|k| *k as usize).collect(),
        leave_group: args.leave_group,
        excluded: subject.excluded().to_vec(),
        seed: subject.settings.as_ref().map_or(global.seed.unwrap_or(0), |s| s.seed),
    };
    let judge = options.judge();
    judge.check(&subject.data)?;
    let there = judge.neighbours(&subject.data);
    if options.k.is_empty() {
        options.k = as_many_as(&KS, there, global);
    }
    if options.at.is_empty() {
        options.at = as_many_as(&AT, there, global);
    }
    // Neighbours and ranks, in both spaces.
    let pairs = 4 * subject.data.test.len() * subject.data.gallery().0.len();
    let what = format!("judging {} and embeddings", Baseline::of(&subject.data).name());
    let answer = comparing(&what, pairs, || accuracy_protocol(subject.encoder(), &subject.data, &options))?;
    let Spaces { image, feature } = &answer.retrieval;
    if let Some(path) = &args.csv {
        write_table(path, by_class(&[("image", image), ("feature", feature)])?.into_bytes(), global)?;
    }
    if global.json {
        return json(&answer);
    }
    let learned = if answer.baseline == Baseline::Encoder { "with head" } else { SPACES[1] };
    let spaces = [answer.baseline.space(), learned];
    table(&answer.judgement, args.subject.data.is_none(), spaces)?;
    retrieval(image, feature, spaces)
}

/// What can be said of images without classes.
fn without_classes(subject: &Subject, args: &EvalArgs, global: &Global) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.csv.is_none() && args.k.is_empty() && args.at.is_empty() && !args.leave_group && !args.weighted,
        "{} has no classes: --csv, --k, --at, --weighted and --leave-group ask for what only classes can answer; leave them out",
        subject.data.name
    );
    let usual = ConsistencyOptions { seed: global.seed.unwrap_or(0), ..ConsistencyOptions::default() };
    let options = match &subject.settings {
        Some(s) if s.self_supervised => ConsistencyOptions { augment: s.augment, ..usual },
        _ => usual,
    };
    let answer = doing("embedding images and their views", || {
        consistency_protocol(subject.encoder(), &subject.data, &options)
    })?;
    if global.json {
        return json(&answer);
    }
    consistency(&answer, Baseline::of(&subject.data))
}

fn consistency(answer: &ConsistencyAnswer, baseline: Baseline) -> anyhow::Result<()> {
    line(format!(
        "{}: {} images without classes, each asked to find what was made of itself",
        answer.dataset, answer.images
    ))?;
    line(format!("views: {}", answer.views_by))?;
    line(format!("{:22} {:>12} {:>14} [95 %]", "share that is found", baseline.space(), "feature space"))?;
    for (name, spaces) in [("two-view consistency", &answer.views), ("mirror images", &answer.mirror)] {
        let (i, f) = (percent(spaces.image.share), percent(spaces.feature.share));
        line(format!("{name:22} {i:>12} {f:>14} {}", bracketed(spaces.feature.interval)))?;
    }
    line("accuracy, retrieval and error rates need images with classes: name some with --data")
}

/// Those of the numbers of neighbours that nobody asked for which there are as many images for, and what is left out, said aloud. The
/// first always stays.
pub(super) fn as_many_as(ks: &[usize], there: usize, global: &Global) -> Vec<usize> {
    let fits = |k: &usize| *k == ks[0] || *k <= there;
    let left: Vec<String> = ks.iter().filter(|k| !fits(k)).map(usize::to_string).collect();
    if !left.is_empty() {
        let left = left.join(" and ");
        let images = if there == 1 { "image" } else { "images" };
        note(global, format!("k = {left} is left out: there are {there} {images} to compare each with"));
    }
    ks.iter().copied().filter(fits).collect()
}

/// What the two spaces are called that are compared.
pub(super) const SPACES: [&str; 2] = ["image space", "feature space"];

/// Means over queries, with intervals where there are any, and over classes.
fn retrieval(image: &RetrievalReport, feature: &RetrievalReport, spaces: [&str; 2]) -> anyhow::Result<()> {
    let left_out = match feature.without_match {
        0 => String::new(),
        n => format!("; {n} without a match are left out"),
    };
    heading(format!(
        "retrieval, mean over {} queries [95 % interval over other {}] and over classes{left_out}",
        feature.queries,
        if feature.by_classes { "classes" } else { "queries" }
    ))?;
    line(format!("{:14} {:>26} {:>26} {:>13}", "", spaces[0], spaces[1], "over classes"))?;
    let rows = image.micro.named(&image.ks).into_iter().zip(feature.micro.named(&feature.ks));
    for (((name, i), (_, f)), (_, c)) in rows.zip(feature.per_class.named(&feature.ks)) {
        let told = |of: &RetrievalReport, value| {
            let interval = of.intervals.get(&name).copied().map_or(String::new(), bracketed);
            format!("{} {interval:16}", percent(value))
        };
        line(format!("{name:14} {:>26} {:>26} {:>13}", told(image, i), told(feature, f), percent(c)))?;
    }
    Ok(())
}

/// A row for every class and category, and space.
fn by_class(spaces: &[(&str, &RetrievalReport)]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let names = spaces[0].1.micro.named(&spaces[0].1.ks).into_iter().map(|(name, _)| name);
    csv.write_record(["space", "of", "name"].map(str::to_owned).into_iter().chain(names))?;
    for (space, report) in spaces {
        for (of, rows) in [("class", &report.by_class), ("category", &report.by_category)] {
            for (name, quality) in rows {
                let values = quality.named(&report.ks).into_iter().map(|(_, v)| v.to_string());
                csv.write_record([space, of, name.as_str()].map(str::to_owned).into_iter().chain(values))?;
            }
        }
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// Between what 95 % lie, in percent.
pub(super) fn bracketed(interval: [f64; 2]) -> String {
    let [low, high] = interval.map(|v| 100.0 * v);
    format!("[{low:.2}, {high:.2}]")
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Image space against feature space, and unseen classes if there are any.
pub(super) fn table(j: &Judgement, own: bool, spaces: [&str; 2]) -> anyhow::Result<()> {
    if j.leave_one_out {
        line(format!(
            "{}: {} queries{}, each against all others",
            j.dataset,
            j.n_query,
            // Whether the run knows the classes of other data is not asked.
            if own { " of classes never trained on" } else { "" }
        ))?;
    } else {
        line(format!("{}: {} queries against a gallery of {}", j.dataset, j.n_query, j.n_gallery))?;
    }
    if j.without_match > 0 {
        line(format!(
            "{} queries have no match in the gallery, and are left out of all measures but the EER",
            j.without_match
        ))?;
    }
    line(if j.leave_one_out {
        "[95 %]: what the share would be of other classes (Agresti and Coull, the classes' spread); differences: exchanging whole classes"
    } else {
        "[95 %]: what the share would be of other queries (Agresti and Coull); differences: McNemar's test"
    })?;
    if j.weighted_votes {
        line("a neighbour's vote weighs one over its distance")?;
    }
    line(format!("{:14} {:>12} {:>14} {:16} {}", "accuracy", spaces[0], spaces[1], "[95 %]", "difference"))?;
    for (c, (_, rule)) in j.comparison.iter().zip(j.spaces.feature.rules()) {
        line(format!(
            "{:14} {:>12} {:>14} {:16} {:+.2} points, {}",
            c.rule,
            percent(c.image),
            percent(c.feature),
            rule.interval.map_or(String::new(), bracketed),
            100.0 * (c.feature - c.image),
            c.paired.verdict()
        ))?;
    }
    if let (Some(i), Some(f)) = (j.spaces.image.verification, j.spaces.feature.verification) {
        let interval = f.interval.map_or(String::new(), bracketed);
        let (i, f) = (percent(i.eer), percent(f.eer));
        line(format!(
            "{:14} {i:>12} {f:>14} {interval:16} verification: same class or not, of all pairs of queries",
            "EER"
        ))?;
    }
    unseen(j, spaces)
}

/// The headline figures of classes that training never saw.
pub(super) fn unseen(j: &Judgement, spaces: [&str; 2]) -> anyhow::Result<()> {
    if let Some(unseen) = &j.unseen {
        heading(format!("never seen in training: {}", unseen.classes.join(", ")))?;
        line(format!("{:22} {:>12} {:>14}", "", spaces[0], spaces[1]))?;
        for (name, image, feature) in unseen.headline() {
            line(format!("{name:22} {:>12} {:>14}", percent(image), percent(feature)))?;
        }
    }
    Ok(())
}
