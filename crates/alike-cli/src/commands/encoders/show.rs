//! `alike encoders show`.

use super::model;
use crate::args::Global;
use crate::encoders::{MOST_SECONDS, isolation};
use crate::printer::{json, line, lines, note};
use alike_onnx::{Contents, EncoderStore, Manifest, OnnxError};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike encoders show encoder.onnx                   inputs, outputs, operators, and the manifest
  alike encoders show encoder.onnx --values          all that nodes compute: what --output of add may name
  alike encoders show lite0 --json")]
pub(crate) struct ShowArgs {
    /// An ONNX file, or an encoder's name
    #[arg(value_name = "FILE|NAME")]
    encoder: PathBuf,
    /// List all values that nodes compute, not only the outputs
    #[arg(long)]
    values: bool,
}

/// What `alike encoders show --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownEncoder<'a> {
    /// The ONNX file.
    model: &'a Path,
    /// What the file says of itself.
    contents: Contents,
    /// What its manifest says, where there is one.
    manifest: Option<Manifest>,
    /// Whether it was run before, so that it is trusted.
    tried: bool,
}

pub(super) fn run(args: &ShowArgs, global: &Global) -> anyhow::Result<()> {
    let model = model(&args.encoder)?;
    let mut contents = isolation(MOST_SECONDS, global)?.contents(&model)?;
    if !args.values {
        contents.values.clear();
    }
    let manifest = match Manifest::of(&model) {
        Ok(manifest) => Some(manifest),
        Err(OnnxError::NoManifest { .. }) => None,
        Err(e) => return Err(e.into()),
    };
    let is_tried = |m: &Manifest| EncoderStore::of_user().is_ok_and(|store| store.is_tried(m));
    let tried = manifest.as_ref().is_some_and(is_tried);
    if global.json {
        return json(&ShownEncoder { model: &model, contents, manifest, tried });
    }
    line(model.display().to_string())?;
    if !contents.producer.is_empty() {
        line(format!("{:12} {}", "made by", contents.producer))?;
    }
    line(format!("{:12} {}", "opset", contents.opset))?;
    line(format!("{:12} {}", "parameters", contents.parameters))?;
    for (word, tensors) in
        [("input", &contents.inputs), ("output", &contents.outputs), ("value", &contents.values)]
    {
        tensors.iter().try_for_each(|t| line(format!("{word:12} {}: {}", t.name, t.sentence())))?;
    }
    let operators: Vec<String> = contents.operators.iter().map(|(name, n)| format!("{name} {n}")).collect();
    line(format!("{:12} {}", "operators", operators.join(", ")))?;
    match manifest {
        Some(manifest) => {
            line(format!("{:12} {}", "test run", if tried { "done" } else { "not yet" }))?;
            line("")?;
            lines(manifest.to_text().trim_end())
        }
        None => {
            note(global, format!("no manifest yet: alike encoders add {} writes it", model.display()));
            Ok(())
        }
    }
}
