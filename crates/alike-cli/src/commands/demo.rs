//! `alike demo`.

use super::eval::{SPACES, as_many_as, table, unseen};
use super::report::{AT, KS, facts, figures_beside, write_report};
use super::{data_paths, refuse_existing, train};
use crate::args::Global;
use crate::bars::{Bars, comparing};
use crate::printer::{heading, json, line, note};
use alike::data::{DIGITS, Dataset, load};
use alike::eval::{Judge, Judgement, SpaceJudgement};
use alike::names::shell_path;
use alike::report::{PageFacts, Report, ReportInput};
use alike::tasks::{Judged, Opened, quick_pixel_retrieval};
use alike::train::Settings;
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike demo                                          MNIST or, when offline, built-in synthetic digits
  alike demo --data digits --epochs 1 -o /tmp/demo")]
pub(crate) struct DemoArgs {
    /// Folder to create
    #[arg(short, long, value_name = "DIR", default_value = "alike-demo")]
    pub(crate) out: PathBuf,
    /// Replace the output of an earlier demo
    #[arg(long)]
    pub(crate) force: bool,
    /// Data set [default: mnist; when offline, built-in synthetic digits]
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) data: Option<String>,
    /// Number of epochs
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
}

pub(crate) fn run(args: &DemoArgs, global: &Global) -> anyhow::Result<()> {
    let began = Instant::now();
    let page = args.out.join("report.html");
    let fast_page = args.out.join("report-fast.html");
    let (all, without, fast) =
        (args.out.join("run"), args.out.join("run-without"), args.out.join("run-fast"));
    let there =
        [&page, &figures_beside(&page)?, &all, &without, &fast, &fast_page, &figures_beside(&fast_page)?];
    refuse_existing(&there.map(PathBuf::as_path), args.force)?;
    let (name, data) = choose(args, global)?;
    let there = Judge::new(&[]).neighbours(&data);
    let (ks, at) = (as_many_as(&KS, there, global), as_many_as(&AT, there, global));
    let judge = Judge::new(&ks);
    judge.check(&data)?;
    let left_out = data.classes.first().cloned().unwrap_or_default();

    let learn = |folder, recipe: &str, excluded: &[String]| -> anyhow::Result<Opened> {
        let recipe =
            Settings::recipe(recipe, &name).with_context(|| format!("there is no recipe '{recipe}'"))?;
        let mut settings = Settings {
            exclude_class: excluded.to_vec(),
            seed: global.seed.unwrap_or(0),
            epochs: args.epochs.unwrap_or(recipe.epochs),
            ..recipe
        };
        settings.keep_source(&name.as_str().into(), &data);
        let (run, training) = train::create(settings.resolve()?, &data, folder, args.force)?;
        train::drive(&run, &data, training, global)?;
        Ok(Opened::new(&run, false)?)
    };
    note(global, format!("training on all {} classes of {}", data.classes.len(), data.name));
    let seen = learn(&all, "seed", &[])?;
    note(global, format!("training once more, without class '{left_out}'"));
    let unseeing = learn(&without, "seed", std::slice::from_ref(&left_out))?;
    note(global, "training on all classes by the recipe 'fast'");
    let (unseen_folder, fast_folder) = (without.clone(), fast.clone());
    let fast = learn(&fast, "fast", &[])?;
    note(global, "judging pixels and embeddings");
    let pairs = data.test.len() * data.gallery().0.len();
    let image: SpaceJudgement = comparing("judging pixels", pairs, || judge.image_space(&data))?;
    let (without, fast, judged) = comparing("judging embeddings", 3 * pairs, || {
        let judged = |run: Opened| run.judge(&judge, &data, image.clone());
        Ok::<_, anyhow::Error>((judged(unseeing)?, judged(fast)?, judged(seen)?))
    })?;
    let image = comparing("ranking by pixels", pairs, || quick_pixel_retrieval(&judge, &data, &at))?;
    for (page, other, run, folder, beside) in [
        (&page, &fast_page, &judged, &all, Some((&without, &unseen_folder))),
        (&fast_page, &page, &fast, &fast_folder, None),
    ] {
        let feature = comparing("ranking by embeddings", pairs, || run.retrieval(&judge, &data, &at))?;
        let input =
            ReportInput { retrieval: Some((&feature, image.as_ref())), ..ReportInput::of(run, &data) };
        let mut about = facts(page, folder, beside.map(|b| b.1.as_path()), None);
        // Both pages are new: each names the other, whatever lies beside them.
        let other = other.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        about.siblings = vec![(other.clone(), other)];
        let about = PageFacts { command: Some(command(args, global)), ..about };
        let without = beside.map(|(w, _)| ReportInput::of(w, &data));
        let drawn = Report::new(&input, without.as_ref(), &about, &mut Bars::new(global))?;
        write_report(page, &drawn, global)?;
    }
    note(global, format!("all done in {:.0} s", began.elapsed().as_secs_f64()));
    let pages = [&page, &fast_page].map(|p| p.display().to_string());
    print(&judged, &without, &fast, &pages, global)
}

/// The command that makes all of it again.
fn command(args: &DemoArgs, global: &Global) -> String {
    let mut line = format!("alike demo -o {}", shell_path(&args.out));
    if let Some(data) = &args.data {
        line.push_str(&format!(" --data {}", shell_path(data)));
    }
    if let Some(epochs) = args.epochs {
        line.push_str(&format!(" --epochs {epochs}"));
    }
    if let Some(seed) = global.seed {
        line.push_str(&format!(" --seed {seed}"));
    }
    line + " --force"
}

/// MNIST if it can be had; otherwise digits that need no file.
fn choose(args: &DemoArgs, global: &Global) -> anyhow::Result<(String, Dataset)> {
    let get = |name: &str| load(&name.into(), &data_paths(global), &mut Bars::new(global));
    if let Some(name) = &args.data {
        return Ok((name.clone(), get(name)?));
    }
    match get("mnist") {
        Ok(data) => {
            note(global, format!("data: MNIST, from {}", data.origin));
            Ok(("mnist".to_owned(), data))
        }
        Err(e) => {
            note(global, format!("data: built-in synthetic digits, because {e}"));
            Ok((DIGITS.to_owned(), get(DIGITS)?))
        }
    }
}

/// What `alike demo --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Demonstrated<'a> {
    /// The page of the recipe `seed`.
    page: &'a str,
    /// The page of the recipe `fast`.
    fast_page: &'a str,
    /// The recipe `seed` on all classes.
    all_classes: &'a Judgement,
    /// The recipe `seed` without one class.
    without: &'a Judgement,
    /// The recipe `fast`.
    fast: &'a Judgement,
}

fn print(
    judged: &Judged,
    without: &Judged,
    fast: &Judged,
    [page, fast_page]: &[String; 2],
    global: &Global,
) -> anyhow::Result<()> {
    if global.json {
        return json(&Demonstrated {
            page,
            fast_page,
            all_classes: &judged.judgement,
            without: &without.judgement,
            fast: &fast.judgement,
        });
    }
    line("by the recipe 'seed'")?;
    table(&judged.judgement, true, SPACES)?;
    unseen(&without.judgement, SPACES)?;
    heading("by the recipe 'fast'")?;
    table(&fast.judgement, true, SPACES)?;
    heading(fast_page)?;
    line(page)
}
