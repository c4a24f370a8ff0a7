//! The TOML file: everything that flags can say.
//!
//! Tables are verbs and keys are flags, so there is one list of names, that of the command line; `[eval.few-shot]` is a verb within a
//! verb. A file becomes arguments that stand after the user's own, for every flag that the user did not give.

use crate::args::Cli;
use crate::renamed;
use alike::files;
use alike::suggest::did_you_mean;
use alike::text::toml_fault;
use anyhow::{anyhow, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The key by which a run says where its data were.
const FOUND_AT: &str = "found-at";

/// The arguments with those of the `--config` file, if one is given, put in.
pub(crate) fn arguments(argv: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    // A first, forgiving look: which file, which verb, which flags were typed.
    let Ok(matches) = Cli::command().ignore_errors(true).try_get_matches_from(&argv) else { return Ok(argv) };
    let typed = Typed::new(&matches);
    let Some(path) = typed.config() else { return Ok(argv) };
    let text = files::read_text(&path)?;
    let table: Table =
        text.parse().map_err(|e| anyhow!("{} is not TOML: {}", path.display(), toml_fault(&text, &e)))?;
    let mut command = Cli::command();
    command.build();
    let mut extra = Vec::new();
    collect(&command, &table, &typed.verbs, &typed, &path, &mut extra)?;
    // At the end, or before what `--` says are no flags: wherever the verb stands, these come after it.
    let at = argv.iter().position(|a| a == "--").unwrap_or(argv.len());
    let mut all = argv;
    all.splice(at..at, extra);
    Ok(all)
}

/// What the user typed: verbs, from the outermost, and their matches, with those of the program itself first.
struct Typed<'a> {
    verbs: Vec<&'a str>,
    levels: Vec<&'a ArgMatches>,
}

impl<'a> Typed<'a> {
    fn new(matches: &'a ArgMatches) -> Typed<'a> {
        let (mut verbs, mut levels) = (Vec::new(), vec![matches]);
        while let Some((verb, inner)) = levels[levels.len() - 1].subcommand() {
            verbs.push(verb);
            levels.push(inner);
        }
        Typed { verbs, levels }
    }

    fn config(&self) -> Option<PathBuf> {
        self.levels.iter().rev().find_map(|m| m.try_get_one::<PathBuf>("config").ok().flatten()).cloned()
    }

    fn has(&self, id: &str) -> bool {
        let by_user = |m: &&ArgMatches| m.value_source(id) == Some(ValueSource::CommandLine);
        self.levels.iter().filter(|m| m.try_contains_id(id).unwrap_or(false)).any(by_user)
    }
}

/// The arguments that a table says: its keys where no further verb was typed, and the table of the verb that was. Keys of the program
/// itself are for every verb. Tables of other verbs say nothing here, but a verb that there is not is refused.
fn collect(
    command: &Command,
    table: &Table,
    verbs: &[&str],
    typed: &Typed<'_>,
    path: &Path,
    into: &mut Vec<OsString>,
) -> anyhow::Result<()> {
    let is_program = command.get_name() == Cli::command().get_name();
    for (key, value) in table {
        match (value, verbs) {
            (Value::Table(inner), _) => {
                let Some(sub) = command.find_subcommand(key) else {
                    let known = command.get_subcommands().map(Command::get_name);
                    bail!("{}: there is no verb [{key}]{}", path.display(), did_you_mean(key, known));
                };
                if let Some((first, rest)) = verbs.split_first()
                    && sub.get_name() == *first
                {
                    collect(sub, inner, rest, typed, path, into)?;
                }
            }
            (_, []) => into.extend(flag(command, key, value, path, typed)?),
            _ if is_program => into.extend(flag(command, key, value, path, typed)?),
            // Of a protocol's or another inner verb's parent.
            _ => {}
        }
    }
    Ok(())
}

/// One key as arguments; none if it is `false`, or if the user typed the flag.
fn flag(
    command: &Command,
    key: &str,
    value: &Value,
    path: &Path,
    typed: &Typed<'_>,
) -> anyhow::Result<Vec<OsString>> {
    let key = renamed::key(command.get_name(), key);
    let Some(arg) = command.get_arguments().find(|a| a.get_long() == Some(key)) else {
        let known = command.get_arguments().filter_map(clap::Arg::get_long);
        bail!("{}: there is no key '{key}'{}", path.display(), did_you_mean(key, known));
    };
    let may_stand_alone = arg.get_num_args().is_some_and(|n| n.min_values() == 0);
    // Where other data were found says nothing of those that the user names.
    let is_typed = typed.has(arg.get_id().as_str()) || (key == FOUND_AT && typed.has("data"));
    let texts = match value {
        Value::Boolean(on) if may_stand_alone => {
            return Ok(if *on && !is_typed { vec![format!("--{key}").into()] } else { Vec::new() });
        }
        Value::Array(values) => values.iter().map(text).collect::<Option<Vec<_>>>(),
        one => text(one).map(|t| vec![t]),
    };
    let Some(texts) = texts else { bail!("{}: '{key}' takes a number, a text or a list", path.display()) };
    if is_typed {
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
