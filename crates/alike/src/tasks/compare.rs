//! Whether runs differ: query by query on the same images, and as groups of runs that differ in nothing but their seed.

use super::{Subject, TaskError};
use crate::eval::{Difference, Judge, Quality, Spread, difference};
use crate::images::Vectors;
use crate::train::Settings;
use serde::Serialize;
use std::collections::BTreeMap;

/// How runs are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompareOptions {
    /// Excludes gallery images of the query's own group.
    pub leave_group: bool,
    /// Seed of the permutation tests.
    pub seed: u64,
}

/// Runs, judged on the same images.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompareAnswer {
    /// In the order in which they were given.
    pub runs: Vec<ComparedRun>,
    /// Runs with the same settings but the seed, two or more.
    pub seeds: Vec<SeedGroup>,
}

/// A run, judged query by query.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparedRun {
    /// Its name, as it was given.
    pub run: String,
    /// Seed of its training; none of a model that was not trained here.
    pub seed: Option<u64>,
    /// Mean over queries, by measure: 1-NN, R-Precision, MAP@R. Each from 0 to 1.
    pub means: BTreeMap<&'static str, f64>,
    /// Equal error rate of all pairs of test images; none if there are no pairs of one class, or none of two.
    pub eer: Option<f64>,
    /// By measure: this run's values less the first run's. Empty for the first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub against_first: BTreeMap<&'static str, Difference>,
    #[serde(skip)]
    evidence: Evidence,
}

/// Runs that differ in nothing but their seed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SeedGroup {
    /// Their names.
    pub runs: Vec<String>,
    /// Their seeds.
    pub seeds: Vec<u64>,
    /// By measure: mean, standard deviation and interval over seeds.
    pub measures: BTreeMap<&'static str, Spread>,
}

/// What a run is compared by.
#[derive(Clone, Debug)]
struct Evidence {
    each: Vec<Option<Quality>>,
    labels: Vec<u32>,
    names: Vec<String>,
    open_set: bool,
    settings: Option<Settings>,
}

type Measure = (&'static str, fn(&Quality) -> f64);
const MEASURES: [Measure; 3] =
    [("1-NN", |q| q.recall_at[0]), ("R-Precision", |q| q.r_precision), ("MAP@R", |q| q.map_at_r)];
/// The name of [`ComparedRun::eer`] among the measures.
const EER: &str = "EER";

/// Names of the measures, in the order in which tables show them.
pub const COMPARED_MEASURES: [&str; 4] = [MEASURES[0].0, MEASURES[1].0, MEASURES[2].0, EER];

impl ComparedRun {
    /// A measure by its name; the equal error rate too.
    pub fn measure(&self, name: &str) -> Option<f64> {
        if name == EER { self.eer } else { self.means.get(name).copied() }
    }

    /// Whether whole classes were exchanged by the permutation tests, since the run was judged on classes that it never saw.
    pub fn by_classes(&self) -> bool {
        self.evidence.open_set
    }
}

/// Compares runs, one after the other, with the first. Each comes with its name, and is opened when its turn comes.
///
/// # Errors
///
/// If a run cannot be judged, or was judged on other images than the first.
pub fn compare<E: From<TaskError>>(
    runs: impl IntoIterator<Item = Result<(String, Subject), E>>,
    options: &CompareOptions,
) -> Result<CompareAnswer, E> {
    let mut all: Vec<ComparedRun> = Vec::new();
    for run in runs {
        let (name, subject) = run?;
        let mut judged = judge(name, &subject, options)?;
        if let Some(first) = all.first() {
            let (one, other) = (&first.evidence, &judged.evidence);
            if one.labels != other.labels || one.names != other.names {
                return Err(TaskError::OtherImages { first: first.run.clone(), other: judged.run }.into());
            }
            judged.against_first = against(one, other, options.seed);
        }
        all.push(judged);
    }
    let seeds = by_seeds(&all);
    Ok(CompareAnswer { runs: all, seeds })
}

fn judge(run: String, subject: &Subject, options: &CompareOptions) -> Result<ComparedRun, TaskError> {
    let data = &subject.data;
    let judge = Judge::new(&[1]).leaving_groups(options.leave_group);
    judge.check(data)?;
    let (gallery, itself) = data.gallery();
    let queries = subject.embed(&data.test.images)?;
    let embedded = if itself { None } else { Some(subject.embed(&gallery.images)?) };
    let (q, g) = (Vectors::Features(&queries), Vectors::Features(embedded.as_ref().unwrap_or(&queries)));
    let each = judge.rankings(data, g, q, &[1])?;
    let found: Vec<&Quality> = each.iter().flatten().collect();
    if found.is_empty() {
        return Err(TaskError::NoMatches(data.name.clone()));
    }
    let mean = |of: fn(&Quality) -> f64| found.iter().map(|q| of(q)).sum::<f64>() / found.len() as f64;
    Ok(ComparedRun {
        run,
        seed: subject.settings.as_ref().map(|s| s.seed),
        means: MEASURES.into_iter().map(|(name, of)| (name, mean(of))).collect(),
        eer: judge.pairs(data, q).map(|pairs| pairs.equal_error_rate().eer),
        against_first: BTreeMap::new(),
        evidence: Evidence {
            each,
            labels: data.test.labels.clone(),
            names: data.test.names.clone(),
            open_set: data.is_open_set(),
            settings: subject.settings.clone(),
        },
    })
}

fn against(first: &Evidence, second: &Evidence, seed: u64) -> BTreeMap<&'static str, Difference> {
    let rows: Vec<usize> =
        (0..first.each.len()).filter(|i| first.each[*i].is_some() && second.each[*i].is_some()).collect();
    // Another sample of classes that were never trained on would have other classes.
    let groups: Vec<u32> =
        rows.iter().map(|i| if first.open_set { first.labels[*i] } else { *i as u32 }).collect();
    let of_measure = |(name, of): Measure| {
        let values =
            |e: &Evidence| -> Vec<f64> { rows.iter().filter_map(|i| e.each[*i].as_ref().map(of)).collect() };
        (name, difference(&values(first), &values(second), &groups, seed))
    };
    MEASURES.into_iter().map(of_measure).collect()
}

/// Runs of equal settings, whatever their seeds and wherever their data were found, in the order of their first.
fn by_seeds(all: &[ComparedRun]) -> Vec<SeedGroup> {
    let but_seed = |run: &ComparedRun| -> Option<Settings> {
        Some(Settings { seed: 0, found_at: None, ..run.evidence.settings.clone()? })
    };
    let mut groups: Vec<(Settings, Vec<&ComparedRun>)> = Vec::new();
    for run in all {
        let Some(settings) = but_seed(run) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == settings) {
            // A run that was named twice says nothing of how much seeds matter.
            Some((_, runs)) if runs.iter().any(|r| r.seed == run.seed) => {}
            Some((_, runs)) => runs.push(run),
            None => groups.push((settings, vec![run])),
        }
    }
    groups.retain(|(_, runs)| runs.len() > 1);
    let group = |(_, runs): (Settings, Vec<&ComparedRun>)| {
        let spread = |name: &'static str| {
            let values: Option<Vec<f64>> = runs.iter().map(|r| r.measure(name)).collect();
            Some((name, Spread::of(&values?)))
        };
        SeedGroup {
            runs: runs.iter().map(|r| r.run.clone()).collect(),
            seeds: runs.iter().filter_map(|r| r.seed).collect(),
            measures: COMPARED_MEASURES.into_iter().filter_map(spread).collect(),
        }
    };
    groups.into_iter().map(group).collect()
}
