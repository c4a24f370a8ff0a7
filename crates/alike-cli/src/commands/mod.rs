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
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod train;
pub(crate) mod tune;
pub(crate) mod verify;

use crate::args::Global;
use crate::printer::note;
use alike::data::{DataPaths, Dataset, Keep};
use alike::{files, own};
use std::path::Path;

/// Where data sets are looked for, as flags and environment say.
pub(crate) fn data_paths(global: &Global) -> DataPaths {
    DataPaths {
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
