//! `alike data`.

use super::{places, refuse_existing, remark, report};
use crate::args::{DataCommand, DataVerb, Global};
use crate::printer::{Bars, line};
use alike::data::{
    Augment, DIGITS, KNOWN_FOLDERS, NAMED, Request, cached, image_cache, inspect, load, named,
};
use alike::files;
use alike::report::contact_sheet;
use anyhow::Context;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(args: &DataCommand, global: &Global) -> anyhow::Result<()> {
    match &args.verb {
        DataVerb::List => list(global),
        DataVerb::Fetch { name } => fetch(name, global),
        DataVerb::Show { data, source, out, augment, force } => {
            let request = source.request(data);
            show(&request, out.as_deref(), augment.as_ref(), *force, global)
        }
        DataVerb::Stats { data, source } => stats(&source.request(data), source.on_error.is_some(), global),
        DataVerb::Cache { clear } => cache(*clear, global),
    }
}

/// Prepared images that are kept.
fn cache(clear: bool, global: &Global) -> anyhow::Result<()> {
    let places = places(global);
    let files = cached(&places);
    let total: u64 = files.iter().map(|f| f.1).sum();
    if clear {
        for (path, ..) in &files {
            std::fs::remove_file(path).with_context(|| format!("cannot delete {}", path.display()))?;
        }
    }
    let folder = image_cache(&places);
    if global.json {
        return line(
            json!({ "folder": folder, "files": files.len(), "bytes": total, "cleared": clear }).to_string(),
        );
    }
    let done = if clear { "deleted: " } else { "" };
    line(format!(
        "{done}{} sets of prepared images, {} MB, in {}",
        files.len(),
        total >> 20,
        folder.display()
    ))
}

fn stats(request: &Request, ignore: bool, global: &Global) -> anyhow::Result<()> {
    anyhow::ensure!(!ignore, "--on-error: stats always looks at all images and lists what cannot be read");
    let s = inspect(request, &places(global), &mut Bars::new(global))?;
    if global.json {
        return line(serde_json::to_string(&s)?);
    }
    line(format!("{}: {} images, {} other files", s.name, s.images, s.ignored))?;
    if s.found != s.images {
        line(format!("  {} pictures found: {} images of the set", s.found, s.images))?;
        s.left_out.iter().try_for_each(|l| line(format!("  {}", l.sentence())))?;
    }
    for text in &s.notes {
        line(format!("  {text}"))?;
    }
    if let Some(preparation) = &s.preparation {
        line(format!("  --prepare {preparation}"))?;
    }
    for (what, counts) in
        [("formats", &s.formats), ("sizes, height x width", &s.sizes), ("channels", &s.channels)]
    {
        line(format!("\n{what}"))?;
        table(counts.iter().map(|(k, n)| (k.as_str(), *n)).collect())?;
    }
    if !s.parts.is_empty() {
        line("\nparts")?;
        table(s.parts.iter().map(|(k, n)| (*k, *n)).collect())?;
    }
    line(format!("\nclasses: {}", s.classes.len()))?;
    table(s.classes.iter().map(|(k, n)| (k.as_str(), *n)).collect())?;
    let list = |what: &str, names: Vec<String>| -> anyhow::Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        line(format!("\n{what}: {}", names.len()))?;
        names.iter().take(LISTED).try_for_each(|name| line(format!("  {name}")))?;
        if names.len() > LISTED { line("  ... (all with --json)") } else { Ok(()) }
    };
    list("cannot be read", s.unreadable.iter().map(|f| format!("{}: {}", f.name, f.why)).collect())?;
    list("identical, pixel for pixel", s.identical.iter().map(|g| g.join(" = ")).collect())?;
    list("near duplicates", s.near.iter().map(|p| p.join(" ~ ")).collect())?;
    list("classes of fewer than 5 images", s.few.clone())?;
    if s.across_classes > 0 {
        line(format!("\n{} pairs of identical or near images are of different classes", s.across_classes))?;
    }
    if s.across_parts > 0 {
        line(format!(
            "\n{} pairs of identical or near images are in training and test both",
            s.across_parts
        ))?;
    }
    Ok(())
}

/// Lines of a list that a person sees.
const LISTED: usize = 20;

/// The largest counts.
fn table(mut counts: Vec<(&str, usize)>) -> anyhow::Result<()> {
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts.iter().take(LISTED).try_for_each(|(name, n)| line(format!("  {name:30} {n:>8}")))?;
    match counts.get(LISTED..) {
        Some(rest) if !rest.is_empty() => {
            let n: usize = rest.iter().map(|c| c.1).sum();
            line(format!("  {:30} {n:>8}", format!("{} others", rest.len())))
        }
        _ => Ok(()),
    }
}

fn list(global: &Global) -> anyhow::Result<()> {
    let places = places(global);
    let mut rows: Vec<(&str, &str, Option<String>)> = NAMED
        .iter()
        .map(|set| (set.name, set.about, set.find(&places).map(|folder| folder.display().to_string())))
        .collect();
    rows.extend(
        KNOWN_FOLDERS
            .map(|(name, about)| (name, about, places.folder(name).map(|f| f.display().to_string()))),
    );
    rows.push((DIGITS, "built-in synthetic digits", Some("built in".to_owned())));
    if global.json {
        let sets: Vec<_> = rows
            .iter()
            .map(|(name, about, at)| json!({ "name": name, "about": about, "found": at }))
            .collect();
        return line(json!({ "sets": sets }).to_string());
    }
    for (name, about, at) in rows {
        let at = at.unwrap_or_else(|| match named(name) {
            Some(_) => format!("not here; get it with: alike data fetch {name}"),
            None => format!("not here; put it into a folder called {name} in --data-dir"),
        });
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
    let data = set.load(&places(global), &mut Bars::new(global))?;
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
    request: &Request,
    out: Option<&Path>,
    augment: Option<&Augment>,
    force: bool,
    global: &Global,
) -> anyhow::Result<()> {
    if let Some(out) = out {
        refuse_existing(&[out], force)?;
    }
    let mut data = load(request, &places(global), &mut Bars::new(global))?;
    remark(&data, global);
    if let Some(augment) = augment {
        if let Some(why) = augment.refusal() {
            anyhow::bail!(why);
        }
        data.train.images = augment.changed(&data.train.images, global.seed.unwrap_or(0))?;
    }
    if let Some(out) = out {
        files::write(out, &report::draw(&contact_sheet(&data)?, out)?)?;
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
