//! One verb a file.

pub(crate) mod anomaly;
pub(crate) mod classify;
pub(crate) mod cluster;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod embed;
pub(crate) mod enroll;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod health;
pub(crate) mod losses;
pub(crate) mod map;
pub(crate) mod model;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod train;
pub(crate) mod tune;
pub(crate) mod verify;

use crate::args::Global;
use crate::printer::{Bars, note};
use alike::data::{DataError, Dataset, Keep, Places, load};
use alike::train::{Run, RunError, Settings};
use alike::{files, own};
use std::path::Path;
use toml::{Table, Value};

/// Where data sets are looked for, as flags and environment say.
pub(crate) fn places(global: &Global) -> Places {
    Places {
        data_dir: global.data_dir.clone().or_else(|| std::env::var_os("ALIKE_DATA").map(Into::into)),
        cache: global.cache_dir.clone(),
        mirror: global.mirror.clone(),
        offline: global.offline,
        keep: if global.no_cache {
            Keep::Memory
        } else {
            Keep::Disk { limit: global.cache_limit.saturating_mul(1 << 30) }
        },
    }
}

/// The data that a run was made from, refused if they have changed since.
pub(crate) fn data_of(run: &Run, settings: &Settings, global: &Global) -> anyhow::Result<Dataset> {
    let data = load(&settings.request()?, &places(global), &mut Bars::new(global)).map_err(|e| match e {
        DataError::Moved { .. } => anyhow::anyhow!(
            "{e}; put it back, or write where it is now as data into {}, or use other images with --data where a verb has it",
            run.folder().join("config.toml").display()
        ),
        e => e.into(),
    })?;
    run.check_split(&data)?;
    Ok(data)
}

/// What a user should know of a data set, and of pictures that were left out.
pub(crate) fn remark(data: &Dataset, global: &Global) {
    for text in &data.notes {
        note(global, format!("data: {text}"));
    }
    for failure in data.skipped.iter().take(SHOWN_FAILURES) {
        note(global, format!("  left out: {}: {}", failure.name, failure.why));
    }
    if data.skipped.len() > SHOWN_FAILURES {
        note(global, format!("  and {} more", data.skipped.len() - SHOWN_FAILURES));
    }
}

/// Failures that are told one by one.
const SHOWN_FAILURES: usize = 20;

/// Refuses to write over what is there, unless told to.
fn refuse_existing(paths: &[&Path], force: bool) -> anyhow::Result<()> {
    match paths.iter().find(|path| !force && path.exists()) {
        Some(path) => {
            anyhow::bail!("{} exists already; name another, or give --force to replace it", path.display())
        }
        None => Ok(()),
    }
}

/// A table of results as the user wants it: for a spreadsheet, if that was asked for. Tables that Alike reads again never are.
fn as_wanted(csv: Vec<u8>, global: &Global) -> std::io::Result<Vec<u8>> {
    if global.spreadsheet { own::for_spreadsheets(&csv) } else { Ok(csv) }
}

/// Writes a table of results.
pub(crate) fn write_table(path: &Path, csv: Vec<u8>, global: &Global) -> anyhow::Result<()> {
    Ok(files::write(path, &as_wanted(csv, global)?)?)
}

/// A run's settings: the `[train]` table of its `config.toml`, or what stands there without a table.
pub(crate) fn settings(run: &Run) -> Result<Settings, RunError> {
    run.settings(|text| {
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
        let train = table.remove("train").ok_or("it has no [train] table")?;
        train.try_into().map_err(|e: toml::de::Error| e.message().to_owned())
    })
}

/// Settings as a run's `config.toml`.
fn settings_text(settings: &Settings) -> anyhow::Result<String> {
    let table = Table::from_iter([("train".to_owned(), Value::try_from(settings)?)]);
    let comment = "# The resolved settings of this run; `alike train --config` reads them too.\n";
    Ok(format!("{comment}{}", toml::to_string(&table)?))
}
