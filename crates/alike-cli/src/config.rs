//! The TOML file: everything that flags can say.
//!
//! Tables are verbs and keys are flags, so there is one list of names, that of the command line. A file becomes
//! arguments that stand after the user's own, for every flag that the user did not give.

use crate::args::Cli;
use alike::files;
use alike::suggest::did_you_mean;
use anyhow::{Context, bail};
use clap::parser::ValueSource;
use clap::{ArgAction, Command, CommandFactory};
use std::ffi::OsString;
use std::path::PathBuf;
use toml::{Table, Value};

/// The key by which a run says where its data were.
const FOUND_AT: &str = "found-at";

/// The arguments with those of the `--config` file, if one is given, put in.
pub(crate) fn arguments(argv: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    // A first, forgiving look: which file, which verb, which flags were typed.
    let Ok(matches) = Cli::command().ignore_errors(true).try_get_matches_from(&argv) else { return Ok(argv) };
    let Some((verb, typed)) = matches.subcommand() else { return Ok(argv) };
    let Some(path) = typed.try_get_one::<PathBuf>("config").ok().flatten().or(matches.get_one("config"))
    else {
        return Ok(argv);
    };
    let text = files::read_text(path)?;
    let table: Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    let mut command = Cli::command();
    command.build();
    let mut extra = Vec::new();
    for (key, value) in &table {
        let Value::Table(keys) = value else {
            extra.extend(flag(&command, key, value, path, |id| was_typed(&matches, typed, id))?);
            continue;
        };
        let Some(sub) = command.find_subcommand(key) else {
            let verbs = command.get_subcommands().map(Command::get_name);
            bail!("{}: there is no verb [{key}]{}", path.display(), did_you_mean(key, verbs));
        };
        for (key, value) in keys {
            // Tables of other verbs are checked too, but say nothing here.
            let arguments = flag(sub, key, value, path, |id| was_typed(&matches, typed, id))?;
            if sub.get_name() == verb {
                extra.extend(arguments);
            }
        }
    }
    // At the end, or before what `--` says are no flags: wherever the verb stands, these come after it.
    let at = argv.iter().position(|a| a == "--").unwrap_or(argv.len());
    let mut all = argv;
    all.splice(at..at, extra);
    Ok(all)
}

fn was_typed(top: &clap::ArgMatches, sub: &clap::ArgMatches, id: &str) -> bool {
    [top, sub].iter().any(|m| {
        m.try_contains_id(id).unwrap_or(false) && m.value_source(id) == Some(ValueSource::CommandLine)
    })
}

/// One key as arguments; none if it is `false`, or if the user typed the flag.
fn flag(
    command: &Command,
    key: &str,
    value: &Value,
    path: &std::path::Path,
    typed: impl Fn(&str) -> bool,
) -> anyhow::Result<Vec<OsString>> {
    let Some(arg) = command.get_arguments().find(|a| a.get_long() == Some(key)) else {
        let known = command.get_arguments().filter_map(clap::Arg::get_long);
        bail!("{}: there is no key '{key}'{}", path.display(), did_you_mean(key, known));
    };
    let texts = match value {
        Value::Boolean(on) if matches!(arg.get_action(), ArgAction::SetTrue) => {
            return Ok(if *on && !typed(arg.get_id().as_str()) {
                vec![format!("--{key}").into()]
            } else {
                Vec::new()
            });
        }
        Value::Array(values) => values.iter().map(text).collect::<Option<Vec<_>>>(),
        one => text(one).map(|t| vec![t]),
    };
    let Some(texts) = texts else { bail!("{}: '{key}' takes a number, a text or a list", path.display()) };
    // Where other data were found says nothing of those that the user names.
    if typed(arg.get_id().as_str()) || (key == FOUND_AT && typed("data")) {
        return Ok(Vec::new());
    }
    Ok(texts.into_iter().map(|t| format!("--{key}={t}").into()).collect())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Integer(n) => Some(n.to_string()),
        Value::Float(x) => Some(x.to_string()),
        _ => None,
    }
}
