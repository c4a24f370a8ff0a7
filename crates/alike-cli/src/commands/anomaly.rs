//! `alike anomaly`.

use super::report::draw;
use super::{refuse_existing, write_table};
use crate::args::{EncoderArgs, Global, share};
use crate::bars::doing;
use crate::models::{OpenModel, bursts_sentence};
use crate::printer::{json, line, note};
use alike::data::{Dataset, exclude};
use alike::eval::AnomalyMethod;
use alike::files::{self, FileError};
use alike::images::Images;
use alike::own_files::OwnTable;
use alike::report::{Figure, PictureRow, Shown, Tone, picture_rows};
use alike::tasks::{AnomalyAnswer, AnomalyOptions, Known, Together, anomaly};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike train --data good/ --out runs/good && alike anomaly runs/good --gallery good/ incoming/ --csv scores.csv
  alike anomaly MODEL --gallery good.npy part.jpg --method mahalanobis --false-alarms 0.001")]
pub(crate) struct AnomalyArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images to score: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Images of what is normal: folders, archives, tables, or what alike embed wrote (.npy) [default: the collection, or what the run was
    /// trained on]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// Anomaly score: knn:k=1, mahalanobis, mahalanobis-by-class, lof:k=20
    #[arg(long, default_value = "knn", value_parser = clap::value_parser!(AnomalyMethod))]
    pub(crate) method: AnomalyMethod,
    /// Share of new normal images that may raise an alarm
    #[arg(long, default_value_t = 0.01, value_name = "SHARE", value_parser = share)]
    pub(crate) false_alarms: f64,
    /// Exclude references of the image's own group, such as a camera, lot or session (a table's column 'group')
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write the scores to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw the most anomalous images into a .png or .svg file, each beside the normal ones that it is nearest to
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

/// Images of a figure.
const DRAWN: usize = 24;
/// Normal images beside each: as many as stand in a row of the figure.
const BESIDE: usize = 5;

pub(crate) fn run(args: &AnomalyArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<_> = [&args.csv, &args.out].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let asked = model.read(&args.images)?;
    let (known, held_out) = match (&args.gallery[..], model.kept_known()?) {
        ([], Some(known)) => (known, None),
        ([], None) => own_images(&model)?,
        (gallery, _) => (model.read_known(gallery)?, None),
    };
    let options = AnomalyOptions {
        method: args.method,
        false_alarms: args.false_alarms,
        leave_group: args.leave_group,
        shown: if args.out.is_some() { DRAWN } else { 0 },
        beside: BESIDE,
    };
    let answer = doing("scoring images", || anomaly(&model, &asked, &known, held_out.as_ref(), &options))?;
    let mut trained = vec![false; asked.train.len()];
    answer.images.iter().for_each(|s| trained[s.index] = s.trained_on);
    model.note_trained(&asked, &trained);
    notes(&answer, global);
    if let Some(path) = &args.csv {
        write_table(path, table(&answer)?, global)?;
    }
    if let Some(out) = &args.out {
        files::write(out, &draw(&figure(&model, &asked, &known, &answer)?, out)?)?;
    }
    if global.json {
        return json(&answer);
    }
    for s in &answer.images {
        line(format!("{}  {:.4}  {}", if s.alarm { "ALARM" } else { "     " }, s.score, s.path))?;
    }
    note(global, format!("{} of {} images raise an alarm", answer.alarms, answer.images.len()));
    Ok(())
}

/// The run's own normal images, and those of them that it did not learn from, where there are any.
fn own_images(model: &OpenModel<'_>) -> anyhow::Result<(Known, Option<Known>)> {
    let data = model.read_own("name images of what is normal with --gallery")?;
    // Classes that were left out of training are not what is normal.
    let excluded = model.excluded(&data)?;
    let test = data.test.select(&exclude(&data.test.labels, &excluded));
    // What was trained on lies nearer to itself than new images do: test images tell how far normal ones are.
    let held_out = (!test.is_empty() && !data.is_open_set()).then(|| model.own(&data, &test, "test"));
    let held_out = held_out.transpose()?;
    Ok((model.own_training(&data, &exclude(&data.train.labels, &excluded))?, held_out))
}

/// How the threshold was come by.
fn notes(answer: &AnomalyAnswer, global: &Global) {
    if let Some(bursts) = &answer.bursts {
        note(
            global,
            bursts_sentence(bursts, if answer.held_out { "reference and test" } else { "reference" }),
        );
    }
    if let Some(needed) = answer.needs {
        let what = match answer.leaving_out {
            Together::Image => "normal images",
            Together::Group => "groups of normal images",
            Together::Burst => "bursts and single images that are normal",
        };
        note(
            global,
            format!(
                "{} {what} cannot promise a rate of {} false alarms, which takes {needed}: the promise is {:.2} %",
                answer.independent,
                answer.false_alarms,
                100.0 * answer.promised
            ),
        );
    }
    if answer.on_trained {
        note(
            global,
            "these were trained on: new normal images lie farther from them than they do from each other, so more than promised will \
             raise an alarm; give images that were not trained on with --gallery",
        );
    }
    note(
        global,
        format!(
            "normal are {}; by {} an alarm is a score above {:.4}, as at most {:.2} % of new normal images have in the mean, going by {} \
             {}, {}",
            answer.reference.sentence(),
            answer.method,
            answer.threshold,
            100.0 * answer.promised,
            answer.calibrated_on,
            if answer.held_out { "test images of the run" } else { "reference images" },
            answer.leaving_out.left_out()
        ),
    );
}

fn table(answer: &AnomalyAnswer) -> anyhow::Result<Vec<u8>> {
    let mut csv = OwnTable::new("anomaly", Vec::new(), &["rank", "path", "score", "alarm"])?;
    for (rank, s) in answer.images.iter().enumerate() {
        csv.row([&(rank + 1).to_string(), &s.path, &s.score.to_string(), &s.alarm.to_string()])?;
    }
    Ok(csv.finish()?)
}

fn figure(
    model: &OpenModel<'_>,
    asked: &Dataset,
    known: &Known,
    answer: &AnomalyAnswer,
) -> Result<Figure, FileError> {
    let shown = &answer.images[..answer.images.len().min(DRAWN)];
    let pictures: Vec<Vec<Option<(Images, usize)>>> =
        shown.iter().map(|s| s.nearest.iter().map(|n| model.find(known, n.index)).collect()).collect();
    let blank = model.blank();
    let rows = shown.iter().zip(&pictures).map(|(s, pictures)| PictureRow {
        lead: Some(Shown::new(
            &asked.train.images,
            s.index,
            format!("{:.3}", s.score),
            if s.alarm { Tone::Wrong } else { Tone::Right },
        )),
        heading: s.path.clone(),
        others: (pictures.iter().zip(&s.nearest))
            .map(|(picture, n)| Shown::or_blank(picture, &blank).far(n.distance))
            .collect(),
    });
    let caption = format!(
        "The most anomalous images by {}, each with its score and the normal images that it is nearest to, with their distances; ✗ above the \
         threshold of {:.4}.",
        answer.method, answer.threshold
    );
    picture_rows("anomalies", "What is not normal", caption, &[("Most anomalous first", rows.collect())])
}
