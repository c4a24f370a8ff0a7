//! `alike report`.

mod follow;
mod write;

pub(super) use write::{draw, facts, figures_beside, write_report};

use super::eval::as_many_as;
use super::refuse_existing;
use crate::args::{Global, SourceArgs};
use crate::bars::{Bars, comparing, doing};
use crate::models::{open_judged, other_data, own_data, source};
use crate::printer::{json, line, note};
use alike::data::Dataset;
use alike::eval::Judge;
use alike::report::{FIGURES, Figure, PageFacts, Report, ReportInput, UnlabelledInput};
use alike::tasks::{Judged, ModelSource, Opened, quick_pixel_retrieval};
use anyhow::{Context, bail, ensure};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike report MODEL                                  report.html in the run's folder, figures in a folder beside it
  alike report MODEL --unseen runs/no-zeros -o page.html --force
  alike report encoder.onnx --data photos/ -o page.html
  alike report MODEL --only spaces,loss -o figures/   two figures alone, as SVG and PNG, and their numbers as CSV
  alike report MODEL --follow                         the page is drawn again while the run trains")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct ReportArgs {
    /// The model: a run's folder, an ONNX file with its manifest, or an encoder's name (alike encoders list)
    pub(crate) model: PathBuf,
    /// The HTML file to write; figures go into a folder beside it [default: report.html in the run's folder]. With --only the folder for
    /// figures
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The images that an encoder is shown on: a name, a folder or a file. A run is shown on the data that it was trained on
    #[arg(long, value_name = "NAME|PATH", conflicts_with = "unseen")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// A run on the same data that excluded classes, to show how these fare
    #[arg(long, value_name = "MODEL")]
    pub(crate) unseen: Option<PathBuf>,
    /// Draw these figures alone, without a page, into the folder that -o names
    #[arg(long, value_name = "FIGURE,...", value_delimiter = ',', requires = "out", value_parser = figure_names())]
    pub(crate) only: Vec<String>,
    /// Draw the page again whenever the run that trains has finished an epoch, until it is done; a browser that shows the page loads it again
    #[arg(long, conflicts_with_all = ["only", "data", "json"])]
    pub(crate) follow: bool,
    /// Replace an existing page and its figures
    #[arg(long)]
    pub(crate) force: bool,
}

/// Votes that the page shows.
pub(super) const KS: [usize; 2] = [1, 5];
/// The Ks of the page's retrieval measures.
pub(super) const AT: [usize; 3] = [1, 5, 10];
/// The figures that `--only` takes, for its help.
fn figure_names() -> PossibleValuesParser {
    FIGURES.map(|(name, what)| PossibleValue::new(name).help(what)).into()
}

/// What `alike report --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Reported {
    /// The page; none where figures alone were drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PathBuf>,
    /// The figures, as SVG and as PNG, and their numbers as CSV.
    figures: Vec<PathBuf>,
}

pub(crate) fn run(args: &ReportArgs, global: &Global) -> anyhow::Result<()> {
    if args.follow {
        return follow::follow(args, global);
    }
    if !args.only.is_empty() {
        return alone(args, global);
    }
    let model = source(&args.model, global)?;
    let page = page_of(args, &model)?;
    refuse_existing(&[&page, &figures_beside(&page)?], args.force)?;
    let facts = facts(&page, &args.model, args.unseen.as_deref(), args.data.as_deref());
    let figures = make(args, model, &page, &facts, global)?;
    if global.json {
        return json(&Reported { page: Some(page), figures });
    }
    line(page.display().to_string())
}

/// Where the page goes.
fn page_of(args: &ReportArgs, model: &ModelSource) -> anyhow::Result<PathBuf> {
    match (&args.out, model) {
        (Some(page), _) => Ok(page.clone()),
        (None, ModelSource::Run(run) | ModelSource::Head(run, _)) => Ok(run.folder().join("report.html")),
        (None, ModelSource::Encoder { .. }) => {
            bail!("{} has no folder for a page; name the page with -o", args.model.display())
        }
    }
}

/// Draws and writes the page.
fn make(
    args: &ReportArgs,
    model: ModelSource,
    page: &Path,
    facts: &PageFacts,
    global: &Global,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut bars = Bars::new(global);
    let report = match Material::of(args, model, global)? {
        Material::Judged(m) => m.with(|input, without| Report::new(input, without, facts, &mut bars))?,
        Material::Unjudged(unjudged, data) => {
            note(global, NEEDS_CLASSES);
            Report::without_classes(&UnlabelledInput::of(&unjudged, &data), facts, &mut bars)?
        }
    };
    write_report(page, &report, global)
}

/// What a user should know of a page without classes.
const NEEDS_CLASSES: &str = "the images have no classes: the page has consistency, map, clusters, neighbours, near duplicates and training; accuracy, \
                             confusion and verification need classes";

/// Draws figures alone.
fn alone(args: &ReportArgs, global: &Global) -> anyhow::Result<()> {
    let folder = args.out.as_ref().context("name the folder for figures with -o")?;
    ensure!(!folder.is_file(), "{} is a file; with --only, -o names a folder", folder.display());
    let mut bars = Bars::new(global);
    let names = &args.only;
    let figures: Vec<Figure> = match Material::of(args, source(&args.model, global)?, global)? {
        Material::Judged(m) => m.with(|input, without| Report::some(input, without, names, &mut bars))?,
        Material::Unjudged(unjudged, data) => {
            Report::some_without_classes(&UnlabelledInput::of(&unjudged, &data), names, &mut bars)?
        }
    };
    let missing: Vec<&str> =
        names.iter().filter(|n| figures.iter().all(|f| f.name != **n)).map(String::as_str).collect();
    let without = format!(
        "{} has no figure {}: its training or its images, or the classes of these, do not have what that shows",
        args.model.display(),
        missing.join(", ")
    );
    ensure!(!figures.is_empty(), "{without}; name others with --only");
    if !missing.is_empty() {
        note(global, without);
    }
    let figures = write::write_figures(folder, &figures, args.force, global)?;
    if global.json {
        return json(&Reported { page: None, figures });
    }
    figures.iter().try_for_each(|path| line(path.display().to_string()))
}

/// What a page is made from.
enum Material {
    Judged(Box<JudgedMaterial>),
    Unjudged(Box<alike::tasks::Unjudged>, Box<Dataset>),
}

struct JudgedMaterial {
    data: Dataset,
    judged: Judged,
    without: Option<Judged>,
    retrieval: (alike::eval::RetrievalReport, Option<alike::eval::RetrievalReport>),
}

impl JudgedMaterial {
    fn with<T, E>(
        &self,
        draw: impl FnOnce(&ReportInput<'_>, Option<&ReportInput<'_>>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (feature, image) = (&self.retrieval.0, self.retrieval.1.as_ref());
        let input =
            ReportInput { retrieval: Some((feature, image)), ..ReportInput::of(&self.judged, &self.data) };
        draw(&input, self.without.as_ref().map(|w| ReportInput::of(w, &self.data)).as_ref())
    }
}

impl Material {
    fn of(args: &ReportArgs, model: ModelSource, global: &Global) -> anyhow::Result<Material> {
        let opened = Opened::from_source(model, false)?;
        let without = args.unseen.as_ref().map(|folder| excluding(folder, global)).transpose()?;
        let data = data_of(args, &opened, global)?;
        opened.fits(&data)?;
        if let Some(without) = &without {
            if let (Some(one), Some(other)) = (opened.settings(), without.settings()) {
                ensure!(
                    other.request()?.is_same_as(&one.request()?),
                    "the two runs were trained on different data, {} and {}",
                    one.data,
                    other.data
                );
            }
            without.fits(&data)?;
        }
        if !data.labelled {
            let seed = opened.settings().map_or(0, |s| s.seed);
            let unjudged = doing("embedding images and their views", || opened.unjudged(&data, seed))?;
            return Ok(Material::Unjudged(Box::new(unjudged), Box::new(data)));
        }
        let judge = Judge::new(&[]);
        judge.check(&data)?;
        // A small gallery may not have so many.
        let there = judge.neighbours(&data);
        let (ks, at) = (as_many_as(&KS, there, global), as_many_as(&AT, there, global));
        let judge = Judge::new(&ks);
        let pairs = data.test.len() * data.gallery().0.len();
        let image = comparing("judging pixels", pairs, || judge.image_space(&data))?;
        let without = without.map(|o| o.judge(&judge, &data, image.clone())).transpose()?;
        let judged = comparing("judging embeddings", pairs, || opened.judge(&judge, &data, image))?;
        let feature = comparing("ranking by embeddings", pairs, || judged.retrieval(&judge, &data, &at))?;
        let image = comparing("ranking by pixels", pairs, || quick_pixel_retrieval(&judge, &data, &at))?;
        Ok(Material::Judged(Box::new(JudgedMaterial { data, judged, without, retrieval: (feature, image) })))
    }
}

/// A run that excluded classes.
fn excluding(folder: &Path, global: &Global) -> anyhow::Result<Opened> {
    let opened = open_judged(folder, false, global)?;
    ensure!(
        opened.settings().is_some_and(|s| !s.exclude_class.is_empty()),
        "{} excluded no class; give --unseen a run trained with --exclude-class",
        folder.display()
    );
    Ok(opened)
}

/// The data that the page shows.
fn data_of(args: &ReportArgs, opened: &Opened, global: &Global) -> anyhow::Result<Dataset> {
    let Some(what) = &args.data else { return own_data(opened, global) };
    ensure!(
        opened.settings().is_none(),
        "{} is a run, whose page shows the data that it was trained on; leave --data out",
        args.model.display()
    );
    Ok(other_data(opened, args.source.request(what), global)?)
}
