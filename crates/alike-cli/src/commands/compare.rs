//! `alike compare`.

use super::eval::{bracketed, percent};
use super::{refuse_existing, write_table};
use crate::args::{Global, SubjectArgs};
use crate::models::{open_judged, runs_of, subject};
use crate::printer::{heading, json, line};
use alike::eval::Spread;
use alike::files;
use alike::tasks::{COMPARED_MEASURES, CompareAnswer, CompareOptions, ComparedRun, SeedGroup, compare};
use anyhow::ensure;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike compare runs/a runs/b runs/c               whether b and c are better than a, or were lucky
  alike compare runs/photos --markdown seeds.md    all runs in a folder, as alike train --seeds 1,2,3 makes them
  alike compare runs/a runs/b --data more/ --split class")]
#[command(mut_group("source", |group| group.requires("data")))]
pub(crate) struct CompareArgs {
    /// Models trained on the same data and split, or folders of them; the others are compared with the first. Those that differ in
    /// nothing but their seed are summed up too
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// Exclude gallery images of the query's own group, such as a camera, writer or session
    #[arg(long)]
    pub(crate) leave_group: bool,
    /// Write every model's measures and differences to a .csv file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write the measures as a Markdown table
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
}

pub(crate) fn run(args: &CompareArgs, global: &Global) -> anyhow::Result<()> {
    let files: Vec<&Path> = [&args.csv, &args.markdown].into_iter().flatten().map(|p| p.as_path()).collect();
    refuse_existing(&files, args.force)?;
    let folders = runs_of(&args.models);
    ensure!(folders.len() > 1, "one model has nothing to be compared with; name two or more");
    // All that can be wrong with a folder is found before time is spent.
    let opened = folders
        .iter()
        .map(|folder| Ok((folder.display().to_string(), open_judged(folder, args.subject.last, global)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let options = CompareOptions { leave_group: args.leave_group, seed: global.seed.unwrap_or(0) };
    let subjects = opened.into_iter().map(|(name, run)| Ok((name, subject(run, &args.subject, global)?)));
    let answer = compare::<anyhow::Error>(subjects, &options)?;
    if let Some(path) = &args.csv {
        write_table(path, table(&answer)?, global)?;
    }
    if let Some(path) = &args.markdown {
        files::write(path, markdown(&answer).as_bytes())?;
    }
    if global.json {
        return json(&answer);
    }
    each(&answer.runs)?;
    answer.runs[1..].iter().try_for_each(|run| difference(run, &answer.runs[0]))?;
    answer.seeds.iter().try_for_each(seeds)
}

/// A row a run.
fn each(runs: &[ComparedRun]) -> anyhow::Result<()> {
    let wide = runs.iter().map(|r| r.run.len()).max().unwrap_or(0).max(3);
    let row =
        |name: &str, [a, b, c, d]: [String; 4]| line(format!("{name:wide$}  {a:>9} {b:>12} {c:>9} {d:>9}"));
    row("run", COMPARED_MEASURES.map(str::to_owned))?;
    runs.iter().try_for_each(|r| row(&r.run, COMPARED_MEASURES.map(|m| of(r, m))))
}

fn of(run: &ComparedRun, measure: &str) -> String {
    run.measure(measure).map_or("-".to_owned(), percent)
}

/// How a run differs from the first.
fn difference(run: &ComparedRun, first: &ComparedRun) -> anyhow::Result<()> {
    let groups = run.against_first.values().next().map_or(0, |d| d.groups);
    let unit = if run.by_classes() { "classes" } else { "queries" };
    heading(format!(
        "{} against {}: difference, 95 % interval, p by a permutation test over {groups} {unit}",
        run.run, first.run
    ))?;
    for (name, d) in &run.against_first {
        let [low, high] = d.interval.map(|v| 100.0 * v);
        let verdict = match (d.is_real(), d.mean > 0.0) {
            (false, _) => "not significant",
            (true, true) => "better",
            (true, false) => "worse",
        };
        line(format!(
            "{name:12} {:+.2} points [{low:+.2}, {high:+.2}]  p {:.4}  {verdict}",
            100.0 * d.mean,
            d.p_value
        ))?;
    }
    Ok(())
}

/// What runs that differ in their seed come to.
fn seeds(group: &SeedGroup) -> anyhow::Result<()> {
    heading(format!(
        "seeds {}: mean ± standard deviation [95 % interval of the mean]",
        listed(&group.seeds)
    ))?;
    for (name, s) in measures(group) {
        line(format!("{name:12} {}", spread(s)))?;
    }
    Ok(())
}

/// In the order of the tables.
fn measures(group: &SeedGroup) -> impl Iterator<Item = (&'static str, &Spread)> {
    COMPARED_MEASURES.into_iter().filter_map(|m| Some((m, group.measures.get(m)?)))
}

fn spread(s: &Spread) -> String {
    format!("{} ± {:.2} {}", percent(s.mean), 100.0 * s.deviation, bracketed(s.interval))
}

fn listed(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// A row a run and measure, then a row a group of seeds and measure.
fn table(answer: &CompareAnswer) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record([
        "run",
        "seeds",
        "measure",
        "mean",
        "deviation",
        "mean_low",
        "mean_high",
        "difference",
        "low",
        "high",
        "p_value",
    ])?;
    for r in &answer.runs {
        for name in COMPARED_MEASURES {
            let Some(mean) = r.measure(name) else { continue };
            let d = r.against_first.get(name);
            let d = d.map(|d| [d.mean, d.interval[0], d.interval[1], d.p_value].map(|v| v.to_string()));
            let texts = [
                r.run.clone(),
                r.seed.map_or(String::new(), |s| s.to_string()),
                name.to_owned(),
                mean.to_string(),
            ];
            csv.write_record(texts.into_iter().chain(<[String; 3]>::default()).chain(d.unwrap_or_default()))?;
        }
    }
    for group in &answer.seeds {
        for (name, s) in measures(group) {
            let texts = [group.runs.join(" "), listed(&group.seeds), name.to_owned()];
            let numbers = [s.mean, s.deviation, s.interval[0], s.interval[1]].map(|v| v.to_string());
            csv.write_record(texts.into_iter().chain(numbers).chain(<[String; 4]>::default()))?;
        }
    }
    Ok(csv.into_inner()?)
}

/// A row a run, then a row a group of seeds.
fn markdown(answer: &CompareAnswer) -> String {
    let row = |name: &str, cells: [String; 4]| {
        format!("| {} | {} |\n", name.replace('|', "\\|"), cells.join(" | "))
    };
    let mut text = row("run", COMPARED_MEASURES.map(str::to_owned)) + "|---|---:|---:|---:|---:|\n";
    for r in &answer.runs {
        text += &row(&r.run, COMPARED_MEASURES.map(|m| of(r, m)));
    }
    for group in &answer.seeds {
        let cell = |m: &str| group.measures.get(m).map_or("-".to_owned(), spread);
        text += &row(
            &format!("mean ± deviation [95 %], seeds {}", listed(&group.seeds)),
            COMPARED_MEASURES.map(cell),
        );
    }
    text
}
