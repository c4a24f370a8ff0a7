//! `alike compare`.

use super::eval::percent;
use super::{refuse_existing, write_table};
use crate::args::{CompareArgs, Global};
use crate::printer::line;
use crate::using::{open_run, subject};
use alike::eval::{Difference, Judge, Quality, difference};
use alike::images::Vectors;
use alike::tasks::Opened;
use anyhow::ensure;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

type Measure = (&'static str, fn(&Quality) -> f64);
const MEASURES: [Measure; 3] =
    [("1-NN", |q| q.recall_at[0]), ("R-Precision", |q| q.r_precision), ("MAP@R", |q| q.map_at_r)];

/// A run, judged query by query.
#[derive(Serialize)]
struct Judged {
    run: String,
    means: BTreeMap<&'static str, f64>,
    eer: Option<f64>,
    /// By measure, against the first run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    against_first: BTreeMap<&'static str, Difference>,
    #[serde(skip)]
    each: Vec<Option<Quality>>,
    #[serde(skip)]
    labels: Vec<u32>,
    #[serde(skip)]
    names: Vec<String>,
    #[serde(skip)]
    open_set: bool,
}

pub(crate) fn run(args: &CompareArgs, global: &Global) -> anyhow::Result<()> {
    args.subject.check()?;
    if let Some(path) = &args.csv {
        refuse_existing(&[path], args.force)?;
    }
    ensure!(args.runs.len() > 1, "one run has nothing to be compared with; name two or more");
    // All that can be wrong with a folder is found before time is spent.
    let opened = args
        .runs
        .iter()
        .map(|folder| Ok((folder.display().to_string(), open_run(folder)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut all: Vec<Judged> = Vec::new();
    for (name, run) in opened {
        let judged = judge(name, run, args, global)?;
        if let Some(first) = all.first() {
            ensure!(
                first.labels == judged.labels && first.names == judged.names,
                "{} and {} were not judged on the same images; compare runs of the same data and split, or name one with --data",
                first.run,
                judged.run
            );
        }
        all.push(judged);
    }
    for i in 1..all.len() {
        let against = compared(&all[0], &all[i], global.seed.unwrap_or(0));
        all[i].against_first = against;
    }
    if let Some(path) = &args.csv {
        write_table(path, table(&all)?.into_bytes(), global)?;
    }
    if global.json {
        return line(json!({ "runs": all }).to_string());
    }
    let wide = all.iter().map(|j| j.run.len()).max().unwrap_or(0).max(3);
    line(format!("{:wide$}  {:>9} {:>12} {:>9} {:>9}", "run", "1-NN", "R-Precision", "MAP@R", "EER"))?;
    for j in &all {
        let [a, b, c] = MEASURES.map(|m| percent(j.means[m.0]));
        let eer = j.eer.map_or("-".to_owned(), percent);
        line(format!("{:wide$}  {a:>9} {b:>12} {c:>9} {eer:>9}", j.run))?;
    }
    for j in &all[1..] {
        let groups = j.against_first.values().next().map_or(0, |d| d.groups);
        let unit = if j.open_set { "classes" } else { "queries" };
        line(format!(
            "\n{} against {}: [95 % interval], and how often exchanging the runs on each of {groups} {unit} makes as much",
            j.run, all[0].run
        ))?;
        for (name, d) in &j.against_first {
            let [low, high] = d.interval.map(|v| 100.0 * v);
            let verdict = match (d.is_real(), d.mean > 0.0) {
                (false, _) => "may be chance",
                (true, true) => "better",
                (true, false) => "worse",
            };
            line(format!(
                "{name:12} {:+.2} points [{low:+.2}, {high:+.2}]  p {:.4}  {verdict}",
                100.0 * d.mean,
                d.p_value
            ))?;
        }
    }
    Ok(())
}

/// A row a run and measure.
fn table(all: &[Judged]) -> anyhow::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["run", "measure", "mean", "difference", "low", "high", "p_value"])?;
    for j in all {
        let eer = j.eer.map(|eer| ("EER", eer));
        for (name, mean) in j.means.iter().map(|(n, m)| (*n, *m)).chain(eer) {
            let d = j.against_first.get(name);
            let numbers = d.map(|d| [d.mean, d.interval[0], d.interval[1], d.p_value].map(|v| v.to_string()));
            let texts = [j.run.clone(), name.to_owned(), mean.to_string()];
            csv.write_record(texts.into_iter().chain(numbers.unwrap_or_default()))?;
        }
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

fn judge(name: String, opened: Opened, args: &CompareArgs, global: &Global) -> anyhow::Result<Judged> {
    let subject = subject(opened, &args.subject, global)?;
    let data = subject.data.clone();
    let judge = Judge::new(&[1]).leaving_groups(args.leave_group);
    judge.check(&data)?;
    let (gallery, itself) = data.gallery();
    let queries = subject.embed(&data.test.images)?;
    let embedded = if itself { None } else { Some(subject.embed(&gallery.images)?) };
    let (q, g) = (Vectors::Features(&queries), Vectors::Features(embedded.as_ref().unwrap_or(&queries)));
    let each = judge.rankings(&data, g, q, &[1])?;
    let found: Vec<&Quality> = each.iter().flatten().collect();
    ensure!(!found.is_empty(), "no test image of {} has a match in the gallery", data.name);
    let means =
        MEASURES.map(|(name, of)| (name, found.iter().map(|q| of(q)).sum::<f64>() / found.len() as f64));
    Ok(Judged {
        run: name,
        means: means.into_iter().collect(),
        eer: judge.pairs(&data, q).map(|pairs| pairs.equal_error_rate().eer),
        against_first: BTreeMap::new(),
        each,
        open_set: data.is_open_set(),
        labels: data.test.labels.clone(),
        names: data.test.names.clone(),
    })
}

fn compared(first: &Judged, second: &Judged, seed: u64) -> BTreeMap<&'static str, Difference> {
    let rows: Vec<usize> =
        (0..first.each.len()).filter(|i| first.each[*i].is_some() && second.each[*i].is_some()).collect();
    // Classes that were never trained on are what another sample would have others of.
    let groups: Vec<u32> =
        rows.iter().map(|i| if first.open_set { first.labels[*i] } else { *i as u32 }).collect();
    MEASURES
        .into_iter()
        .map(|(name, of)| {
            let values = |j: &Judged| -> Vec<f64> {
                rows.iter().filter_map(|i| j.each[*i].as_ref().map(of)).collect()
            };
            (name, difference(&values(first), &values(second), &groups, seed))
        })
        .collect()
}
