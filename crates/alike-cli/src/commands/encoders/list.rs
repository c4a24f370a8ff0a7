//! `alike encoders list`.

use crate::args::Global;
use crate::printer::{json, line, note};
use alike_onnx::{EncoderStore, StoredEncoder};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike encoders list
  ALIKE_ENCODERS=/srv/encoders alike encoders list       those of another folder")]
pub(crate) struct ListArgs {}

/// What `alike encoders list --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EncoderList {
    /// The folder that holds them.
    folder: PathBuf,
    /// By name.
    encoders: Vec<ListedEncoder>,
}

/// An encoder that has a name.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ListedEncoder {
    /// Its name.
    name: String,
    /// Bytes of its ONNX file.
    bytes: u64,
    /// Height, width and channels of its images, as in `224x224x3`.
    input: Option<String>,
    /// The output that is the embedding.
    output: Option<String>,
    /// Its licence, where that was said.
    licence: Option<String>,
    /// Where it comes from, where that was said.
    source: Option<String>,
    /// What is wrong with it, if anything is.
    fault: Option<String>,
}

impl ListedEncoder {
    fn of(encoder: StoredEncoder) -> ListedEncoder {
        let bytes = std::fs::metadata(&encoder.model).map_or(0, |m| m.len());
        let (manifest, fault) = match encoder.manifest {
            Ok(manifest) => (Some(manifest), None),
            Err(e) => (None, Some(e.to_string())),
        };
        let said = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        ListedEncoder {
            name: encoder.name,
            bytes,
            input: manifest.as_ref().map(|m| m.preparation.pictures().shape.to_string()),
            output: manifest.as_ref().map(|m| m.output.clone()),
            licence: manifest.as_ref().and_then(|m| said(&m.licence)),
            source: manifest.as_ref().and_then(|m| said(&m.source)),
            fault,
        }
    }
}

pub(super) fn run(_: &ListArgs, global: &Global) -> anyhow::Result<()> {
    let store = EncoderStore::of_user()?;
    let encoders: Vec<ListedEncoder> = store.list()?.into_iter().map(ListedEncoder::of).collect();
    if global.json {
        return json(&EncoderList { folder: store.folder().to_owned(), encoders });
    }
    if encoders.is_empty() {
        note(
            global,
            format!(
                "no encoder has a name yet; alike encoders add FILE.onnx --name NAME gives one, and keeps it in {}",
                store.folder().display()
            ),
        );
        return Ok(());
    }
    let wide = encoders.iter().map(|e| e.name.len()).max().unwrap_or(0).max(4);
    line(format!("{:wide$}  {:>9}  {:>11}  {:16}  output", "name", "size", "input", "licence"))?;
    for e in &encoders {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let last = e.fault.clone().unwrap_or_else(|| or(&e.output));
        let size = format!("{:.1} MB", e.bytes as f64 / 1e6);
        line(format!("{:wide$}  {size:>9}  {:>11}  {:16}  {last}", e.name, or(&e.input), or(&e.licence)))?;
    }
    Ok(())
}
