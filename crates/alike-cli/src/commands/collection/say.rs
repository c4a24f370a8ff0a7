//! `alike collection say`.

use crate::args::Global;
use crate::printer::{json, line};
use alike_store::{Access, Pair, Said};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SaidArg {
    /// They show the same
    Same,
    /// They do not show the same
    Different,
    /// Neither is a copy of the other
    NoDuplicate,
    /// What was said of them is taken back
    Nothing,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection say people same a.jpg b.jpg          stays when pictures move or are embedded anew
  alike collection say people nothing a.jpg b.jpg       takes it back")]
pub(crate) struct SayArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    /// What is said
    #[arg(value_enum)]
    pub(crate) said: SaidArg,
    /// One picture: a path, or a number as in '#12'
    #[arg(value_name = "A")]
    pub(crate) a: String,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: String,
}

/// What is printed with `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SaidOfPictures {
    /// The collection.
    collection: PathBuf,
    /// All that was said of the first picture and another.
    pairs: Vec<Pair>,
}

pub(super) fn run(args: &SayArgs, global: &Global) -> anyhow::Result<()> {
    let mut collection = super::open(&args.collection, Access::Write)?;
    let (a, b) = (collection.find(&args.a)?.id, collection.find(&args.b)?.id);
    match args.said {
        SaidArg::Same => collection.say(a, b, Said::Same)?,
        SaidArg::Different => collection.say(a, b, Said::Different)?,
        SaidArg::NoDuplicate => collection.say(a, b, Said::NoDuplicate)?,
        SaidArg::Nothing => drop(collection.unsay(a, b)?),
    }
    let pairs = collection.pairs(Some(a))?;
    if global.json {
        return json(&SaidOfPictures { collection: collection.path().to_owned(), pairs });
    }
    for Pair { paths: [a, b], said, .. } in &pairs {
        let said = match said {
            Said::Same => "same",
            Said::Different => "different",
            Said::NoDuplicate => "no duplicates",
        };
        line(format!("{said}: {a}  {b}"))?;
    }
    Ok(())
}
