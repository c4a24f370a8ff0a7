//! `alike search`.

use super::refuse_existing;
use super::report::draw;
use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line, note};
use alike::data::Dataset;
use alike::files::{self, FileError};
use alike::images::Images;
use alike::report::{Figure, PictureRow, Shown, Tone, picture_rows};
use alike::tasks::{Known, SearchAnswer, SearchOptions, search};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike search MODEL --gallery photos/ query.jpg -k 10
  alike embed MODEL photos/ -o photos.npy && alike search MODEL --gallery photos.npy query.jpg -o found.png")]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Query images: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Gallery to search: folders, archives, tables, or a .npy file from alike embed [default: all images of the run]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// Number of neighbours per query
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: u32,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session (a table's column 'group')
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Draw queries and neighbours into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

pub(crate) fn run(args: &SearchArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        refuse_existing(&[out], args.force)?;
    }
    let model = OpenModel::new(&args.encoder, global)?;
    let asked = model.read(&args.images)?;
    let known = if args.gallery.is_empty() {
        model.own_all(&model.read_own("name the images to search with --gallery")?)?
    } else {
        model.read_known(&args.gallery)?
    };
    note(global, format!("among {}", known.summary().sentence()));
    let options = SearchOptions { k: args.k as usize, leave_group: args.leave_group };
    let answer = search(&model, &asked, &known, options)?;
    let trained: Vec<bool> = answer.queries.iter().map(|q| q.trained_on).collect();
    model.note_trained(&asked, &trained);
    if let Some(out) = &args.out {
        files::write(out, &draw(&figure(&model, &asked, &known, &answer)?, out)?)?;
    }
    if global.json {
        return json(&answer);
    }
    for found in &answer.queries {
        line(&found.query)?;
        for (rank, n) in found.neighbours.iter().enumerate() {
            let class = n.class.as_ref().map_or(String::new(), |c| format!("  {c}"));
            line(format!("{:>5}  {:.4}  {}{class}", rank + 1, n.distance, n.path))?;
        }
    }
    Ok(())
}

fn figure(
    model: &OpenModel<'_>,
    asked: &Dataset,
    known: &Known,
    answer: &SearchAnswer,
) -> Result<Figure, FileError> {
    let pictures: Vec<Vec<Option<(Images, usize)>>> = answer
        .queries
        .iter()
        .map(|found| found.neighbours.iter().map(|n| model.find(known, n.index)).collect())
        .collect();
    let blank = model.blank();
    let rows = answer.queries.iter().zip(&pictures).enumerate().map(|(q, (found, pictures))| PictureRow {
        lead: Some(Shown::new(&asked.train.images, q, "query", Tone::Plain)),
        heading: found.query.clone(),
        others: (found.neighbours.iter().zip(pictures))
            .map(|(n, picture)| {
                let text = n.class.clone().unwrap_or_default();
                Shown { text, ..Shown::or_blank(picture, &blank) }.far(n.distance)
            })
            .collect(),
    });
    let caption = format!(
        "Left each image that was looked for, then its nearest images with their distances, among {}.",
        answer.gallery.sentence()
    );
    picture_rows("search", "Nearest images", caption, &[("Nearest images", rows.collect())])
}
