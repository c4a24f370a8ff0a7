//! `alike report`.

use super::eval::as_many_as;
use super::refuse_existing;
use crate::args::{Global, SourceArgs};
use crate::models::{open_judged, other_data, own_data, source};
use crate::printer::{json, line, note};
use alike::eval::Judge;
use alike::files::StagedFiles;
use alike::report::{Figure, Report, ReportInput};
use alike::tasks::{ModelSource, Opened, quick_pixel_retrieval};
use anyhow::{Context, bail, ensure};
use clap::Args;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike report MODEL                                  report.html in the run's folder, figures in a folder beside it
  alike report MODEL --unseen runs/no-zeros -o page.html --force
  alike report encoder.onnx --data photos/ -o page.html")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct ReportArgs {
    /// The model: a run's folder, an ONNX file with its manifest, or an encoder's name (alike encoders list)
    pub(crate) model: PathBuf,
    /// The HTML file to write; figures go into a folder beside it [default: report.html in the run's folder]
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
    /// Replace an existing page and its figures
    #[arg(long)]
    pub(crate) force: bool,
}

/// Votes that the page shows.
pub(super) const KS: [usize; 2] = [1, 5];
/// The Ks of the page's retrieval measures.
pub(super) const AT: [usize; 3] = [1, 5, 10];
/// Pixels a unit of a drawing, so that text is sharp on fine screens and on paper.
const SCALE: f32 = 2.0;

/// What `alike report --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Reported {
    /// The page.
    page: PathBuf,
    /// Its figures, as SVG and as PNG.
    figures: Vec<PathBuf>,
}

pub(crate) fn run(args: &ReportArgs, global: &Global) -> anyhow::Result<()> {
    let model = source(&args.model, global)?;
    let page = match (&args.out, &model) {
        (Some(page), _) => page.clone(),
        (None, ModelSource::Run(run) | ModelSource::Head(run, _)) => run.folder().join("report.html"),
        (None, ModelSource::Encoder { .. }) => {
            bail!("{} has no folder for a page; name the page with -o", args.model.display())
        }
    };
    let beside = figures_beside(&page)?;
    refuse_existing(&[&page, &beside], args.force)?;
    let opened = Opened::from_source(model, false)?;
    let without = match &args.unseen {
        None => None,
        Some(folder) => {
            let opened = open_judged(folder, false, global)?;
            ensure!(
                opened.settings().is_some_and(|s| !s.exclude_class.is_empty()),
                "{} excluded no class; give --unseen a run trained with --exclude-class",
                folder.display()
            );
            Some(opened)
        }
    };
    let data = match &args.data {
        Some(what) => {
            ensure!(
                opened.settings().is_none(),
                "{} is a run, whose page shows the data that it was trained on; leave --data out",
                args.model.display()
            );
            other_data(&opened, args.source.request(what), global)?
        }
        None => own_data(&opened, global)?,
    };
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
    let judge = Judge::new(&[]);
    judge.check(&data)?;
    // A small gallery may not have so many.
    let there = judge.neighbours(&data);
    let (ks, at) = (as_many_as(&KS, there, global), as_many_as(&AT, there, global));
    let judge = Judge::new(&ks);
    let image = judge.image_space(&data)?;
    let without = without.map(|o| o.judge(&judge, &data, image.clone())).transpose()?;
    let judged = opened.judge(&judge, &data, image)?;
    let feature = judged.retrieval(&judge, &data, &at)?;
    let image = quick_pixel_retrieval(&judge, &data, &at)?;
    let input =
        ReportInput { retrieval: Some((&feature, image.as_ref())), ..ReportInput::of(&judged, &data) };
    let figures = write(&page, &input, without.as_ref().map(|w| ReportInput::of(w, &data)).as_ref(), global)?;
    if global.json {
        return json(&Reported { page, figures });
    }
    line(page.display().to_string())
}

/// The folder of a page's figures.
pub(super) fn figures_beside(page: &Path) -> anyhow::Result<PathBuf> {
    let stem = page.file_stem().with_context(|| format!("{} names no file", page.display()))?;
    ensure!(!page.is_dir(), "{} is a folder; name a file, such as page.html", page.display());
    Ok(page.with_file_name(format!("{}-figures", stem.to_string_lossy())))
}

/// Draws everything, then writes page and figures together.
pub(super) fn write(
    page: &Path,
    run: &ReportInput<'_>,
    without: Option<&ReportInput<'_>>,
    global: &Global,
) -> anyhow::Result<Vec<PathBuf>> {
    let report = Report::new(run, without)?;
    let folder = figures_beside(page)?;
    let drawn: Vec<(PathBuf, Vec<u8>)> = report
        .figures()
        .par_iter()
        .flat_map_iter(|figure| ["svg", "png"].map(|ending| (figure, ending)))
        .map(|(figure, ending)| {
            let path = folder.join(format!("{}.{ending}", figure.name));
            let bytes = draw(figure, &path)?;
            Ok((path, bytes))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut batch = StagedFiles::default();
    for (path, bytes) in &drawn {
        batch.stage(path, |w| w.write_all(bytes))?;
    }
    batch.stage(page, |w| w.write_all(report.html().as_bytes()))?;
    batch.commit()?;
    note(global, format!("{} figures as SVG and PNG in {}", report.figures().len(), folder.display()));
    Ok(drawn.into_iter().map(|(path, _)| path).collect())
}

/// A figure in the format that the path's ending asks for.
pub(super) fn draw(figure: &Figure, path: &Path) -> anyhow::Result<Vec<u8>> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("png") => Ok(figure.png(SCALE)?),
        Some("svg") => Ok(figure.svg().into_bytes()),
        _ => anyhow::bail!("{} ends in neither .png nor .svg", path.display()),
    }
}
