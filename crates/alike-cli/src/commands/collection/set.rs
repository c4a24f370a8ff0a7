//! `alike collection set`.

use super::WhichArgs;
use crate::args::Global;
use crate::printer::{json, line};
use alike_store::{Access, Change};
use anyhow::ensure;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection set photos cup.jpg --class mug       stays, whatever the folder is called
  alike collection set photos --where \"class = 'cup'\" --fact room=kitchen --fact shelf=3")]
pub(crate) struct SetArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Their class; an empty one takes it away
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,
    /// Their group, such as a camera, writer or session; an empty one takes it away
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// A fact; a number, true or false is one, all else is a text, and nothing takes it away
    #[arg(long, value_name = "NAME=VALUE", value_parser = fact)]
    pub(crate) fact: Vec<(String, Value)>,
}

/// What is printed with `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Changed {
    /// The collection.
    collection: PathBuf,
    /// Pictures that were changed.
    changed: usize,
}

fn fact(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    if name.is_empty() || name.contains(['"', '\\']) || name.contains(char::is_control) {
        return Err("a fact's name has letters, and no quotes".into());
    }
    let value = match value {
        "" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => {
            let whole = text.parse::<i64>().ok().map(Value::from);
            let number =
                || text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number);
            whole.or_else(number).unwrap_or_else(|| Value::from(text))
        }
    };
    Ok((name.to_owned(), value))
}

pub(super) fn run(args: &SetArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(
        args.class.is_some() || args.group.is_some() || !args.fact.is_empty(),
        "say what is to be set: --class, --group or --fact"
    );
    let change = |text: &Option<String>| match text.as_deref().map(str::trim) {
        None => Change::Keep,
        Some("") => Change::Clear,
        Some(text) => Change::To(text.to_owned()),
    };
    let mut collection = super::open(&args.collection, Access::Write)?;
    let ids = args.which.ids(&collection)?;
    let facts: Map<String, Value> = args.fact.iter().cloned().collect();
    let changed = collection.set(&ids, &change(&args.class), &change(&args.group), &facts)?;
    let path = collection.path().to_owned();
    if global.json {
        return json(&Changed { collection: path, changed });
    }
    line(format!("{}: {changed} pictures changed", path.display()))
}
