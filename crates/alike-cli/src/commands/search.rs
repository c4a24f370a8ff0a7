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
  alike search photos query.jpg --where \"class != 'cup'\" --within 0.8        a collection, which is searched at once
  alike search photos --like a.jpg --like b.jpg --unlike c.jpg --best group
  alike embed MODEL photos/ -o photos.npy && alike search MODEL --gallery photos.npy query.jpg -o found.png")]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Query images: files or folders; of a collection also - for paths on standard input, a line each, answered as they come
    #[arg(required_unless_present_any = ["like", "unlike", "class_mean", "vectors"], value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Gallery to search: folders, archives, tables, a collection, or a .npy file from alike embed [default: the collection, or all
    /// images of the run]
    #[arg(long, value_name = "PATH")]
    pub(crate) gallery: Vec<PathBuf>,
    /// Number of neighbours per query
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: u32,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session (a table's column 'group')
    #[arg(long)]
    pub(crate) leave_group: bool,
    #[command(flatten)]
    pub(crate) of_collection: OfCollection,
    /// Draw queries and neighbours into a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// What can be asked of a collection alone.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Collections")]
pub(crate) struct OfCollection {
    /// Search only pictures of which a condition holds, as in "class = 'cup' and added > 2024-05-01"
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) filter: Option<String>,
    /// Only what is no farther than this
    #[arg(long, value_name = "DISTANCE", conflicts_with = "calibrated")]
    pub(crate) within: Option<f64>,
    /// Only what is as near as pictures of one class are: no farther than this share of them from their nearest [default: 0.99]
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.99", value_parser = crate::args::share)]
    pub(crate) calibrated: Option<f64>,
    /// Pictures that what is looked for is like, together one query; repeat the flag
    #[arg(long, value_name = "IMAGE", conflicts_with = "images")]
    pub(crate) like: Vec<PathBuf>,
    /// Pictures that it is unlike
    #[arg(long, value_name = "IMAGE", conflicts_with = "images")]
    pub(crate) unlike: Vec<PathBuf>,
    /// Search by the mean of a class of the collection
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["images", "like", "unlike"])]
    pub(crate) class_mean: Option<String>,
    /// Search by vectors rather than pictures: a NumPy array of floats, a row a query
    #[arg(long, value_name = "FILE", conflicts_with_all = ["images", "like", "unlike", "class_mean"])]
    pub(crate) vectors: Option<PathBuf>,
    /// Only the nearest picture of each class, or of each group
    #[arg(long, value_enum, value_name = "class|group")]
    pub(crate) best: Option<BestArg>,
    /// Pass over so many of the nearest: the pages before
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BestArg {
    /// The nearest of each class
    Class,
    /// The nearest of each group
    Group,
}

impl OfCollection {
    /// A flag that was given, if any was.
    fn given(&self) -> Option<&'static str> {
        let all = [
            ("--where", self.filter.is_some()),
            ("--within", self.within.is_some()),
            ("--calibrated", self.calibrated.is_some()),
            ("--like", !self.like.is_empty()),
            ("--unlike", !self.unlike.is_empty()),
            ("--class-mean", self.class_mean.is_some()),
            ("--vectors", self.vectors.is_some()),
            ("--best", self.best.is_some()),
            ("--skip", self.skip > 0),
        ];
        all.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// Searches a collection, if one is the model and nothing else is to be searched or drawn; says whether it did.
#[cfg(feature = "collections")]
fn in_collection(args: &SearchArgs, global: &Global) -> anyhow::Result<bool> {
    let is_other = !args.gallery.is_empty() || args.out.is_some() || args.leave_group;
    if is_other || crate::collections::meant(&args.encoder.model).is_none() {
        return Ok(false);
    }
    super::search_collection::run(args, global)?;
    Ok(true)
}

#[cfg(not(feature = "collections"))]
fn in_collection(_: &SearchArgs, _: &Global) -> anyhow::Result<bool> {
    Ok(false)
}

pub(crate) fn run(args: &SearchArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        refuse_existing(&[out], args.force)?;
    }
    if in_collection(args, global)? {
        return Ok(());
    }
    if let Some(flag) = args.of_collection.given() {
        anyhow::bail!(
            "{flag} is for a collection that is the model, without --gallery, --leave-group and --out; make one with alike collection create"
        );
    }
    let model = OpenModel::new(&args.encoder, global)?;
    let asked = model.read(&args.images)?;
    let kept = if args.gallery.is_empty() { model.kept_known()? } else { None };
    let known = if let Some(known) = kept {
        known
    } else if args.gallery.is_empty() {
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
    print(&answer, 0)
}

/// A line a picture that was found. So many were passed over before.
pub(super) fn print(answer: &SearchAnswer, skipped: usize) -> anyhow::Result<()> {
    for found in &answer.queries {
        line(&found.query)?;
        for (rank, n) in found.neighbours.iter().enumerate() {
            let class = n.class.as_ref().map_or(String::new(), |c| format!("  {c}"));
            line(format!("{:>5}  {:.4}  {}{class}", skipped + rank + 1, n.distance, n.path))?;
        }
        if let (true, Some(within)) = (found.neighbours.is_empty(), answer.within) {
            line(format!("       nothing is within {within:.4}"))?;
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
