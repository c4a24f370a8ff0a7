//! The manifest: what an ONNX file does not say of itself.

use crate::error::OnnxError;
use crate::pooling::Pooling;
use alike::data::{Crop, Filter, Preparation, Resize};
use alike::files;
use alike::images::Shape;
use alike::text::toml_fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The version of the manifest's format.
pub const MANIFEST_FORMAT: u32 = 1;

/// The sides of images that a preparation makes, at most.
const MOST_SIDE: usize = 1024;

/// Which output of a model is the embedding, and how pictures are prepared for it: a TOML file beside the model, called as it is with
/// `.toml` after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format: [`MANIFEST_FORMAT`].
    pub format: u32,
    /// SHA-256 of the ONNX file, in hexadecimal.
    pub sha256: String,
    /// The value that is the embedding: an output of the model, or the output of any of its nodes.
    pub output: String,
    /// How the output becomes a vector.
    pub pooling: Pooling,
    /// Whether embeddings are scaled to length 1, so that distances order as cosines do.
    pub normalize: bool,
    /// The licence of the weights, as an SPDX identifier where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// Where the model comes from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// How pictures are prepared.
    pub preparation: InputPreparation,
    /// Files beside the model that hold its weights, where it has such, each with its SHA-256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external_data: BTreeMap<String, String>,
}

/// How a picture becomes a network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InputPreparation {
    /// Height and width.
    pub size: [usize; 2],
    /// How a picture gets this size: `fit`, `fill`, `squash` or `exact`.
    #[serde(with = "as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub resize: Resize,
    /// How scaled pixels are computed: `bilinear` or `bicubic`.
    #[serde(with = "as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub filter: Filter,
    /// The part that is kept before it is resized: a share of height and width in the middle, or a text such as `bottom`.
    pub crop: Crop,
    /// The channels, in the network's order.
    pub channels: Channels,
    /// Where the channels stand in the network's input.
    pub layout: Layout,
    /// What bytes become before `mean` is subtracted.
    pub range: ValueRange,
    /// Subtracted from each channel, in the network's order.
    pub mean: Vec<f64>,
    /// What each channel is divided by then.
    pub std: Vec<f64>,
}

/// The channels of a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One: brightness.
    Grey,
}

impl Channels {
    /// How many.
    pub fn count(self) -> usize {
        if self == Channels::Grey { 1 } else { 3 }
    }
}

/// The order of the input's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Layout {
    /// Batch, channels, height, width: PyTorch's.
    Nchw,
    /// Batch, height, width, channels: TensorFlow's.
    Nhwc,
}

/// What the bytes from 0 to 255 become, before mean and standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum ValueRange {
    /// From 0 to 1.
    #[serde(rename = "0-1")]
    Unit,
    /// From 0 to 255, as they are.
    #[serde(rename = "0-255")]
    Byte,
}

impl InputPreparation {
    /// What is done to pictures before the encoder takes them.
    pub fn pictures(&self) -> Preparation {
        let [h, w] = self.size;
        let shape = Shape { h, w, c: self.channels.count() };
        let mut pictures = Preparation::exact(shape);
        pictures.resize = self.resize;
        pictures.crop = self.crop;
        pictures.filter = self.filter;
        pictures
    }

    /// The input's shape for one image.
    pub(crate) fn input(&self) -> [usize; 4] {
        let ([h, w], c) = (self.size, self.channels.count());
        match self.layout {
            Layout::Nchw => [1, c, h, w],
            Layout::Nhwc => [1, h, w, c],
        }
    }

    /// By channel of the network: the value of each byte.
    pub(crate) fn values(&self) -> Vec<[f32; 256]> {
        let scale = match self.range {
            ValueRange::Unit => 255.0,
            ValueRange::Byte => 1.0,
        };
        let of = |mean: f64, std: f64| std::array::from_fn(|v| ((v as f64 / scale - mean) / std) as f32);
        self.mean.iter().zip(&self.std).map(|(mean, std)| of(*mean, *std)).collect()
    }

    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<String> {
        let n = self.channels.count();
        if !self.size.iter().all(|side| (1..=MOST_SIDE).contains(side)) {
            return Some(format!("size is two numbers from 1 to {MOST_SIDE}, height and width"));
        }
        if let Err(why) = self.crop.check() {
            return Some(why);
        }
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != n || !values.iter().all(|v| v.is_finite()) {
                let channels = if n == 1 { "channel" } else { "channels" };
                return Some(format!("{name} has a number for each of {n} {channels}"));
            }
        }
        self.std.contains(&0.0).then(|| "std is not 0".to_owned())
    }

    /// All of it that numbers depend on, in one line.
    fn fingerprint(&self) -> String {
        let list = |v: &[f64]| v.iter().map(f64::to_string).collect::<Vec<_>>().join("/");
        let Preparation { shape: Shape { h, w, .. }, .. } = self.pictures();
        format!(
            "size={h}x{w},resize={},filter={},crop={},channels={},layout={},range={},mean={},std={}",
            self.resize,
            self.filter,
            self.crop,
            word(&self.channels),
            word(&self.layout),
            word(&self.range),
            list(&self.mean),
            list(&self.std)
        )
    }
}

/// An enum's name as it is written in the manifest.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enum of words: {other:?}"),
    }
}

impl Manifest {
    /// Where the manifest of a model lies.
    pub fn beside(model: &Path) -> PathBuf {
        let mut path = model.as_os_str().to_owned();
        path.push(".toml");
        PathBuf::from(path)
    }

    /// Reads the manifest of a model.
    ///
    /// # Errors
    ///
    /// If there is none, or it makes no sense.
    pub fn of(model: &Path) -> Result<Manifest, OnnxError> {
        let path = Manifest::beside(model);
        if !path.exists() {
            return Err(OnnxError::NoManifest { model: model.to_owned(), manifest: path });
        }
        Manifest::parse(&files::read_text(&path)?, &path)
    }

    /// Reads a manifest's text; `path` is where it was read.
    ///
    /// # Errors
    ///
    /// If it makes no sense.
    pub fn parse(text: &str, path: &Path) -> Result<Manifest, OnnxError> {
        let wrong = |why: String| OnnxError::Manifest { path: path.to_owned(), why };
        let manifest: Manifest = toml::from_str(text).map_err(|e| wrong(toml_fault(text, &e)))?;
        match manifest.fault() {
            Some(why) => Err(wrong(why)),
            None => Ok(manifest),
        }
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.format != MANIFEST_FORMAT {
            return Some(format!(
                "its format is {}, but this version of Alike reads {MANIFEST_FORMAT}",
                self.format
            ));
        }
        let is_sum = |s: &String| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit());
        if ![&self.sha256].into_iter().chain(self.external_data.values()).all(is_sum) {
            return Some("a SHA-256 is 64 hexadecimal digits".to_owned());
        }
        if let Some(name) = self.external_data.keys().find(|name| !is_file_name(name)) {
            return Some(format!("'{name}' is not the name of a file beside the model"));
        }
        self.preparation.fault()
    }

    /// The manifest as a file has it.
    pub fn to_text(&self) -> String {
        // Names and numbers alone, which TOML can hold.
        let body = toml::to_string(self).unwrap_or_else(|e| unreachable!("a manifest as TOML: {e}"));
        format!("# How pictures get into the model beside this file, and an embedding out of it.\n{body}")
    }

    /// Names all that an embedding depends on: the model by its sum, the output, the pooling and the preparation. Not the runtime.
    pub fn fingerprint(&self) -> String {
        let external: String = self.external_data.values().map(|sum| format!("+{sum}")).collect();
        format!(
            "onnx {}{external} output={} pooling={} normalize={} {}",
            self.sha256.to_ascii_lowercase(),
            self.output,
            self.pooling,
            self.normalize,
            self.preparation.fingerprint()
        )
    }
}

/// Whether a name is one of a file in the same folder.
pub(crate) fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let first = parts.next();
    matches!(first, Some(std::path::Component::Normal(_)))
        && parts.next().is_none()
        && !name.contains(['/', '\\'])
}

/// Values that are written as their text.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err = String>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::preset::Preset;

    pub(crate) fn manifest() -> Manifest {
        Manifest {
            format: MANIFEST_FORMAT,
            sha256: "ab".repeat(32),
            output: "embedding".to_owned(),
            pooling: Pooling::None,
            normalize: true,
            licence: "MIT".to_owned(),
            source: String::new(),
            preparation: Preset::ImageNet.preparation([8, 6], Channels::Rgb, Layout::Nchw),
            external_data: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut made = manifest();
        made.external_data.insert("m.onnx_data".to_owned(), "cd".repeat(32));
        let text = made.to_text();
        assert_eq!(Manifest::parse(&text, Path::new("m.onnx.toml")).unwrap(), made);
        assert!(text.contains("range = \"0-1\"") && text.contains("filter = \"bilinear\""), "{text}");
        assert_eq!(Manifest::beside(Path::new("a/m.onnx")), Path::new("a/m.onnx.toml"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let text = manifest().to_text();
        for (from, to, why) in [
            ("format = 1", "format = 9", "format is 9"),
            ("normalize", "normalise", "unknown field `normalise`"),
            ("\"abab", "\"xbab", "64 hexadecimal digits"),
            ("crop = 0.875", "crop = 2.0", "crop is a share"),
            ("size = [8, 6]", "size = [8, 0]", "from 1 to 1024"),
            ("mean = [0.485, ", "mean = [", "mean has a number for each of 3 channels"),
            ("std = [0.229", "std = [0.0", "std is not 0"),
            ("\"fill\"", "\"full\"", "did you mean 'fill'"),
            ("pooling = \"none\"", "pooling = \"max\"", "unknown variant `max`"),
            (
                "[preparation]",
                "[external_data]\n\"../x\" = \"SUM\"\n[preparation]",
                "is not the name of a file",
            ),
        ] {
            let wrong = text.replace(from, to).replace("SUM", &"00".repeat(32));
            assert_ne!(wrong, text, "{from}");
            let said = Manifest::parse(&wrong, Path::new("m.toml")).unwrap_err().to_string();
            assert!(said.contains(why) && said.contains("m.toml") && !said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn the_fingerprint_names_all_that_numbers_depend_on_and_nothing_else() {
        let first = manifest();
        let changed = |change: &dyn Fn(&mut Manifest)| {
            let mut other = first.clone();
            change(&mut other);
            other.fingerprint() != first.fingerprint()
        };
        assert!(!changed(&|m| m.licence = "Apache-2.0".to_owned()));
        assert!(!changed(&|m| m.source = "a hub".to_owned()));
        assert!(!changed(&|m| m.sha256 = m.sha256.to_ascii_uppercase()));
        assert!(changed(&|m| m.sha256 = "00".repeat(32)));
        assert!(changed(&|m| m.output = "logits".to_owned()));
        assert!(changed(&|m| m.pooling = Pooling::Mean));
        assert!(changed(&|m| m.normalize = false));
        assert!(changed(&|m| m.preparation.mean[1] = 0.5));
        assert!(changed(&|m| m.preparation.std[2] = 0.5));
        assert!(changed(&|m| m.preparation.size = [6, 8]));
        assert!(changed(&|m| m.preparation.crop = Crop::WHOLE));
        assert!(changed(&|m| m.preparation.filter = Filter::Bicubic));
        assert!(changed(&|m| m.preparation.resize = Resize::Squash));
        assert!(changed(&|m| m.preparation.channels = Channels::Bgr));
        assert!(changed(&|m| m.preparation.layout = Layout::Nhwc));
        assert!(changed(&|m| m.preparation.range = ValueRange::Byte));
        assert!(changed(&|m| drop(m.external_data.insert("a.data".to_owned(), "00".repeat(32)))));
    }

    #[test]
    fn bytes_become_what_the_network_was_trained_on() {
        let mut of = manifest().preparation;
        let values = of.values();
        assert!((values[0][255] - (1.0 - 0.485) / 0.229).abs() < 1e-6);
        (of.range, of.mean, of.std) = (ValueRange::Byte, vec![127.0; 3], vec![128.0; 3]);
        assert_eq!((of.values()[2][127], of.values()[2][255]), (0.0, 1.0));
    }
}
