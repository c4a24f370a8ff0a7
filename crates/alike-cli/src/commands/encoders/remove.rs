//! `alike encoders remove`.

use crate::args::Global;
use crate::printer::{json, line};
use alike_onnx::EncoderStore;
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike encoders remove lite0")]
pub(crate) struct RemoveArgs {
    /// The encoder's name
    #[arg(value_name = "NAME")]
    name: String,
}

/// What `alike encoders remove --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RemovedEncoder<'a> {
    /// The encoder that was deleted.
    removed: &'a str,
}

pub(super) fn run(args: &RemoveArgs, global: &Global) -> anyhow::Result<()> {
    EncoderStore::of_user()?.remove(&args.name)?;
    if global.json {
        return json(&RemovedEncoder { removed: &args.name });
    }
    line(format!("{} is deleted", args.name))
}
