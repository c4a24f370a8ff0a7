//! `alike eval few-shot MODEL`.

use super::{bracketed, percent};
use crate::args::{Global, SubjectArgs};
use crate::bars::{Bars, doing};
use crate::commands::report::draw;
use crate::commands::{data_paths, refuse_existing, write_table};
use crate::models::{beside, open_judged, subject};
use crate::printer::{json, line, note};
use alike::data::load_one_shot_runs;
use alike::eval::{
    Accuracy, Baseline, FewShot, FewShotOptions, OneShotAnswer, Played, Spaces, few_shot_protocol,
    one_shot_protocol,
};
use alike::files;
use alike::images::Images;
use alike::report::mistakes;
use alike::tasks::Subject;
use anyhow::ensure;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval few-shot MODEL                             5-way and 20-way, 1 and 5 shots, of the run's test classes
  alike eval few-shot MODEL --within-category --ways 20 --shots 1
  alike eval few-shot MODEL --runs all_runs.zip         the 20 one-shot runs of Lake et al.")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct FewShotArgs {
    /// The model: a run's folder, an ONNX file with its manifest, or an encoder's name (alike encoders list)
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Classes per episode [default: 5 and 20, where there are enough]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub(crate) ways: Vec<usize>,
    /// Support images per class [default: 1 and 5, where classes have enough]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub(crate) shots: Vec<usize>,
    /// Query images per class, at most
    #[arg(long, default_value_t = 15, value_name = "N")]
    pub(crate) queries: usize,
    /// Number of episodes of each kind
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) episodes: u32,
    /// Draw all classes of an episode from one category, such as an alphabet
    #[arg(long)]
    pub(crate) within_category: bool,
    /// Exclude queries of the groups that their class is learned from, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// One-shot runs in the layout of Omniglot's all_runs.zip, instead of episodes
    #[arg(long, value_name = "ZIP|DIR", conflicts_with_all = ["data", "ways", "shots", "queries", "episodes", "within_category", "leave_group"])]
    pub(crate) runs: Option<PathBuf>,
    /// Write the accuracy of every kind of episodes, or the error of every run, to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw the worst mistakes, of the first kind of episodes, into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

pub(super) fn run(args: &FewShotArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<&Path> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    if let Some(path) = &args.runs {
        return one_shot_runs(path, args, global);
    }
    let subject = subject(open_judged(&args.model, args.subject.last, global)?, &args.subject, global)?;
    let data = &subject.data;
    if data.labelled && !data.is_open_set() && args.subject.data.is_none() {
        note(global, "these classes were trained on; name others with --data, or train with --split class");
    }
    let options = FewShotOptions {
        ways: args.ways.clone(),
        shots: args.shots.clone(),
        queries: args.queries,
        episodes: args.episodes as usize,
        within_category: args.within_category,
        leave_group: args.leave_group,
        seed: global.seed.unwrap_or(0),
    };
    let answer = doing("playing episodes", || few_shot_protocol(subject.encoder(), data, &options))?;
    if let Some(lowered) = &answer.lowered {
        note(global, lowered);
    }
    if let Some(out) = &args.out {
        let name = |i: usize| data.classes[data.test.labels[i] as usize].clone();
        draw_mistakes(out, &subject, &data.test.images, &answer.first, name, global)?;
    }
    if let Some(path) = &args.csv {
        write_table(path, by_kind(&answer.few_shot)?, global)?;
    }
    if global.json {
        return json(&answer);
    }
    let within = if args.within_category { ", each within one category" } else { "" };
    line(format!(
        "{}: {} episodes each of {} classes{within}; accuracy, and its 95 % interval over other episodes of these classes",
        answer.data, args.episodes, answer.classes
    ))?;
    let by_inputs = format!("{}, 1-NN", Baseline::of(data).name());
    line(format!("{:16} {by_inputs:>24} {:>24} {:>24}", "", "prototypes", "1-NN"))?;
    for Spaces { image, feature } in &answer.few_shot {
        let kind = format!("{}-way {}-shot", feature.ways, feature.shots);
        let [i, p, n] = [image.nearest, feature.prototypes, feature.nearest].map(interval);
        line(format!("{kind:16} {i:>24} {p:>24} {n:>24}"))?;
    }
    Ok(())
}

/// A row a kind of episodes, space and rule.
fn by_kind(results: &[Spaces<FewShot>]) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "ways",
        "shots",
        "episodes",
        "space",
        "rule",
        "accuracy",
        "half_width",
        "low",
        "high",
    ])?;
    for (space, r) in results.iter().flat_map(|s| [("image", &s.image), ("feature", &s.feature)]) {
        let counts = [r.ways, r.shots, r.episodes].map(|n| n.to_string());
        for (rule, a) in [("prototypes", r.prototypes), ("1-NN", r.nearest)] {
            let numbers = [a.mean, a.half_width, a.interval[0], a.interval[1]].map(|v| v.to_string());
            let names = [space, rule].map(str::to_owned);
            csv.write_record(counts.iter().chain(&names).chain(&numbers))?;
        }
    }
    Ok(csv.into_inner()?)
}

fn draw_mistakes(
    out: &Path,
    subject: &Subject,
    images: &Images,
    played: &Played,
    name: impl Fn(usize) -> String,
    global: &Global,
) -> anyhow::Result<()> {
    ensure!(!images.are_floats(), "features cannot be drawn; leave -o out");
    let mut network = subject.pixel_gradients();
    match mistakes(&played.episodes, images, &played.features, name, network.as_mut())? {
        Some(figure) => files::write(out, &draw(&figure, out)?)?,
        None => note(global, format!("nothing is mistaken, so {} is not drawn", out.display())),
    }
    Ok(())
}

fn interval(a: Accuracy) -> String {
    format!("{} {}", percent(a.mean), bracketed(a.interval))
}

fn one_shot_runs(path: &Path, args: &FewShotArgs, global: &Global) -> anyhow::Result<()> {
    let opened = open_judged(&args.model, args.subject.last, global)?;
    let sets = load_one_shot_runs(path, &opened.preparation(), &data_paths(global), &mut Bars::new(global))?;
    let subject = beside(opened, sets.data.clone(), true, &args.subject, global)?;
    let answer = one_shot_protocol(subject.encoder(), &sets, path)?;
    let train = &subject.data.train;
    if let Some(out) = &args.out {
        // Images have no class beyond their run; their files do.
        let name = |i: usize| {
            let name = &train.names[i];
            let file = name.rsplit('/').next().unwrap_or(name);
            file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned()
        };
        draw_mistakes(out, &subject, &train.images, &answer.played, name, global)?;
    }
    if let Some(path) = &args.csv {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["run", "image_error", "feature_error"])?;
        for r in &answer.runs {
            csv.write_record([r.run.clone(), r.image_error.to_string(), r.feature_error.to_string()])?;
        }
        write_table(path, csv.into_inner()?, global)?;
    }
    if global.json {
        return json(&answer);
    }
    one_shot_table(path, &answer)
}

fn one_shot_table(path: &Path, answer: &OneShotAnswer) -> anyhow::Result<()> {
    line(format!(
        "{}: {} one-shot runs of {} classes; error and its 95 % interval over runs",
        path.display(),
        answer.runs.len(),
        answer.classes
    ))?;
    for (name, e) in [("pixels", answer.image_error), ("embedding", answer.feature_error)] {
        line(format!("{name:10} {:>24}", interval(e)))?;
    }
    let wrong = answer.runs.iter().filter(|r| r.feature_error > 0.0);
    let worst: Vec<String> = wrong.map(|r| format!("{} {:.0} %", r.run, 100.0 * r.feature_error)).collect();
    if worst.is_empty() { Ok(()) } else { line(format!("errors in {}", worst.join(", "))) }
}
