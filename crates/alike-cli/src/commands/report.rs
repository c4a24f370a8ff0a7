//! `alike report`.

use super::eval::as_many_as;
use super::refuse_existing;
use crate::args::Global;
use crate::printer::{json, line, note};
use crate::using::{open_run, own_data};
use alike::eval::Judge;
use alike::files::StagedFiles;
use alike::report::{Figure, Report, ReportInput};
use alike::tasks::{Opened, quick_pixel_retrieval};
use alike::train::Run;
use anyhow::{Context, ensure};
use clap::Args;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike report MODEL                                  report.html in the run's folder, figures in a folder beside it
  alike report MODEL --unseen runs/no-zeros -o page.html --force")]
pub(crate) struct ReportArgs {
    /// The model: a run's folder
    pub(crate) model: PathBuf,
    /// The HTML file to write; figures go into a folder beside it [default: report.html in the run's folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
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
    let run = Run::open(&args.model)?;
    let page = args.out.clone().unwrap_or_else(|| run.folder().join("report.html"));
    let beside = figures_beside(&page)?;
    refuse_existing(&[&page, &beside], args.force)?;
    let opened = Opened::new(&run, false)?;
    let without = match &args.unseen {
        None => None,
        Some(folder) => {
            let opened = open_run(folder, false)?;
            ensure!(
                !opened.settings.exclude_class.is_empty(),
                "{} excluded no class; give --unseen a run trained with --exclude-class",
                folder.display()
            );
            Some(opened)
        }
    };
    let data = own_data(&opened, global)?;
    for each in [Some(&opened), without.as_ref()].into_iter().flatten() {
        ensure!(
            each.settings.request()?.is_same_as(&opened.settings.request()?),
            "the two runs were trained on different data, {} and {}",
            opened.settings.data,
            each.settings.data
        );
        each.fits(&data)?;
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
