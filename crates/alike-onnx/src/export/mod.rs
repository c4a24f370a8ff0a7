//! Writes networks that were trained here as ONNX files: bytes of prepared pictures in, embeddings out.
//!
//! The file has a dynamic batch and plain operators of opset 17, and a manifest beside it, so that it is an encoder like any other. A head
//! becomes one file with the encoder below it: the nodes of both, one after the other.

mod graph;
mod proto;

use crate::contents::{Contents, Tensor, parse};
use crate::error::OnnxError;
use crate::file::{ModelFile, sha256_hex};
use crate::manifest::{Channels, InputPreparation, Layout, MANIFEST_FORMAT, Manifest, ValueRange};
use crate::pooling::Pooling;
use alike::data::Preparation;
use alike::files::StagedFiles;
use alike::images::Shape;
use alike::model::Checkpoint;
use graph::Graph;
use proto::{Message, fields};
use std::path::Path;

/// What operators are written for.
const OPSET: i64 = 17;
/// The version of the format that came with that opset.
const IR_VERSION: i64 = 8;
const INPUT: &str = "pixels";
/// The output that is the embedding.
const OUTPUT: &str = "embedding";

/// What is written: a model and its manifest.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The ONNX file.
    pub model: Vec<u8>,
    /// What it does not say of itself.
    pub manifest: Manifest,
}

/// A network of ours that takes pictures.
///
/// # Errors
///
/// If it takes features, or pictures that ONNX encoders are not given: those whose brightness is stretched or inverted.
pub fn export(checkpoint: &Checkpoint, source: &str) -> Result<Exported, OnnxError> {
    let network = &checkpoint.network;
    let Preparation { shape, resize, crop, filter, .. } = checkpoint.preparation;
    if shape.is_features() {
        return Err(OnnxError::Export(
            "it takes features, and only what takes pictures can be an encoder".into(),
        ));
    }
    stated(&checkpoint.preparation)?;
    let mut graph = Graph::new(OPSET, "alike/");
    let x = graph.pictures(INPUT);
    graph.network(network, &checkpoint.parameters, &x, OUTPUT);
    let Shape { h, w, c } = shape;
    let head =
        Message::default().text(2, "alike").message(11, value(INPUT, &[None, Some(h), Some(w), Some(c)]));
    let graph = graph.append_to(head.message(12, value(OUTPUT, &[None, Some(network.embedding())])));
    let model = Message::default()
        .int(1, IR_VERSION)
        .text(2, "alike")
        .message(8, Message::default().text(1, "").int(2, OPSET))
        .message(7, graph)
        .into_bytes();
    let preparation = InputPreparation {
        size: [h, w],
        resize,
        filter,
        crop,
        channels: if c == 1 { Channels::Grey } else { Channels::Rgb },
        layout: Layout::Nhwc,
        range: ValueRange::Byte,
        mean: vec![0.0; c],
        std: vec![1.0; c],
    };
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        sha256: sha256_hex(&model),
        output: OUTPUT.to_owned(),
        pooling: Pooling::None,
        normalize: false,
        licence: String::new(),
        source: source.to_owned(),
        preparation,
        external_data: std::collections::BTreeMap::new(),
    };
    Ok(Exported { model, manifest })
}

/// Refuses what is done to pictures and no manifest can say.
fn stated(preparation: &Preparation) -> Result<(), OnnxError> {
    let what = match preparation {
        Preparation { invert: true, .. } => "inverted",
        Preparation { stretch: true, .. } => "stretched in brightness",
        _ => return Ok(()),
    };
    Err(OnnxError::Export(format!("its pictures are {what}, which a manifest cannot say")))
}

/// A head of ours and the encoder below it, in one file; `seen` is how pictures are prepared for it, where that is not as the encoder's manifest says.
///
/// # Errors
///
/// If pictures are prepared in a way that a manifest cannot say, the encoder's file is no ONNX file that can be added to, has its weights in other files, or the head takes other features than it makes.
pub fn export_head(
    checkpoint: &Checkpoint,
    (model, manifest): (&Path, &Manifest),
    seen: Option<&Preparation>,
    source: &str,
) -> Result<Exported, OnnxError> {
    seen.map_or(Ok(()), stated)?;
    let damaged = || OnnxError::Damaged { path: model.to_owned(), why: "its messages have no end".into() };
    let file = ModelFile::read(model, manifest)?;
    if !file.external.is_empty() {
        let why =
            "the encoder below it has its weights in further files; merge them into one ONNX file first";
        return Err(OnnxError::Export(why.into()));
    }
    let contents = Contents::of(&parse(model, &file.bytes)?);
    let parts = fields(&file.bytes).ok_or_else(damaged)?;
    let (_, _, inner) = parts.iter().rev().find(|f| f.0 == 7).ok_or_else(damaged)?;
    let inner = file.bytes[inner.clone().ok_or_else(damaged)?].to_vec();
    // The encoder below it may be one of ours, or a head on one.
    let prefix = format!("head-{}/", &manifest.sha256[..manifest.sha256.len().min(8)]);
    let own_output = format!("{prefix}embedding");
    let mut graph = Graph::new(contents.opset, &prefix);
    let rank = contents.values.iter().find(|v| v.name == manifest.output).and_then(Tensor::rank);
    let below = &manifest.output;
    let x = match (manifest.pooling, rank) {
        (Pooling::None, _) => below.clone(),
        (Pooling::Cls, _) => graph.first_token(below),
        (Pooling::Mean, Some(4)) if manifest.preparation.layout == Layout::Nchw => {
            graph.pooled(below, &[2, 3])
        }
        (Pooling::Mean, Some(4)) => graph.pooled(below, &[1, 2]),
        (Pooling::Mean, Some(3)) => graph.pooled(below, &[1]),
        (Pooling::Mean, _) => {
            let why = format!(
                "the encoder below it does not say the shape of its output '{below}', over which a mean is taken"
            );
            return Err(OnnxError::Export(why));
        }
    };
    let x = if manifest.normalize { graph.unit_length(&x) } else { x };
    let x = graph.features(&x, checkpoint.network.input().c);
    graph.network(&checkpoint.network, &checkpoint.parameters, &x, &own_output);
    let output = value(&own_output, &[None, Some(checkpoint.network.embedding())]);
    let graph = graph.append_to(Message::from_bytes(inner)).message(12, output);
    // All of the model but its graph, then the new one.
    let rest: Vec<u8> =
        parts.iter().filter(|f| f.0 != 7).flat_map(|f| file.bytes[f.1.clone()].iter().copied()).collect();
    let model = Message::from_bytes(rest).message(7, graph).into_bytes();
    let manifest = Manifest {
        sha256: sha256_hex(&model),
        output: own_output,
        pooling: Pooling::None,
        normalize: false,
        source: source.to_owned(),
        preparation: match seen {
            None => manifest.preparation.clone(),
            Some(Preparation { resize, crop, filter, .. }) => InputPreparation {
                resize: *resize,
                crop: *crop,
                filter: *filter,
                ..manifest.preparation.clone()
            },
        },
        ..manifest.clone()
    };
    Ok(Exported { model, manifest })
}

impl Exported {
    /// Writes the model, and its manifest beside it: both or neither.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), OnnxError> {
        let mut staged = StagedFiles::default();
        staged.stage(&Manifest::beside(path), |w| w.write_all(self.manifest.to_text().as_bytes()))?;
        staged.stage(path, |w| w.write_all(&self.model))?;
        Ok(staged.commit()?)
    }
}

/// An input or output of floats; a dimension that is nothing is the batch.
fn value(name: &str, dims: &[Option<usize>]) -> Message {
    let shape = dims.iter().fold(Message::default(), |shape, dim| {
        let dim = match dim {
            Some(n) => Message::default().int(1, *n as i64),
            None => Message::default().text(2, "batch"),
        };
        shape.message(1, dim)
    });
    let tensor = Message::default().int(1, 1).message(2, shape);
    Message::default().text(1, name).message(2, Message::default().message(1, tensor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::OnnxEncoder;
    use alike::encoder::{Encoder, Headed, TrainedNetwork};
    use alike::images::{Features, Images};
    use alike::model::{Network, initial};

    fn images(shape: Shape, n: usize) -> Images {
        let byte = |i: usize| ((i * 7919 + i * i % 251) % 256) as u8;
        Images::new(shape, (0..n * shape.len()).map(byte).collect())
    }

    fn checkpoint(text: &str, shape: Shape) -> Checkpoint {
        let network = Network::new(text.parse().unwrap(), shape).unwrap();
        let mut parameters = initial(&network, 7);
        // Scales and shifts are not those that change nothing.
        parameters.iter_mut().enumerate().for_each(|(i, p)| *p += 0.05 * ((i % 13) as f32 - 6.0) / 6.0);
        Checkpoint::new(network, parameters)
    }

    /// As near as a ten-thousandth of the vector's length.
    fn assert_same(got: &Features, want: &Features) {
        assert_eq!((got.len(), got.d()), (want.len(), want.d()));
        for (g, w) in got.rows().zip(want.rows()) {
            let length = |v: &mut dyn Iterator<Item = f32>| v.map(|x| x * x).sum::<f32>().sqrt();
            let apart = length(&mut g.iter().zip(w).map(|(a, b)| a - b));
            let norm = length(&mut w.iter().copied());
            assert!(apart <= 1e-4 * norm && norm > 0.0, "{apart} of {norm}");
        }
    }

    #[test]
    fn every_layer_is_written_as_our_engine_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let shape = |h, w, c| Shape { h, w, c };
        for (i, (text, shape)) in [
            ("norm relu conv(8) maxpool(2) norm(4) relu conv(8) gap", shape(12, 10, 1)),
            ("norm conv(6, kernel=5, stride=2) relu avgpool(2) linear(9) l2", shape(17, 15, 3)),
            ("conv(8, pad=0) maxpool(3, stride=2) residual(norm(2) relu conv(8) norm(4, eps=1e-3) relu conv(8)) gap l2", shape(16, 16, 3)),
            ("norm linear(12) relu residual(linear(5) relu linear(12)) linear(4)", shape(5, 4, 1)),
            ("conv(4) avgpool(3, stride=2) relu linear(3)", shape(9, 11, 3)),
            ("norm conv(12) relu conv(5) gmp", shape(13, 9, 3)),
        ]
        .into_iter()
        .enumerate()
        {
            let checkpoint = checkpoint(text, shape);
            let exported = export(&checkpoint, "a test").unwrap();
            let path = folder.path().join(format!("{i}.onnx"));
            exported.write(&path).unwrap();
            let encoder = OnnxEncoder::open(&path).unwrap();
            assert_eq!(encoder.facts().preparation, checkpoint.preparation, "{text}");
            let images = images(shape, 5);
            let want = TrainedNetwork::new(checkpoint).unwrap().embed(&images).unwrap();
            assert_same(&encoder.embed(&images).unwrap(), &want);
        }
    }

    #[test]
    fn a_head_and_the_encoder_below_it_become_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { h: 12, w: 12, c: 3 };
        let below = folder.path().join("below.onnx");
        for normalize in [false, true] {
            let mut written = export(&checkpoint("norm conv(8) relu conv(16) gap", shape), "below").unwrap();
            written.manifest.normalize = normalize;
            written.write(&below).unwrap();
            let base = || OnnxEncoder::open(&below).unwrap();
            let head = checkpoint("norm residual(linear(8) relu linear(16)) l2", Shape { h: 1, w: 1, c: 16 });
            let path = folder.path().join("whole.onnx");
            export_head(&head, (&below, base().manifest()), None, "a test").unwrap().write(&path).unwrap();
            let images = images(shape, 6);
            let headed = Headed::new(base(), TrainedNetwork::new(head).unwrap()).unwrap();
            assert_same(
                &OnnxEncoder::open(&path).unwrap().embed(&images).unwrap(),
                &headed.embed(&images).unwrap(),
            );
        }
    }

    #[test]
    fn what_no_encoder_could_be_is_refused() {
        let features = checkpoint("linear(4) l2", Shape { h: 1, w: 1, c: 6 });
        assert!(matches!(export(&features, ""), Err(OnnxError::Export(why)) if why.contains("features")));
        let mut inverted = checkpoint("conv(4) gap", Shape { h: 8, w: 8, c: 1 });
        inverted.preparation.invert = true;
        assert!(matches!(export(&inverted, ""), Err(OnnxError::Export(why)) if why.contains("inverted")));
    }
}
