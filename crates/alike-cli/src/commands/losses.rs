//! `alike losses`.

use crate::args::Global;
use crate::printer::{heading, json, line};
use alike::data::Augment;
use alike::distance::Distance;
use alike::loss::{Loss, Reducer, Regularizer};
use alike::mining::Miner;
use alike::text::{Choice, parse, show};
use alike::train::{OptimizerKind, Sampler, Schedule};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike losses                                    all losses
  alike losses multi-similarity                   one, with its parameters and their ranges
  alike losses --all                              miners, reducers, distances, samplers... too")]
pub(crate) struct LossesArgs {
    /// Show only this loss
    pub(crate) name: Option<String>,
    /// List miners, reducers, distances, samplers, optimisers, schedules, augmentations and regularisers too
    #[arg(long)]
    pub(crate) all: bool,
}

/// What `alike losses --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Listed {
    /// The losses.
    losses: Vec<ListedLoss>,
    /// With `--all`, by flag: its other choices.
    #[serde(flatten)]
    others: Option<Others>,
}

/// A loss.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ListedLoss {
    /// Its name.
    name: String,
    /// Its parameters with their defaults.
    values: Map<String, Value>,
    /// What it does.
    summary: String,
    /// Its default distance.
    distance: Distance,
    /// Learned proxies per class; nothing if it learns none.
    proxies: Option<usize>,
    /// Whether it takes `--miner`.
    takes_miner: bool,
    /// Whether it takes `--memory`.
    takes_memory: bool,
}

/// Choices of other flags.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Others {
    /// Which tuples count.
    miners: Vec<ListedChoice>,
    /// How a loss's elements become one number.
    reducers: Vec<ListedChoice>,
    /// Names of distances.
    distances: Vec<String>,
    /// Terms beside the loss.
    regularizers: Vec<ListedChoice>,
    /// How batches are drawn.
    samplers: Vec<ListedChoice>,
    /// How gradients become steps.
    optimizers: Vec<ListedChoice>,
    /// How the learning rate changes.
    schedules: Vec<ListedChoice>,
    /// How training images are changed.
    augmentations: Vec<ListedChoice>,
}

/// A choice of a flag.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ListedChoice {
    /// Its name.
    name: String,
    /// Its parameters with their defaults.
    values: Map<String, Value>,
}

impl ListedLoss {
    fn of(loss: &Loss) -> ListedLoss {
        let facts = loss.facts();
        ListedLoss {
            name: loss.name(),
            values: loss.values(),
            summary: loss.summary().to_owned(),
            distance: facts.distance.usual(),
            proxies: facts.proxies,
            takes_miner: facts.tuples,
            takes_memory: facts.memory,
        }
    }
}

impl Others {
    fn all() -> Others {
        fn list<C: Choice>() -> Vec<ListedChoice> {
            C::all().iter().map(|c| ListedChoice { name: c.name(), values: c.values() }).collect()
        }
        let distances = Distance::NAMED.map(|(name, _)| name).into_iter().chain(["lp:P"]);
        Others {
            miners: list::<Miner>(),
            reducers: list::<Reducer>(),
            distances: distances.map(str::to_owned).collect(),
            regularizers: list::<Regularizer>(),
            samplers: list::<Sampler>(),
            optimizers: list::<OptimizerKind>(),
            schedules: list::<Schedule>(),
            augmentations: list::<Augment>(),
        }
    }
}

pub(crate) fn run(args: &LossesArgs, global: &Global) -> anyhow::Result<()> {
    let chosen = match &args.name {
        Some(name) => vec![parse::<Loss>(name)?],
        None => Loss::all(),
    };
    let all = args.all && args.name.is_none();
    if global.json {
        let losses = chosen.iter().map(ListedLoss::of).collect();
        return json(&Listed { losses, others: all.then(Others::all) });
    }
    losses(&chosen)?;
    if all {
        list::<Miner>("--miner", |m| m.summary().to_owned())?;
        list::<Reducer>("--reducer", |_| String::new())?;
        heading("--distance")?;
        line(format!("  {}, lp:P", Distance::NAMED.map(|(name, _)| name).join(", ")))?;
        list::<Regularizer>("--regularizer \"WEIGHT * NAME\"", |_| String::new())?;
        list::<Sampler>("--sampler", |_| String::new())?;
        list::<OptimizerKind>("--optimizer", |_| String::new())?;
        list::<Schedule>("--schedule", |_| String::new())?;
        list::<Augment>("--augment", |_| String::new())?;
    }
    Ok(())
}

fn values<C: Choice>(choice: &C) -> String {
    choice.values().iter().map(|(key, value)| format!("{key}={}", show(value))).collect::<Vec<_>>().join(",")
}

fn list<C: Choice>(flag: &str, summary: impl Fn(&C) -> String) -> anyhow::Result<()> {
    heading(flag)?;
    for choice in C::all() {
        let text = format!("  {:30} {}  {}", choice.name(), values(&choice), summary(&choice));
        line(text.trim_end())?;
    }
    Ok(())
}

fn losses(all: &[Loss]) -> anyhow::Result<()> {
    for loss in all {
        line(format!("{:30} {}", loss.name(), loss.summary()))?;
        let facts = loss.facts();
        let mut told = vec![format!("over {}", facts.distance.usual())];
        if facts.proxies.is_some() {
            told.push("learns proxies".to_owned());
        }
        if facts.memory {
            told.push("takes --memory".to_owned());
        }
        if !facts.tuples {
            told.push("no --miner".to_owned());
        }
        let values = values(loss);
        let values = if values.is_empty() { String::new() } else { format!("{values}; ") };
        line(format!("{:30} {values}{}", "", told.join("; ")))?;
    }
    Ok(())
}
