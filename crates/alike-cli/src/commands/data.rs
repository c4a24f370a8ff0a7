//! `alike data`.

use super::{places, refuse_existing, report};
use crate::args::{DataArgs, DataVerb, Global};
use crate::printer::{Downloads, line};
use alike::data::{Augment, DIGITS, NAMED, load, named};
use alike::files;
use alike::report::contact_sheet;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(args: &DataArgs, global: &Global) -> anyhow::Result<()> {
    match &args.verb {
        DataVerb::List => list(global),
        DataVerb::Fetch { name } => fetch(name, global),
        DataVerb::Show { data, out, augment, force } => {
            show(data, out.as_deref(), augment.as_ref(), *force, global)
        }
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

fn show(
    what: &str,
    out: Option<&Path>,
    augment: Option<&Augment>,
    force: bool,
    global: &Global,
) -> anyhow::Result<()> {
    if let Some(out) = out {
        refuse_existing(&[out], force)?;
    }
    let mut data = load(what, &places(global), &mut Downloads::new(global))?;
    if let Some(augment) = augment {
        if let Some(why) = augment.refusal() {
            anyhow::bail!(why);
        }
        data.train.images = augment.changed(&data.train.images, global.seed.unwrap_or(0));
    }
    if let Some(out) = out {
        files::write(out, &report::draw(&contact_sheet(&data), out)?)?;
    }
    let count = |labels: &[u32], class: usize| labels.iter().filter(|l| **l as usize == class).count();
    let rows = data
        .classes
        .iter()
        .enumerate()
        .map(|(i, name)| (name, count(&data.train.labels, i), count(&data.test.labels, i)));
    if global.json {
        let classes: Vec<_> =
            rows.map(|(name, train, test)| json!({ "class": name, "train": train, "test": test })).collect();
        let (train, test, shape) = (data.train.len(), data.test.len(), data.shape().to_string());
        return line(
            json!({ "name": data.name, "shape": shape, "train": train, "test": test, "classes": classes, "sheet": out })
                .to_string(),
        );
    }
    line(format!("{}: images of {}, {}", data.name, data.shape(), data.origin))?;
    line(format!("{:20} {:>8} {:>8}", "class", "train", "test"))?;
    for (name, train, test) in rows {
        line(format!("{name:20} {train:>8} {test:>8}"))?;
    }
    line(format!("{:20} {:>8} {:>8}", "total", data.train.len(), data.test.len()))?;
    out.map_or(Ok(()), |out| line(out.display().to_string()))
}
