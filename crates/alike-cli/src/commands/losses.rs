//! `alike losses`.

use crate::args::{Global, LossesArgs};
use crate::printer::{json, line};
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
                let facts = l.facts();
                json!({ "name": l.name(), "values": l.values(), "summary": l.summary(),
                        "distance": facts.distance.usual(), "proxies": facts.proxies,
                        "takes_miner": facts.tuples, "takes_memory": facts.memory })
            })
            .collect();
        return json(&list);
    }
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
