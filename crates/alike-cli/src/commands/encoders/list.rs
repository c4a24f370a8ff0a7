//! `alike encoders list`.

use crate::args::Global;
use crate::printer::{heading, json, line, note};
use alike_onnx::{EncoderStore, KNOWN_ENCODERS, KnownEncoder, StoredEncoder};
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
    /// Encoders that can be fetched by their names.
    known: Vec<FetchableEncoder>,
}

/// An encoder that can be fetched.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct FetchableEncoder {
    /// Its name.
    name: &'static str,
    /// What it is good for.
    about: &'static str,
    /// Its address on the hub, which was not checked.
    address: &'static str,
    /// Megabytes, about.
    megabytes: u32,
    /// Its licence.
    licence: &'static str,
    /// Whether the licence forbids commercial use.
    non_commercial: bool,
}

impl FetchableEncoder {
    fn all() -> Vec<FetchableEncoder> {
        let of = |e: &KnownEncoder| FetchableEncoder {
            name: e.name,
            about: e.about,
            address: e.address,
            megabytes: e.megabytes,
            licence: e.licence,
            non_commercial: e.non_commercial,
        };
        KNOWN_ENCODERS.iter().map(of).collect()
    }
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
        let known = FetchableEncoder::all();
        return json(&EncoderList { folder: store.folder().to_owned(), encoders, known });
    }
    if encoders.is_empty() {
        note(
            global,
            format!(
                "no encoder has a name yet; alike encoders add FILE.onnx --name NAME gives one, and keeps it in {}",
                store.folder().display()
            ),
        );
    } else {
        print(&encoders)?;
    }
    heading(
        "can be fetched (alike encoders fetch NAME); addresses and sizes were not checked against the hub",
    )?;
    for e in KNOWN_ENCODERS {
        let mark = if e.non_commercial { " (not for commercial use)" } else { "" };
        line(format!("{:16} {:>4} MB  {}; {}{mark}", e.name, e.megabytes, e.about, e.licence))?;
    }
    Ok(())
}

fn print(encoders: &[ListedEncoder]) -> anyhow::Result<()> {
    let wide = encoders.iter().map(|e| e.name.len()).max().unwrap_or(0).max(4);
    line(format!("{:wide$}  {:>9}  {:>11}  {:16}  output", "name", "size", "input", "licence"))?;
    for e in encoders {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let last = e.fault.clone().unwrap_or_else(|| or(&e.output));
        let size = format!("{:.1} MB", e.bytes as f64 / 1e6);
        line(format!("{:wide$}  {size:>9}  {:>11}  {:16}  {last}", e.name, or(&e.input), or(&e.licence)))?;
    }
    Ok(())
}
