//! `alike losses`.

use crate::args::{Global, LossesArgs};
use crate::printer::line;
use alike::data::Augment;
use alike::distance::Distance;
use alike::loss::{Loss, Reducer, Regularizer};
use alike::mining::Miner;
use alike::text::{Choice, parse, show};
use alike::train::{OptimizerKind, Sampler, Schedule};
use serde_json::json;

pub(crate) fn run(args: &LossesArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(name) = &args.name {
        let loss: Loss = parse(name)?;
        return losses(&[loss], global);
    }
    losses(&Loss::all(), global)?;
    if args.all && !global.json {
        list::<Miner>("--miner", |m| m.summary().to_owned())?;
        list::<Reducer>("--reducer", |_| String::new())?;
        line("\n--distance")?;
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
    line(format!("\n{flag}"))?;
    for choice in C::all() {
        let text = format!("  {:30} {}  {}", choice.name(), values(&choice), summary(&choice));
        line(text.trim_end())?;
    }
    Ok(())
}

fn losses(all: &[Loss], global: &Global) -> anyhow::Result<()> {
    if global.json {
        let list: Vec<_> = all
            .iter()
            .map(|l| {
                json!({ "name": l.name(), "values": l.values(), "summary": l.summary(),
                        "distance": l.default_distance(), "class_vectors": l.centers(),
                        "takes_miner": l.takes_tuples(), "takes_memory": l.takes_memory() })
            })
            .collect();
        return line(serde_json::to_string(&list)?);
    }
    for loss in all {
        line(format!("{:30} {}", loss.name(), loss.summary()))?;
        let mut facts = vec![format!("over {}", loss.default_distance())];
        if loss.centers().is_some() {
            facts.push("learns class vectors".to_owned());
        }
        if loss.takes_memory() {
            facts.push("takes --memory".to_owned());
        }
        if !loss.takes_tuples() {
            facts.push("no --miner".to_owned());
        }
        let values = values(loss);
        let values = if values.is_empty() { String::new() } else { format!("{values}; ") };
        line(format!("{:30} {values}{}", "", facts.join("; ")))?;
    }
    Ok(())
}
