//! The test run of a model, as the process that does it sees it: a request on standard input, an answer on standard output.

use crate::contents::{Contents, check, parse};
use crate::encoder::OnnxEncoder;
use crate::error::OnnxError;
use crate::manifest::Manifest;
use alike::encoder::{Encoder, EncoderError};
use alike::files;
use alike::images::Images;
use alike::limits::{Limit, Limits};
use alike::process::limit_memory;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is asked of the process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) model: PathBuf,
    /// Bytes that the process may take.
    pub(crate) memory: u64,
    /// Bytes that the model's file may have.
    pub(crate) file: u64,
    /// The library of ONNX Runtime, where the caller uses one.
    pub(crate) library: Option<PathBuf>,
    pub(crate) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// What the file says of itself.
    Read,
    /// Whether it runs.
    Run(Box<Manifest>),
}

/// What the process answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Contents(Contents),
    Tried(Tried),
    Refused(String),
}

/// A model that was run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tried {
    /// Numbers of an embedding.
    pub dimension: usize,
    /// What one image takes on one thread.
    pub milliseconds: f64,
}

/// Does what is asked on standard input, within the limits that it names, and answers on standard output: to be called by a process that
/// [`crate::Isolation`] started, and by nobody else.
///
/// # Errors
///
/// If the request cannot be read, or the answer not written.
pub fn serve() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    let request: Request = serde_json::from_str(&text)?;
    limit_memory(request.memory);
    if let Ok(limits) = format!("model={}", request.file).parse::<Limits>() {
        limits.install();
    }
    let answer = with_library(&request)
        .and_then(|()| answer(&request))
        .unwrap_or_else(|e| Answer::Refused(e.to_string()));
    let mut out = io::stdout().lock();
    out.write_all(&serde_json::to_vec(&answer)?)?;
    out.flush()
}

/// Runs the model by what the caller runs models by.
fn with_library(request: &Request) -> Result<(), OnnxError> {
    match &request.library {
        #[cfg(feature = "ort")]
        Some(library) => crate::use_onnx_runtime(library),
        #[cfg(not(feature = "ort"))]
        Some(library) => Err(OnnxError::Library {
            path: library.clone(),
            why: "this build was made without the feature 'ort'".to_owned(),
        }),
        None => Ok(()),
    }
}

fn answer(request: &Request) -> Result<Answer, OnnxError> {
    match &request.what {
        What::Read => read(&request.model).map(Answer::Contents),
        What::Run(manifest) => run(&request.model, manifest).map(Answer::Tried),
    }
}

fn read(path: &Path) -> Result<Contents, OnnxError> {
    let model = parse(path, &files::read(path, Limit::Model)?)?;
    check(path, &model)?;
    Ok(Contents::of(&model))
}

/// Images that a model is run on: what makes a network fail seldom depends on more.
const IMAGES: usize = 4;

fn run(path: &Path, manifest: &Manifest) -> Result<Tried, OnnxError> {
    let encoder = OnnxEncoder::with_manifest(path, manifest.clone())?;
    let shape = encoder.facts().preparation.shape;
    let len = shape.len();
    let mut pixels = vec![0; IMAGES * len];
    pixels[len..2 * len].fill(255);
    // A ramp, and noise (a linear congruential generator's high bits).
    pixels[2 * len..3 * len].iter_mut().enumerate().for_each(|(i, v)| *v = (i % 256) as u8);
    let mut state = 1u32;
    pixels[3 * len..].iter_mut().for_each(|v| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *v = (state >> 24) as u8;
    });
    let images = Images::new(shape, pixels);
    // One after the other, to be timed.
    let began = Instant::now();
    for i in 0..IMAGES {
        encoder.raw(&images.select(&[i])).map_err(|e| match e {
            EncoderError::Other(e) => OnnxError::Refused(e.to_string()),
            e => encoder.failed(e.to_string()),
        })?;
    }
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0 / IMAGES as f64;
    Ok(Tried { dimension: encoder.facts().dimension, milliseconds })
}
