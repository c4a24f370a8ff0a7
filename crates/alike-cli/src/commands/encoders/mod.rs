//! `alike encoders`: encoders that others trained, a verb a file.

pub(crate) mod add;
mod ask;
pub(crate) mod check;
pub(crate) mod fetch;
pub(crate) mod list;
pub(crate) mod remove;
pub(crate) mod show;

use crate::args::Global;
use crate::encoders::find;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct EncodersCommand {
    #[command(subcommand)]
    pub(crate) verb: EncodersVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EncodersVerb {
    /// List the encoders that have names
    List(list::ListArgs),
    /// Make an encoder of an ONNX file: write down how its pictures are prepared, and run it once
    Add(Box<add::AddArgs>),
    /// Download an encoder from the Hugging Face Hub, by its name or by the address of a file, and add it
    Fetch(Box<fetch::FetchArgs>),
    /// Show what an ONNX file says of itself, and what its manifest says
    Show(show::ShowArgs),
    /// Run an encoder, and compare it with reference outputs
    Check(check::CheckArgs),
    /// Delete an encoder that has a name
    Remove(remove::RemoveArgs),
    /// Run a model that another process of alike asks for on standard input
    #[command(
        hide = true,
        after_help = "Examples:
  alike encoders test-run < request.json             what alike encoders add and check do in a process of its own"
    )]
    TestRun,
}

pub(crate) fn run(args: &EncodersCommand, global: &Global) -> anyhow::Result<()> {
    match &args.verb {
        EncodersVerb::List(list) => list::run(list, global),
        EncodersVerb::Add(add) => add::run(add, global),
        EncodersVerb::Fetch(fetch) => fetch::run(fetch, global),
        EncodersVerb::Show(show) => show::run(show, global),
        EncodersVerb::Check(check) => check::run(check, global),
        EncodersVerb::Remove(remove) => remove::run(remove, global),
        EncodersVerb::TestRun => Ok(alike_onnx::serve()?),
    }
}

/// The ONNX file that is meant by a path or a name.
fn model(what: &Path) -> anyhow::Result<PathBuf> {
    if let Some(model) = find(what).or_else(|| what.is_file().then(|| what.to_owned())) {
        alike::files::open(&model)?;
        return Ok(model);
    }
    Ok(alike_onnx::EncoderStore::of_user()?.get(&what.to_string_lossy())?)
}
