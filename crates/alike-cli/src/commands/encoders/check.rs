//! `alike encoders check`.

use super::model;
use crate::args::Global;
use crate::encoders::{MOST_SECONDS, isolation, remember};
use crate::printer::{json, line, note};
use alike_onnx::{Agreement, Manifest, OnnxEncoder, Reference, Tried, is_rten, runtime};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike encoders check encoder.onnx                          with the reference.json beside it, if there is one
  alike encoders check lite0 --reference reference.json")]
pub(crate) struct CheckArgs {
    /// An ONNX file with its manifest, or an encoder's name
    #[arg(value_name = "FILE|NAME")]
    encoder: PathBuf,
    /// Reference outputs to compare with [default: reference.json beside the ONNX file]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// Seconds that the test run may take
    #[arg(long, value_name = "SECONDS", default_value_t = MOST_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    time_limit: u64,
}

/// What `alike encoders check --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CheckedEncoder<'a> {
    /// The ONNX file.
    model: &'a Path,
    /// What runs it.
    runtime: &'static str,
    /// The test run.
    tried: Tried,
    /// The file of reference outputs, where there is one that has this model.
    reference: Option<&'a Path>,
    /// How near each picture comes to its reference.
    pictures: Vec<Agreement>,
}

pub(super) fn run(args: &CheckArgs, global: &Global) -> anyhow::Result<()> {
    let model = model(&args.encoder)?;
    let manifest = Manifest::of(&model)?;
    let tried = isolation(args.time_limit, global)?.try_run(&model, &manifest)?;
    remember(&manifest);
    let beside = args.reference.clone().or_else(|| Reference::beside(&model));
    // By the name of the file or of the encoder, or of the file that it is a copy of.
    let names: Vec<String> = [&model, &args.encoder, &PathBuf::from(&manifest.source)]
        .iter()
        .filter_map(|p| Some(p.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.dedup();
    let reference = match &beside {
        Some(path) => Reference::read(path, &names)?,
        None => None,
    };
    if let (Some(path), None) = (&args.reference, &reference) {
        bail!("{} has no reference outputs of '{}'", path.display(), names.join("' or '"));
    }
    let pictures = match &reference {
        // It ran in the process of its own, so it may run in this one.
        Some(reference) => reference.compare(&OnnxEncoder::with_manifest(&model, manifest)?)?,
        None => Vec::new(),
    };
    let differ = pictures.iter().filter(|p| !p.agrees()).count();
    if global.json {
        let reference = beside.as_deref().filter(|_| reference.is_some());
        json(&CheckedEncoder { model: &model, runtime: runtime(), tried, reference, pictures })?;
    } else {
        line(format!(
            "{}: {} numbers an image, {:.1} ms an image on one thread, by {}",
            model.display(),
            tried.dimension,
            tried.milliseconds,
            runtime()
        ))?;
        if is_rten() {
            note(
                global,
                "an ONNX Runtime may be faster, most of all where convolutions are depthwise: pip install onnxruntime, and name its \
                 libonnxruntime by --onnxruntime or ALIKE_ONNXRUNTIME",
            );
        }
        for p in &pictures {
            let verdict = if p.agrees() { "agrees" } else { "DIFFERS" };
            line(format!(
                "{verdict:8} cosine {:.6}, length x {:.6}  {}",
                p.cosine, p.length_ratio, p.picture
            ))?;
        }
        if reference.is_none() {
            note(global, "nothing to compare with: no reference.json beside it has outputs of this model");
        }
    }
    if differ > 0 {
        bail!(
            "{differ} of {} pictures differ from the reference outputs (a cosine below {}, or a length more than {} % apart); \
             the commonest reason is a wrong preparation: look at mean, std, range and channels",
            reference.map_or(0, |r| r.len()),
            Agreement::LEAST_COSINE,
            100.0 * Agreement::MOST_APART
        );
    }
    Ok(())
}
