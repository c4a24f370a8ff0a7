//! One verb a file.

pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod losses;
pub(crate) mod model;
pub(crate) mod report;
pub(crate) mod train;
pub(crate) mod tune;

use crate::args::Global;
use alike::data::Places;
use alike::train::{Run, RunError, Settings};
use std::path::Path;
use toml::{Table, Value};

/// Where data sets are looked for, as flags and environment say.
fn places(global: &Global) -> Places {
    Places {
        data_dir: global.data_dir.clone().or_else(|| std::env::var_os("ALIKE_DATA").map(Into::into)),
        cache: None,
        mirror: global.mirror.clone(),
        offline: global.offline,
    }
}

/// Refuses to write over what is there, unless told to.
fn refuse_existing(paths: &[&Path], force: bool) -> anyhow::Result<()> {
    match paths.iter().find(|path| !force && path.exists()) {
        Some(path) => {
            anyhow::bail!("{} exists already; name another, or give --force to replace it", path.display())
        }
        None => Ok(()),
    }
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
