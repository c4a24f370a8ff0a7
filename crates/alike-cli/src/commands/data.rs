//! `alike data`.

use super::places;
use crate::args::{DataArgs, DataVerb, Global};
use crate::printer::{Downloads, line};
use alike::data::{DIGITS, NAMED, named};
use serde_json::json;

pub(crate) fn run(args: &DataArgs, global: &Global) -> anyhow::Result<()> {
    match &args.verb {
        DataVerb::List => list(global),
        DataVerb::Fetch { name } => fetch(name, global),
    }
}

fn list(global: &Global) -> anyhow::Result<()> {
    let places = places(global);
    let mut rows: Vec<(&str, &str, Option<String>)> = NAMED
        .iter()
        .map(|set| (set.name, set.about, set.find(&places).map(|folder| folder.display().to_string())))
        .collect();
    rows.push((DIGITS, "digits drawn by the program", Some("built in".to_owned())));
    if global.json {
        let sets: Vec<_> = rows
            .iter()
            .map(|(name, about, at)| json!({ "name": name, "about": about, "found": at }))
            .collect();
        return line(json!({ "sets": sets }).to_string());
    }
    for (name, about, at) in rows {
        let at = at.unwrap_or_else(|| format!("not here; get it with: alike data fetch {name}"));
        line(format!("{name:14} {about:52} {at}"))?;
    }
    Ok(())
}

fn fetch(name: &str, global: &Global) -> anyhow::Result<()> {
    let Some(set) = named(name) else {
        let known = NAMED.map(|set| set.name);
        anyhow::bail!(
            "there is no set '{name}' to fetch{} (sets: {})",
            alike::suggest::did_you_mean(name, known),
            known.join(", ")
        );
    };
    let data = set.load(&places(global), &mut Downloads::new(global))?;
    if global.json {
        return line(
            json!({ "name": name, "folder": data.origin, "train": data.train.len(), "test": data.test.len() })
                .to_string(),
        );
    }
    line(format!(
        "{}: {} training and {} test images in {}",
        name,
        data.train.len(),
        data.test.len(),
        data.origin
    ))
}
