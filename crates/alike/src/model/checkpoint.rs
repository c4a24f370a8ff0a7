//! Weights in a file: safetensors with the architecture in the metadata.
//!
//! Tensors are named and shaped as PyTorch would (`layers.3.weight`, `out channels x channels x kernel x kernel`). One entry of
//! the metadata, `alike`, is a JSON object with the format's version, the network's specification, the input's shape,
//! and notes (of training, say). One entry rather than many, so that the same content always gives the same bytes.

use super::{Network, NetworkError, ParameterInfo, Spec, SpecError};
use crate::data::Preparation;
use crate::files::{self, FileError};
use crate::images::Shape;
use crate::limits::{Limit, LimitError};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
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
#[non_exhaustive]
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
    ///
    /// # Panics
    ///
    /// If there are not as many weights as the network has parameters.
    pub fn new(network: Network, parameters: Vec<f32>) -> Checkpoint {
        assert_eq!(network.parameter_count(), parameters.len(), "checkpoint: parameters of another network");
        let preparation = Preparation::exact(network.input());
        Checkpoint { network, preparation, parameters, extra: BTreeMap::new(), notes: serde_json::Map::new() }
    }

    /// Names what an embedding depends on, the architecture, its weights and the preparation of pictures: 32 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut hash = md5::Context::new();
        hash.consume(format!("{}\n{}\n{}\n", self.network.spec(), self.network.input(), self.preparation));
        self.parameters.iter().for_each(|v| hash.consume(v.to_le_bytes()));
        format!("{:x}", hash.finalize())
    }

    /// Writes the file; a reader sees the old one or the new one whole.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
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
    ///
    /// # Errors
    ///
    /// If it cannot be read, is damaged, or is refused.
    pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
        let wrong = |why: String| CheckpointError::Content { path: path.to_owned(), why };
        let (mut file, len) = files::open_sized(path).map_err(FileError::reading(path))?;
        let mut bytes = read_header(&mut file, len).map_err(FileError::reading(path))?.map_err(wrong)?;
        bytes.reserve_exact(len as usize - bytes.len());
        file.take(len - bytes.len() as u64).read_to_end(&mut bytes).map_err(FileError::reading(path))?;
        Checkpoint::parse(&bytes).map_err(wrong)
    }

    /// What a file's metadata say, and the network, whose tensors must be there.
    fn promised(metadata: &Metadata) -> Result<(Header, Network), String> {
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
        for ParameterInfo { name, shape, .. } in network.parameters() {
            let there =
                metadata.info(name).ok_or_else(|| format!("its specification needs a tensor '{name}'"))?;
            if there.shape != *shape {
                return Err(format!(
                    "tensor '{name}' has shape {:?}, but its specification says {shape:?}",
                    there.shape
                ));
            }
        }
        Ok((header, network))
    }

    fn parse(bytes: &[u8]) -> Result<Checkpoint, String> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let (header, network) = Checkpoint::promised(&metadata)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let read = |name: &str| -> Result<Vec<f32>, String> {
            let view = tensors.tensor(name).map_err(damaged)?;
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor '{name}' is {:?}, not F32", view.dtype()));
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
            parameters.extend(read(&p.name)?);
        }
        let mut extra = BTreeMap::new();
        let own: HashSet<&str> = network.parameters().map(|p| p.name.as_str()).collect();
        for name in tensors.names() {
            if !own.contains(name) {
                if name.starts_with("layers.") {
                    return Err(format!("tensor '{name}' has no place in its specification"));
                }
                extra.insert(name.to_owned(), read(name)?);
            }
        }
        let input = network.input();
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

fn damaged(e: impl std::fmt::Display) -> String {
    format!("it is damaged or no safetensors file ({e})")
}

/// Reads the beginning of a file of so many bytes, its metadata, or says why the rest is not worth reading: not before all that they
/// promise is known to be there.
fn read_header(file: &mut File, len: u64) -> std::io::Result<Result<Vec<u8>, String>> {
    let wrong = |why: String| Ok(Err(why));
    if len < 8 {
        return wrong(damaged("it has no header"));
    }
    let mut bytes = vec![0; 8];
    file.read_exact(&mut bytes)?;
    let header = u64::from_le_bytes(bytes[..].try_into().unwrap_or_default());
    if header > len - 8 {
        return wrong(damaged("it ends before its own header does"));
    }
    let limited = Limit::Text.check(header, || "its header is too large".into());
    if let Err(e) = limited.and_then(|()| Limit::Model.check(len, || "the file is too large".into())) {
        return wrong(LimitError::to_string(&e));
    }
    bytes.resize(8 + header as usize, 0);
    file.read_exact(&mut bytes[8..])?;
    let metadata: Metadata = match serde_json::from_slice(&bytes[8..]) {
        Ok(metadata) => metadata,
        Err(e) => return wrong(damaged(e)),
    };
    if metadata.data_len() as u64 != len - 8 - header {
        return wrong(damaged("it is not as long as its header says"));
    }
    Ok(Checkpoint::promised(&metadata).map(|_| bytes))
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

    /// Files of a few bytes that ask for much: none may be given any of it.
    #[test]
    fn what_a_header_asks_for_is_there_before_memory_is_taken() {
        let file = |network: &str, input: &str, tensors: &str, len: Option<u64>| {
            let facts = format!(r#"{{\"version\":1,\"network\":\"{network}\",\"input\":\"{input}\"}}"#);
            let header = format!(r#"{{"__metadata__":{{"alike":"{facts}"}}{tensors}}}"#);
            let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
            std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat())
                .unwrap();
            if let Some(len) = len {
                std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
            }
            Checkpoint::load(&path).unwrap_err().to_string()
        };
        let vast = file("linear(4096) l2", "16384x16384x16384", "", None);
        assert!(vast.contains("--limit model="), "{vast}");
        // Within the limit, but not there: a gigabyte of weights.
        let missing = file("linear(4096) l2", "256x256x1", "", None);
        assert!(missing.contains("needs a tensor 'layers.0.weight'"), "{missing}");
        let tensor =
            r#","layers.0.weight":{"dtype":"F32","shape":[4096,65536],"data_offsets":[0,1073741824]}"#;
        let short = file("linear(4096) l2", "256x256x1", tensor, None);
        assert!(short.contains("not as long as its header says"), "{short}");
        // A sparse file takes no room on disk.
        let sparse = file("linear(4096) l2", "256x256x1", "", Some(1 << 40));
        assert!(sparse.contains("--limit model="), "{sparse}");
    }
}
