//! `alike verify`.

use crate::args::{EncoderArgs, Global, share};
use crate::models::OpenModel;
use crate::printer::{json, line};
use alike::tasks::{Known, TaskError, VerifiedBy, VerifyBy, verify};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike verify MODEL A.png B.png                     by pairs of the run's images that were not trained on
  alike verify MODEL A.png B.png --gallery people/     by pairs of a folder of class folders
  alike verify MODEL A.png B.png --far 0.001         accept one pair in a thousand wrongly")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// One image
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// Images of known classes, whose pairs calibrate the threshold: folders, tables, or what alike embed wrote (.npy) [default:
    /// the collection, or the run's images that were not trained on]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// The share of pairs of two classes that may be taken for one [default: as large as the share of pairs of one that is
    /// missed]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) far: Option<f64>,
    /// Exclude known pairs of one group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Distance threshold for *different*; overrides known pairs
    #[arg(long, value_name = "DISTANCE", conflicts_with_all = ["gallery", "far", "leave_group"])]
    pub(crate) threshold: Option<f64>,
}

pub(crate) fn run(args: &VerifyArgs, global: &Global) -> anyhow::Result<()> {
    let model = OpenModel::new(&args.encoder, global)?;
    let two = model.read_two(&args.a, &args.b)?;
    let known;
    let by = match args.threshold {
        Some(threshold) => VerifyBy::Threshold(threshold),
        None => {
            known = known_images(&model, args)?;
            VerifyBy::Known { known: &known, far: args.far, leave_group: args.leave_group }
        }
    };
    let answer = verify(&model, &two, &by)?;
    model.note_trained(&two, &answer.trained_on);
    if global.json {
        return json(&answer);
    }
    let how = answer.by.as_ref().map_or(String::new(), |by| format!(" ({})", why(by, args.far)));
    let word = if answer.same { "same" } else { "different" };
    let said = if answer.said.is_some() { "a person said so; " } else { "" };
    line(format!("{word}: {said}distance {:.4}, threshold {:.4}{how}", answer.distance, answer.threshold))?;
    match &answer.by {
        None => Ok(()),
        Some(by) => line(format!(
            "{:.1} % of known same-class pairs and {:.1} % of different-class pairs are farther apart than these two; known are {}",
            100.0 * (1.0 - by.genuine_nearer),
            100.0 * (1.0 - by.impostor_nearer),
            by.gallery.sentence()
        )),
    }
}

/// The images whose pairs tell how far apart two of one class are.
fn known_images(model: &OpenModel<'_>, args: &VerifyArgs) -> anyhow::Result<Known> {
    if !args.gallery.is_empty() {
        return model.read_known(&args.gallery);
    }
    if let Some(known) = model.kept_known()? {
        return Ok(known);
    }
    let data = model.read_own("name images of known classes with --gallery, or give a --threshold")?;
    if !data.labelled {
        return Err(TaskError::NoClasses(data.name).into());
    }
    // Images that were trained on lie nearer to each other than new ones do.
    let all = model.own_all(&data)?;
    let new: Vec<usize> = (0..all.gallery.len()).filter(|i| all.trained(*i) == Some(false)).collect();
    let mut known = all.select(&new);
    known.call(format!("images of the run ({}) that were not trained on", data.name));
    Ok(known)
}

/// Where the threshold comes from.
fn why(by: &VerifiedBy, asked: Option<f64>) -> String {
    let (one, two) = (by.genuine_pairs, by.impostor_pairs);
    match (by.far, by.tar, by.accepted_impostors) {
        (Some(far), Some(tar), Some(accepted)) => {
            let few = asked.is_some_and(|asked| far > asked);
            let few = if few { format!(", for {two} pairs promise no less") } else { String::new() };
            format!(
                "{:.2} % of {one} known same-class pairs are true matches, {accepted} of {two} different-class pairs false ones; of new \
                 different-class pairs at most {} % are false matches in the mean{few}",
                100.0 * tar,
                100.0 * far
            )
        }
        _ if by.eer == 0.0 => {
            format!(
                "{one} known same-class pairs are nearer and {two} different-class pairs farther, without error"
            )
        }
        _ => format!(
            "threshold at the equal error rate: {0:.2} % false matches, {0:.2} % false non-matches of known pairs",
            100.0 * by.eer
        ),
    }
}
