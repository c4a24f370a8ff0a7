//! Encoders that have names: a user's folder, with a folder for each.

use crate::error::OnnxError;
use crate::file::{ModelFile, sha256_hex};
use crate::manifest::Manifest;
use crate::runtime::runtime;
use alike::files::{self, FileError, StagedFiles};
use alike::suggest::did_you_mean;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use std::path::{Path, PathBuf};

/// The variable that names another folder than the user's.
const VARIABLE: &str = "ALIKE_ENCODERS";
/// The model in an encoder's folder.
const MODEL: &str = "model.onnx";
/// Marks of models that were run; no encoder's name begins with a dot.
const TRIED: &str = ".tried";

/// A user's encoders, by name, and which models were tried.
#[derive(Clone, Debug)]
pub struct EncoderStore {
    folder: PathBuf,
}

/// An encoder that has a name.
#[derive(Debug)]
pub struct StoredEncoder {
    /// Its name.
    pub name: String,
    /// The ONNX file.
    pub model: PathBuf,
    /// Its manifest, or what is wrong with it.
    pub manifest: Result<Manifest, OnnxError>,
}

impl EncoderStore {
    /// The store in a folder, which need not be there yet.
    pub fn new(folder: PathBuf) -> EncoderStore {
        EncoderStore { folder }
    }

    /// The store in the folder that `ALIKE_ENCODERS` names, or in `alike/encoders` in the user's folder for data.
    ///
    /// # Errors
    ///
    /// If the system names no such folder.
    pub fn of_user() -> Result<EncoderStore, OnnxError> {
        if let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
            return Ok(EncoderStore::new(folder.into()));
        }
        let user = choose_native_strategy().map_err(|_| OnnxError::NoFolder)?;
        Ok(EncoderStore::new(user.data_dir().join("alike").join("encoders")))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All encoders, by name.
    ///
    /// # Errors
    ///
    /// If the folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<StoredEncoder>, OnnxError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let reading = |e| FileError::reading(&self.folder)(e);
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(reading)? {
            let name = entry.map_err(reading)?.file_name();
            if let Some(name) = name.to_str()
                && let Some(model) = self.find(name)
            {
                all.push(StoredEncoder { name: name.to_owned(), manifest: Manifest::of(&model), model });
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The ONNX file of the encoder of a name, if there is one.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let model = self.folder.join(name).join(MODEL);
        (is_name(name) && model.is_file()).then_some(model)
    }

    /// The ONNX file of the encoder of a name.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<PathBuf, OnnxError> {
        self.find(name).ok_or_else(|| {
            let names: Vec<String> = self.list().unwrap_or_default().into_iter().map(|e| e.name).collect();
            let hint = did_you_mean(name, names.iter().map(String::as_str));
            OnnxError::NoEncoder { name: name.to_owned(), hint }
        })
    }

    /// Copies a model and its weights into the store, with its manifest, and gives it a name. All files appear together.
    ///
    /// # Errors
    ///
    /// If the name is none, or taken and not to be replaced, or the files are others than the manifest describes or cannot be copied.
    pub fn add(
        &self,
        name: &str,
        model: &Path,
        manifest: &Manifest,
        replace: bool,
    ) -> Result<PathBuf, OnnxError> {
        self.check_name(name, replace)?;
        let file = ModelFile::read(model, manifest)?;
        let to = self.folder.join(name).join(MODEL);
        let before = Manifest::of(&to).map(|m| m.external_data).unwrap_or_default();
        let mut staged = StagedFiles::default();
        for (name, bytes) in &file.external {
            staged.stage(&to.with_file_name(name), |w| w.write_all(bytes))?;
        }
        staged.stage(&Manifest::beside(&to), |w| w.write_all(manifest.to_text().as_bytes()))?;
        // The last, since it makes the folder an encoder.
        staged.stage(&to, |w| w.write_all(&file.bytes))?;
        staged.commit()?;
        // Weights of the encoder that was replaced: only now are they nobody's.
        for name in before.keys().filter(|name| !file.external.contains_key(*name)) {
            let path = to.with_file_name(name);
            std::fs::remove_file(&path).map_err(FileError::writing(&path))?;
        }
        Ok(to)
    }

    /// Refuses what is no name for a new encoder.
    ///
    /// # Errors
    ///
    /// If the name is none, or taken and not to be replaced.
    pub fn check_name(&self, name: &str, replace: bool) -> Result<(), OnnxError> {
        if !is_name(name) {
            return Err(OnnxError::Name(name.to_owned()));
        }
        if !replace && self.find(name).is_some() {
            return Err(OnnxError::Exists(name.to_owned()));
        }
        Ok(())
    }

    /// Deletes an encoder: its model, the weights beside it and its manifest.
    ///
    /// # Errors
    ///
    /// If there is none of that name, or a file cannot be deleted.
    pub fn remove(&self, name: &str) -> Result<(), OnnxError> {
        let model = self.get(name)?;
        let manifest = Manifest::beside(&model);
        let weights = Manifest::of(&model).map(|m| m.external_data).unwrap_or_default();
        let beside = weights.keys().map(|name| model.with_file_name(name));
        for path in [model.clone(), manifest].into_iter().chain(beside).filter(|p| p.exists()) {
            std::fs::remove_file(&path).map_err(FileError::writing(&path))?;
        }
        let folder = self.folder.join(name);
        Ok(std::fs::remove_dir(&folder).map_err(FileError::writing(&folder))?)
    }

    /// Whether a model was run before, as its manifest says and by this version of the runtime, so that it is trusted.
    pub fn is_tried(&self, manifest: &Manifest) -> bool {
        self.mark(manifest).is_file()
    }

    /// Remembers that a model was run.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to.
    pub fn remember_tried(&self, manifest: &Manifest) -> Result<(), OnnxError> {
        Ok(files::write(&self.mark(manifest), manifest.fingerprint().as_bytes())?)
    }

    fn mark(&self, manifest: &Manifest) -> PathBuf {
        let key = format!("{} {}", runtime(), manifest.fingerprint());
        self.folder.join(TRIED).join(sha256_hex(key.as_bytes()))
    }
}

/// Whether a text is the name of a folder on every system, and no path.
fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        for name in ["lite0", "dinov2-small", "a.b_c", "7"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".tried", "..", "a/b", "a\\b", "a b", "é", "-a", &"x".repeat(101)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
