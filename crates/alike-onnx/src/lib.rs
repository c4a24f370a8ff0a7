//! Image encoders that others trained, from ONNX files.
//!
//! An [`OnnxEncoder`] is an [`alike::encoder::Encoder`]: galleries, tasks and protocols take it as they take a network that was trained here.
//! What an ONNX file does not say, a [`Manifest`] beside it does: which output is the embedding, how it is pooled, and how pictures are
//! prepared.
//!
//! ```no_run
//! use alike::data::DataPaths;
//! use alike::tasks::Model;
//! use alike_onnx::OnnxEncoder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Reads model.onnx and, beside it, model.onnx.toml.
//! let encoder = OnnxEncoder::open("model.onnx".as_ref())?;
//! let model = Model::of(Box::new(encoder), DataPaths::from_env())?;
//! # Ok(())
//! # }
//! ```
//!
//! # Trust
//!
//! The runtime, [`rten`], is safe code as far as memory goes, but promises nothing about the time and memory that a model takes, and a damaged
//! model can make it panic or run without end. So a model that was never run is first tried in a process of its own ([`Isolation`]), with a
//! limit for time and one for memory. After that it is known by its SHA-256, and run in this process; the [`EncoderStore`] remembers it.
//!
//! With the feature `ort`, [`use_onnx_runtime`] runs networks by a library of ONNX Runtime that the user names. It is native code, as trusted
//! as the program; none is looked for.

#![forbid(unsafe_code)]

mod contents;
mod draft;
mod encoder;
mod error;
mod export;
mod file;
#[cfg(feature = "hub")]
mod hub;
mod isolation;
mod manifest;
mod network;
mod pooling;
mod preset;
mod reference;
mod runtime;
mod store;
mod trial;

pub use contents::{Contents, Tensor};
pub use draft::{Draft, Setting};
pub use encoder::OnnxEncoder;
pub use error::OnnxError;
pub use export::{Exported, export, export_head};
pub use file::{ModelFile, external_files, sha256_hex};
#[cfg(feature = "hub")]
pub use hub::{Hub, HubError, HubFile, KNOWN_ENCODERS, KnownEncoder};
pub use isolation::Isolation;
pub use manifest::{Channels, InputPreparation, Layout, MANIFEST_FORMAT, Manifest, ValueRange};
pub use pooling::Pooling;
pub use preset::Preset;
pub use reference::{Agreement, Reference, ReferencePicture};
#[cfg(feature = "ort")]
pub use runtime::use_onnx_runtime;
pub use runtime::{is_rten, runtime};
pub use store::{EncoderStore, StoredEncoder};
pub use trial::{Tried, serve};
