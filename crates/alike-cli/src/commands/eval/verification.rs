//! `alike eval verification MODEL`.

use super::{bracketed, percent};
use crate::args::{Global, SubjectArgs, share};
use crate::bars::doing;
use crate::commands::report::draw;
use crate::commands::{data_paths, refuse_existing, write_table};
use crate::models::{open_judged, subject};
use crate::printer::{json, line};
use alike::data::{Request, column};
use alike::eval::{
    AtFar, Baseline, Pairs, Spaces, VerificationAnswer, VerificationOptions, VerifiedSpace, read_pairs,
    verification_protocol,
};
use alike::files;
use alike::report::verification_figure;
use alike::tasks::TaskError;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike eval verification MODEL                         all pairs of the run's test images
  alike eval verification MODEL --data faces/ --flip
  alike eval verification MODEL --pairs pairs.csv       a table with the columns a, b and same
  alike eval verification MODEL --by pose               apart by a column of the data's table")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct VerificationArgs {
    /// The model: a run's folder, an ONNX file with its manifest, or an encoder's name (alike encoders list)
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Use only these pairs: a table with columns a and b (names of test images) and same (true or false)
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: Option<PathBuf>,
    /// False accept rates at which to report the true accept rate
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.01,0.001,0.0001", value_parser = share, value_name = "SHARE")]
    pub(crate) far: Vec<f64>,
    /// Exclude pairs of one group, such as a camera, writer or session
    #[arg(long, conflicts_with = "pairs")]
    pub(crate) leave_group: bool,
    /// Report by a column of the data's table, such as pose or light
    #[arg(long, value_name = "COLUMN")]
    pub(crate) by: Option<String>,
    /// Write the receiver operating characteristic to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw curves, histograms and the worst pairs into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

/// Rows of a curve in a file, at most.
const ROWS: usize = 2000;

pub(super) fn run(args: &VerificationArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<&Path> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    let subject = subject(open_judged(&args.model, args.subject.last, global)?, &args.subject, global)?;
    let split = &subject.data.test;
    let conditions = match &args.by {
        None => None,
        Some(name) => {
            let request = match &args.subject.data {
                Some(what) => Request::from(what.as_str()),
                None => subject.settings.as_ref().ok_or(TaskError::NoImages)?.request()?,
            };
            let of = column(&request, &data_paths(global), name)?;
            Some(split.names.iter().map(|n| of.get(n).cloned().unwrap_or_default()).collect())
        }
    };
    let options = VerificationOptions {
        far: args.far.clone(),
        pairs: args.pairs.as_deref().map(|path| read_pairs(path, split)).transpose()?,
        conditions,
        leave_group: args.leave_group,
        seed: global.seed.unwrap_or(0),
    };
    let answer =
        doing("judging pairs", || verification_protocol(subject.encoder(), &subject.data, &options))?;
    let Spaces { image, feature } = &answer.pairs;
    if let Some(out) = &args.out {
        let mut network = subject.pixel_gradients().filter(|_| !split.images.are_floats());
        let figure = verification_figure(image, feature, &split.images, network.as_mut())?;
        files::write(out, &draw(&figure, out)?)?;
    }
    if let Some(path) = &args.csv {
        write_table(path, curve(&[("image", image), ("feature", feature)])?, global)?;
    }
    if global.json {
        return json(&answer);
    }
    table(&answer, Baseline::of(&subject.data))
}

fn table(answer: &VerificationAnswer, baseline: Baseline) -> anyhow::Result<()> {
    let (name, unit, Spaces { image, feature }) = (&answer.data, answer.unit, &answer.spaces);
    line(format!(
        "{name}: {} same-class pairs, {} different-class pairs; [95 % interval over other {unit}, by bootstrap]",
        feature.eer.genuine, feature.eer.impostor
    ))?;
    line(format!("{:22} {:>36} {:>36}", "", baseline.space(), "feature space"))?;
    let eer = |s: &VerifiedSpace| {
        let [low, high] = s.eer_interval.map(|v| format!("{:.2}", 100.0 * v));
        format!("{} [{low}, {high}]", percent(s.eer.eer))
    };
    line(format!("{:22} {:>36} {:>36}", "EER [95 % interval]", eer(image), eer(feature)))?;
    for (i, f) in image.at_far.iter().zip(&feature.at_far) {
        let show = |a: &AtFar| {
            let interval = a.interval.map_or(String::new(), bracketed);
            format!("{} {interval} ({} false matches)", percent(a.tar), a.support)
        };
        line(format!("{:22} {:>36} {:>36}", format!("TAR at FAR {}", f.far), show(i), show(f)))?;
    }
    let folded = |s: &VerifiedSpace| {
        format!("{} ± {:.2}", percent(s.folded.accuracy), 100.0 * s.folded.standard_error)
    };
    line(format!("{:22} {:>36} {:>36}", "accuracy, ten folds", folded(image), folded(feature)))?;
    line(format!("{:22} {:>36.4} {:>36.4}", "threshold at EER", image.eer.threshold, feature.eer.threshold))?;
    if feature.at_far.iter().any(|a| a.support < 10) {
        line("where there are fewer than ten false matches, the rate is not well known")?;
    }
    if feature.at_far.iter().any(|a| a.far < feature.least_far) {
        line(format!(
            "{} different-class pairs cannot tell a false accept rate below {:.6}",
            feature.eer.impostor, feature.least_far
        ))?;
    }
    for (condition, f) in &feature.by {
        let i = image.by.get(condition).map_or(String::new(), |i| percent(i.eer));
        line(format!(
            "EER, {condition:17} {i:>36} {:>36}   {} + {} pairs",
            percent(f.eer),
            f.genuine,
            f.impostor
        ))?;
    }
    Ok(())
}

fn curve(spaces: &[(&str, &Pairs)]) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["space", "false_accept_rate", "true_accept_rate", "false_reject_rate"])?;
    for (space, pairs) in spaces {
        let points = pairs.roc();
        let n = points.len();
        for i in 0..n.min(ROWS) {
            let [far, tar] = points[i * (n - 1) / (n.min(ROWS) - 1).max(1)];
            csv.write_record([space, far.to_string().as_str(), &tar.to_string(), &(1.0 - tar).to_string()])?;
        }
    }
    Ok(csv.into_inner()?)
}
