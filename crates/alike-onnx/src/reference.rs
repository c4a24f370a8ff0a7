//! Reference outputs: whether pictures come to the numbers that another program made of them.
//!
//! A file `reference.json` holds, by model (the ONNX file's name without its ending), by picture (a path, from the file's folder or the one
//! above it), the first numbers of the network's output, its length, and how many numbers it has. Pictures are scaled to the input's size
//! without regard to their proportions, bilinearly, as Pillow does.

use crate::encoder::OnnxEncoder;
use crate::error::OnnxError;
use alike::data::{DataPaths, Filter, OnError, Preparation, Quiet, Resize, load_pictures};
use alike::encoder::{Encoder, EncoderError};
use alike::files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reference outputs of one model.
#[derive(Clone, Debug)]
pub struct Reference {
    path: PathBuf,
    pictures: BTreeMap<String, ReferencePicture>,
}

/// What another program made of a picture.
#[derive(Clone, Debug, Deserialize)]
pub struct ReferencePicture {
    /// The first numbers.
    first8: Vec<f64>,
    /// The length of all of it.
    norm: f64,
    /// How many numbers it has.
    dim: usize,
}

/// How near a picture comes to its reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agreement {
    /// The picture.
    pub picture: String,
    /// The cosine of the first numbers and those of the reference.
    pub cosine: f64,
    /// The length of the embedding, as a multiple of the reference's.
    pub length_ratio: f64,
}

impl Agreement {
    /// The least cosine. Two runtimes agree to 0.9999 and better on the same pixels; but scaled pixels differ from Pillow's by one step of
    /// brightness here and there, and decoded JPEGs do, which some networks see.
    pub const LEAST_COSINE: f64 = 0.999;
    /// How far the lengths may differ, as a share.
    pub const MOST_APART: f64 = 0.02;

    /// Whether the embedding is the reference's, but for rounding.
    pub fn agrees(&self) -> bool {
        self.cosine >= Agreement::LEAST_COSINE && (self.length_ratio - 1.0).abs() <= Agreement::MOST_APART
    }
}

impl Reference {
    /// The file of reference outputs that lies beside a model, if one does.
    pub fn beside(model: &Path) -> Option<PathBuf> {
        let path = model.with_file_name("reference.json");
        path.is_file().then_some(path)
    }

    /// Reads the reference outputs of the model that goes by one of the `names`; nothing if the file has none.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(path: &Path, names: &[&str]) -> Result<Option<Reference>, OnnxError> {
        let text = files::read_text(path)?;
        let mut all: BTreeMap<String, BTreeMap<String, ReferencePicture>> =
            serde_json::from_str(&text).map_err(|e| wrong(path, e.to_string()))?;
        let found = names.iter().find_map(|name| all.remove(*name));
        Ok(found.map(|pictures| Reference { path: path.to_owned(), pictures }))
    }

    /// How many pictures it has.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Embeds the pictures and compares what comes out.
    ///
    /// # Errors
    ///
    /// If a picture is not there or cannot be embedded, or has another number of values.
    pub fn compare(&self, encoder: &OnnxEncoder) -> Result<Vec<Agreement>, OnnxError> {
        let shape = encoder.facts().preparation.shape;
        let mut preparation = Preparation::exact(shape);
        (preparation.resize, preparation.filter) = (Resize::Squash, Filter::Bilinear);
        let mut all = Vec::new();
        for (picture, expected) in &self.pictures {
            let file = [self.path.with_file_name(picture), self.path.with_file_name("..").join(picture)];
            let Some(file) = file.into_iter().find(|f| f.is_file()) else {
                return Err(wrong(&self.path, format!("its picture {picture} is not there")));
            };
            let paths = DataPaths { keep: alike::data::Keep::Memory, ..DataPaths::default() };
            let data = load_pictures(&[file], &preparation, false, OnError::Fail, &paths, &mut Quiet)?;
            let found = encoder.raw(&data.train.images).map_err(|e| match e {
                EncoderError::Other(e) => OnnxError::Refused(e.to_string()),
                e => encoder.failed(e.to_string()),
            })?;
            if found.d() != expected.dim || expected.first8.len() > expected.dim {
                let why = format!(
                    "it has {} numbers for {picture}, but the model gives {}",
                    expected.dim,
                    found.d()
                );
                return Err(wrong(&self.path, why));
            }
            let row: Vec<f64> = found.row(0).iter().map(|v| f64::from(*v)).collect();
            let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
            let first = &row[..expected.first8.len()];
            let product: f64 = first.iter().zip(&expected.first8).map(|(a, b)| a * b).sum();
            let lengths = length(first) * length(&expected.first8);
            all.push(Agreement {
                picture: picture.clone(),
                cosine: if lengths > 0.0 { product / lengths } else { 0.0 },
                length_ratio: length(&row) / expected.norm,
            });
        }
        Ok(all)
    }
}

fn wrong(path: &Path, why: String) -> OnnxError {
    OnnxError::Reference { path: path.to_owned(), why }
}
