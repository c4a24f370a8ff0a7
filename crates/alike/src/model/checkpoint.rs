//! Weights in a file: safetensors with the architecture in the metadata.
//!
//! Tensors are named and shaped as PyTorch would (`layers.3.weight`, `maps x channels x kernel x kernel`). One entry of
//! the metadata, `alike`, is a JSON object with the format's version, the network's specification, the input's shape,
//! and notes (of training, say). One entry rather than many, so that the same content always gives the same bytes.

use super::{Network, NetworkError, Spec, SpecError};
use crate::data::Preparation;
use crate::files::{self, FileError};
use crate::images::Shape;
use md5::{Digest, Md5};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The newest format that this version reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// A network with its weights, and whatever else must be kept with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The architecture.
    pub network: Network,
    /// What is done to every picture before the network sees it.
    pub preparation: Preparation,
    /// All parameters, in the order of the network's flat list.
    pub parameters: Vec<f32>,
    /// Other tensors, flat: an optimiser's moments, say.
    pub extra: BTreeMap<String, Vec<f32>>,
    /// Other facts, by name.
    pub notes: serde_json::Map<String, serde_json::Value>,
}

/// A file does not hold a usable network.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what it should be.
    #[error("{} is not a usable checkpoint: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    network: String,
    input: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preparation: Option<Preparation>,
    #[serde(default)]
    notes: serde_json::Map<String, serde_json::Value>,
}

const HEADER: &str = "alike";

impl Checkpoint {
    /// A network and its weights, with nothing else.
    pub fn new(network: Network, parameters: Vec<f32>) -> Checkpoint {
        assert_eq!(network.parameter_count(), parameters.len(), "checkpoint: parameters of another network");
        let preparation = Preparation::exact(network.input());
        Checkpoint { network, preparation, parameters, extra: BTreeMap::new(), notes: serde_json::Map::new() }
    }

    /// Names what an embedding depends on, the architecture, its weights and the preparation of pictures: 32 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut hash = Md5::new();
        hash.update(format!("{}\n{}\n{}\n", self.network.spec(), self.network.input(), self.preparation));
        self.parameters.iter().for_each(|v| hash.update(v.to_le_bytes()));
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Writes the file; a reader sees the old one or the new one whole.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .network
            .parameters()
            .map(|p| (p.name.clone(), p.shape.clone(), bytes(&self.parameters[p.range()])))
            .collect();
        tensors.extend(self.extra.iter().map(|(name, v)| (name.clone(), vec![v.len()], bytes(v))));
        let header = Header {
            version: FORMAT_VERSION,
            network: self.network.spec().to_string(),
            input: self.network.input().to_string(),
            // What is usual need not be said, and sets of features have no pictures.
            preparation: Some(self.preparation).filter(|p| *p != Preparation::exact(self.network.input())),
            notes: self.notes.clone(),
        };
        let wrong = |why: String| CheckpointError::Content { path: path.to_owned(), why };
        let header = serde_json::to_string(&header).map_err(|e| wrong(e.to_string()))?;
        let views: Vec<(&str, TensorView<'_>)> = tensors
            .iter()
            .map(|(name, shape, data)| {
                let view =
                    TensorView::new(Dtype::F32, shape.clone(), data).map_err(|e| wrong(e.to_string()))?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<_, CheckpointError>>()?;
        let metadata = Some(HashMap::from([(HEADER.to_owned(), header)]));
        let file = safetensors::serialize(views, metadata).map_err(|e| wrong(e.to_string()))?;
        Ok(files::write(path, &file)?)
    }

    /// Reads a file, and refuses one whose tensors are not those of its own specification, or not finite.
    pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
        let bytes = files::read(path)?;
        Checkpoint::parse(&bytes).map_err(|why| CheckpointError::Content { path: path.to_owned(), why })
    }

    fn parse(bytes: &[u8]) -> Result<Checkpoint, String> {
        let damaged = |e: safetensors::SafeTensorError| format!("it is damaged or no safetensors file ({e})");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let header = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get(HEADER))
            .ok_or("it was not written by alike: the metadata has no entry 'alike'")?;
        let value: serde_json::Value =
            serde_json::from_str(header).map_err(|e| format!("its metadata cannot be read ({e})"))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if version > u64::from(FORMAT_VERSION) {
            return Err(format!(
                "it has format {version}, written by a newer alike; this one reads up to {FORMAT_VERSION}"
            ));
        }
        let header: Header =
            serde_json::from_value(value).map_err(|e| format!("its metadata cannot be read ({e})"))?;
        let spec: Spec = header.network.parse().map_err(|e: SpecError| e.to_string())?;
        let input: Shape = header.input.parse()?;
        let network = Network::new(spec, input).map_err(|e: NetworkError| e.to_string())?;

        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let read = |name: &str, shape: Option<&[usize]>| -> Result<Vec<f32>, String> {
            let view =
                tensors.tensor(name).map_err(|_| format!("its specification needs a tensor '{name}'"))?;
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor '{name}' is {:?}, not F32", view.dtype()));
            }
            if let Some(shape) = shape
                && view.shape() != shape
            {
                return Err(format!(
                    "tensor '{name}' has shape {:?}, but its specification says {shape:?}",
                    view.shape()
                ));
            }
            let values: Vec<f32> =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            match values.iter().position(|v| !v.is_finite()) {
                Some(i) => Err(format!("value {i} of tensor '{name}' is {}, not a finite number", values[i])),
                None => Ok(values),
            }
        };
        let mut parameters = Vec::with_capacity(network.parameter_count());
        for p in network.parameters() {
            parameters.extend(read(&p.name, Some(&p.shape))?);
        }
        let mut extra = BTreeMap::new();
        for name in tensors.names() {
            if !network.parameters().any(|p| p.name == name) {
                if name.starts_with("layers.") {
                    return Err(format!("tensor '{name}' has no place in its specification"));
                }
                extra.insert(name.to_owned(), read(name, None)?);
            }
        }
        let preparation = header.preparation.unwrap_or(Preparation::exact(input));
        if preparation.shape != input {
            return Err(format!(
                "its pictures are prepared as {}, but its network takes {input}",
                preparation.shape
            ));
        }
        Ok(Checkpoint { network, preparation, parameters, extra, notes: header.notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::initial;

    fn small() -> Checkpoint {
        let network =
            Network::new("norm conv(3) relu gap".parse().unwrap(), "5x4x1".parse().unwrap()).unwrap();
        let parameters = initial(&network, 1);
        let mut c = Checkpoint::new(network, parameters);
        c.preparation.invert = true;
        c.extra.insert("optimizer.m".into(), vec![1.0, 2.5]);
        c.notes.insert("epoch".into(), 3.into());
        c
    }

    #[test]
    fn a_fingerprint_is_that_of_weights_and_preparation_alone() {
        let same = |change: fn(&mut Checkpoint)| {
            let mut other = small();
            change(&mut other);
            other.fingerprint() == small().fingerprint()
        };
        assert!(same(|c| c.extra.clear()) && same(|c| c.notes.clear()));
        assert!(!same(|c| c.parameters[0] += 1.0) && !same(|c| c.preparation.invert = false));
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        small().save(&a).unwrap();
        assert_eq!(Checkpoint::load(&a).unwrap(), small());
        small().save(&b).unwrap();
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(Vec<u8>) -> Vec<u8>, because: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        small().save(&path).unwrap();
        let changed = change(std::fs::read(&path).unwrap());
        std::fs::write(&path, changed).unwrap();
        let message = Checkpoint::load(&path).unwrap_err().to_string();
        assert!(message.contains(because) && message.contains("x.safetensors"), "{message}");
    }

    /// Replaces text in the header by text of the same length.
    fn swap(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let text: String = bytes.iter().map(|b| *b as char).collect();
        assert!(text.contains(from), "{text}");
        text.replace(from, to).chars().map(|c| c as u8).collect()
    }

    #[test]
    fn damaged_newer_and_ill_fitting_files_are_refused() {
        check_refused(|b| b[..b.len() - 1].to_vec(), "damaged");
        check_refused(|_| Vec::new(), "damaged");
        check_refused(|_| vec![255; 64], "damaged");
        check_refused(|b| swap(b, r#"version\":1"#, r#"version\":7"#), "format 7, written by a newer alike");
        check_refused(
            |b| swap(b, "conv(3)", "conv(4)"),
            "has shape [3, 1, 3, 3], but its specification says [4, 1, 3, 3]",
        );
        check_refused(|b| swap(b, "conv(3)", "gonv(3)"), "no layer 'gonv'; did you mean 'conv'?");
        check_refused(|b| swap(b, "norm conv", "relu conv"), "has no place");
        check_refused(
            |mut b| {
                let n = b.len();
                b[n - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
                b
            },
            "not a finite number",
        );
    }
}
