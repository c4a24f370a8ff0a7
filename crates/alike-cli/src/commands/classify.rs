//! `alike classify`.

use super::{refuse_existing, write_table};
use crate::args::{EncoderArgs, Global, share};
use crate::bars::doing;
use crate::models::{OpenModel, bursts_sentence};
use crate::printer::{json, line, note};
use alike::eval::Rule;
use alike::own_files::OwnTable;
use alike::tasks::{CalibratedOn, Classified, ClassifyAnswer, ClassifyOptions, TaskError, classify};
use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RuleArg {
    /// Majority vote of the k nearest
    Knn,
    /// Vote of the k nearest, weighted by inverse distance
    Weighted,
    /// The nearest class mean
    Means,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike classify MODEL new/                              by all images of the run, trained on or held back
  alike classify MODEL --gallery known/ new.jpg          by a folder of class folders: its classes may be new to the run
  alike enroll MODEL --gallery known.npy --class cup cup1.jpg cup2.jpg && alike classify MODEL --gallery known.npy new.jpg")]
pub(crate) struct ClassifyArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images to classify: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Images of known class: folders, archives, tables, or what alike embed wrote (.npy) [default: all
    /// images of the collection, or of the run, trained on or held back]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// Classification rule
    #[arg(long, value_enum, default_value = "weighted")]
    pub(crate) rule: RuleArg,
    /// Number of neighbours that vote
    #[arg(short, long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: u32,
    /// Share of new images of known classes that should be accepted as known
    #[arg(long, default_value_t = 0.99, value_name = "SHARE", value_parser = share)]
    pub(crate) accept: f64,
    /// Distance threshold for *unknown*; overrides --accept
    #[arg(long, value_name = "DISTANCE")]
    pub(crate) threshold: Option<f64>,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session (a table's column 'group')
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write the answers to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

pub(crate) fn run(args: &ClassifyArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    let model = OpenModel::new(&args.encoder, global)?;
    let asked = model.read(&args.images)?;
    let own_images = args.gallery.is_empty() && !model.is_kept();
    let kept = if args.gallery.is_empty() { model.kept_known()? } else { None };
    let known = if let Some(known) = kept {
        known
    } else if own_images {
        let data = model.read_own("name images of known classes with --gallery")?;
        if !data.labelled {
            return Err(TaskError::NoClasses(data.name).into());
        }
        model.own_all(&data)?
    } else {
        model.read_known(&args.gallery)?
    };
    let options = ClassifyOptions {
        rule: match args.rule {
            RuleArg::Knn => Rule::Knn(args.k as usize),
            RuleArg::Weighted => Rule::Weighted(args.k as usize),
            RuleArg::Means => Rule::Means,
        },
        accept: args.accept,
        threshold: args.threshold,
        leave_group: args.leave_group,
        own_images,
    };
    let answer = doing("calibrating and classifying", || classify(&model, &asked, &known, &options))?;
    let trained: Vec<bool> = answer.answers.iter().map(|a| a.trained_on).collect();
    model.note_trained(&asked, &trained);
    notes(&answer, args, global);
    if let Some(path) = &args.csv {
        write_table(path, table(&answer)?, global)?;
    }
    if global.json {
        return json(&answer);
    }
    let unknown_is_a_class = known.gallery.classes.iter().any(|c| c == "unknown");
    for a in &answer.answers {
        line(format!("{}  {}", a.path, sentence(a, unknown_is_a_class)))?;
    }
    Ok(())
}

/// How the answers were come by.
fn notes(answer: &ClassifyAnswer, args: &ClassifyArgs, global: &Global) {
    if let Some(bursts) = &answer.bursts {
        note(global, bursts_sentence(bursts, "gallery"));
    }
    let by = answer.calibration.by;
    let calibrated = match args.threshold {
        Some(_) => String::new(),
        None => format!(
            "; in the mean at least {:.1} % of new images of known classes are nearer, judging by {} {} ({:.2} % of them classified \
             correctly), {}{}",
            100.0 * by.accept,
            by.images,
            answer.calibration.on.words(),
            100.0 * by.accuracy,
            answer.calibration.leaving_out.left_out(),
            if by.accept < args.accept { "; so few promise no more" } else { "" }
        ),
    };
    note(
        global,
        format!(
            "known are {}; images farther than {:.4} are called unknown{calibrated}",
            answer.gallery.sentence(),
            by.threshold
        ),
    );
    if answer.calibration.on == CalibratedOn::Trained && args.threshold.is_none() {
        note(
            global,
            "new images lie farther from these than they do from each other, so more than promised will be unknown; give images that were \
             not trained on with --gallery",
        );
    }
    if let Some(needed) = by.confidence_needs {
        note(
            global,
            format!(
                "no confidences: they would take about {needed} images of known class to be right within two points"
            ),
        );
    }
}

fn table(answer: &ClassifyAnswer) -> anyhow::Result<Vec<u8>> {
    let header = ["path", "answer", "known", "nearest_class", "distance", "confidence", "nearest", "by_hand"];
    let mut csv = OwnTable::new("classify", Vec::new(), &header)?;
    for a in &answer.answers {
        let (path, number) = (a.path.as_str(), |v: Option<f64>| v.map_or(String::new(), |v| v.to_string()));
        let Some(nearest_class) = &a.nearest_class else {
            csv.row([path, "", "", "", "", "", "", ""])?;
            continue;
        };
        csv.row([
            path,
            a.class.as_deref().unwrap_or("unknown"),
            &a.known.to_string(),
            nearest_class,
            &number(a.distance),
            &number(a.confidence),
            a.nearest.as_deref().unwrap_or_default(),
            &a.by_hand.to_string(),
        ])?;
    }
    Ok(csv.finish()?)
}

fn sentence(a: &Classified, unknown_is_a_class: bool) -> String {
    if let (true, Some(class)) = (a.by_hand, &a.class) {
        return format!("{class}  a person said so");
    }
    let (Some(nearest), Some(distance)) = (&a.nearest_class, a.distance) else {
        return "no answer: the gallery holds no other image".to_owned();
    };
    if let Some(class) = &a.class {
        let sure = a.confidence.map_or(String::new(), |c| format!("confidence {c:.3}, "));
        return format!("{class}  {sure}distance {distance:.4}");
    }
    let unknown = if unknown_is_a_class { "none of these classes" } else { "unknown" };
    format!("{unknown}  nearest is {nearest} at distance {distance:.4}")
}
