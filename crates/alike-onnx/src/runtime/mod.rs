//! What runs networks: rten, unless the user names an ONNX Runtime.
//!
//! A fingerprint does not name the runtime: both agree to a cosine of 0.9999, which a test holds.

#[cfg(feature = "ort")]
mod onnx_runtime;
mod rten;

use crate::error::OnnxError;
use crate::network::Loading;
use ::rten::ThreadPool;
#[cfg(feature = "ort")]
pub use onnx_runtime::use_onnx_runtime;
use std::sync::Arc;

/// Sizes of what a network gave, and its numbers.
pub(crate) type Output = (Vec<usize>, Vec<f32>);

/// A loaded network.
pub(crate) trait Runtime: Send + Sync {
    /// What comes of an input of this shape; nothing where it is no `f32`. An error is what the runtime says.
    fn run(
        &self,
        threads: &Arc<ThreadPool>,
        shape: [usize; 4],
        input: Vec<f32>,
    ) -> Result<Option<Output>, String>;
}

/// Loads a network into the runtime of this process.
pub(crate) fn load(loading: Loading<'_>) -> Result<Box<dyn Runtime>, OnnxError> {
    #[cfg(feature = "ort")]
    if let Some(library) = onnx_runtime::chosen() {
        return Ok(Box::new(library.load(loading)?));
    }
    Ok(Box::new(rten::Rten::load(loading)?))
}

/// The runtime that networks are run by in this process, and its version.
pub fn runtime() -> &'static str {
    #[cfg(feature = "ort")]
    if let Some(library) = onnx_runtime::chosen() {
        return library.name();
    }
    rten::NAME
}

/// Whether networks are run by rten in this process.
pub fn is_rten() -> bool {
    runtime() == rten::NAME
}

/// The library that this process loaded as its ONNX Runtime.
pub(crate) fn library() -> Option<std::path::PathBuf> {
    #[cfg(feature = "ort")]
    if let Some(library) = onnx_runtime::chosen() {
        return Some(library.path().to_owned());
    }
    None
}
