//! An ONNX file and the files of weights beside it, as bytes.

use crate::error::OnnxError;
use crate::manifest::Manifest;
use alike::files;
use alike::limits::Limit;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The bytes of a model.
#[derive(Debug)]
pub struct ModelFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The ONNX file.
    pub bytes: Vec<u8>,
    /// Files beside it that hold weights, by name.
    pub external: BTreeMap<String, Vec<u8>>,
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&hmac_sha256::Hash::hash(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads the files of weights that lie beside a model.
///
/// # Errors
///
/// If one cannot be read.
pub fn external_files<'a>(
    model: &Path,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<BTreeMap<String, Vec<u8>>, OnnxError> {
    let read = |name: &String| {
        let file = model.with_file_name(name);
        let bytes = files::read(&file, Limit::Model).map_err(|e| OnnxError::ExternalData {
            path: model.to_owned(),
            file,
            why: e.why.to_string(),
        })?;
        Ok((name.clone(), bytes))
    };
    names.into_iter().map(read).collect()
}

impl ModelFile {
    /// Reads a model and the files of weights that its manifest names, and compares their sums with the manifest's.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or is another than the manifest describes.
    pub fn read(path: &Path, manifest: &Manifest) -> Result<ModelFile, OnnxError> {
        let bytes = files::read(path, Limit::Model)?;
        let external = external_files(path, manifest.external_data.keys())?;
        let of_weights = external
            .iter()
            .map(|(name, bytes)| (path.with_file_name(name), &manifest.external_data[name], bytes));
        for (file, expected, bytes) in
            [(path.to_owned(), &manifest.sha256, &bytes)].into_iter().chain(of_weights)
        {
            let found = sha256_hex(bytes);
            if !found.eq_ignore_ascii_case(expected) {
                let manifest = Manifest::beside(path);
                return Err(OnnxError::OtherFile { manifest, file, expected: expected.clone(), found });
            }
        }
        Ok(ModelFile { path: path.to_owned(), bytes, external })
    }
}
