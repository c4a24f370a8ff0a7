//! Real encoders, where `ALIKE_MODELS` has them: their outputs against ONNX Runtime's.

use crate::scene::{manifest, open};
use alike::encoder::Encoder;
use alike::images::Images;
use alike_onnx::{
    Agreement, Channels, InputPreparation, Layout, Manifest, OnnxEncoder, Pooling, Preset, Reference,
    ValueRange,
};
use std::path::PathBuf;

fn models(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ALIKE_MODELS").filter(|f| !f.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        println!(
            "{test} is skipped: ALIKE_MODELS names no folder with efficientnet-lite0.onnx and dlib-face.onnx"
        );
    }
    folder
}

/// EfficientNet-Lite0: `(x - 127) / 128` of bytes.
fn lite0() -> InputPreparation {
    InputPreparation {
        range: ValueRange::Byte,
        mean: vec![127.0; 3],
        std: vec![128.0; 3],
        ..Preset::ImageNet.preparation([224, 224], Channels::Rgb, Layout::Nchw)
    }
}

fn agreements(folder: &std::path::Path, name: &str, preparation: InputPreparation) -> Vec<Agreement> {
    let model = folder.join(format!("{name}.onnx"));
    let manifest = Manifest { preparation, ..manifest(&model, "embedding", Pooling::None) };
    let encoder = OnnxEncoder::with_manifest(&model, manifest).unwrap();
    let reference = Reference::read(&folder.join("reference.json"), &[name]).unwrap().unwrap();
    reference.compare(&encoder).unwrap()
}

/// Pillow's bilinear scaling of a grey picture (`Resample.c`): weights as whole numbers of 22 bits, first along rows, then along columns,
/// each result rounded to a byte.
fn as_pillow_scales(picture: &[u8], [h, w]: [usize; 2], [to_h, to_w]: [usize; 2]) -> Vec<u8> {
    let weights = |from: usize, to: usize| -> Vec<(usize, Vec<i64>)> {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        (0..to)
            .map(|i| {
                let centre = (i as f64 + 0.5) * scale;
                let first = ((centre - support + 0.5) as i64).max(0) as usize;
                let end = ((centre + support + 0.5) as i64).min(from as i64) as usize;
                let raw = |x: usize| (1.0 - ((x as f64 - centre + 0.5) / support).abs()).max(0.0);
                let sum: f64 = (first..end).map(raw).sum();
                let whole = |x: usize| (raw(x) / sum * f64::from(1 << 22) + 0.5) as i64;
                (first, (first..end).map(whole).collect())
            })
            .collect()
    };
    let round = |sum: i64| ((sum + (1 << 21)) >> 22).clamp(0, 255) as u8;
    let (rows, columns) = (weights(h, to_h), weights(w, to_w));
    let wide: Vec<u8> = (0..h)
        .flat_map(|y| {
            columns.iter().map(move |(x, k)| {
                let at = &picture[y * w + x..];
                round(k.iter().zip(at).map(|(k, v)| k * i64::from(*v)).sum())
            })
        })
        .collect();
    let column = |y: &(usize, Vec<i64>), x: usize| {
        round(y.1.iter().enumerate().map(|(i, k)| k * i64::from(wide[(y.0 + i) * to_w + x])).sum())
    };
    rows.iter().flat_map(|y| (0..to_w).map(|x| column(y, x)).collect::<Vec<_>>()).collect()
}

/// The runtime alone: pixels are Pillow's, to the byte.
#[test]
fn on_the_same_pixels_efficientnet_lite0_gives_what_onnx_runtime_does() {
    let Some(folder) = models("efficientnet-lite0 on Pillow's pixels") else { return };
    let model = folder.join("efficientnet-lite0.onnx");
    let manifest = Manifest { preparation: lite0(), ..manifest(&model, "embedding", Pooling::None) };
    let encoder = OnnxEncoder::with_manifest(&model, manifest).unwrap();
    let text = std::fs::read_to_string(folder.join("reference.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut seen = 0;
    for (picture, expected) in all["efficientnet-lite0"].as_object().unwrap() {
        // A grey picture of 112 x 92 pixels without a comment in its header.
        let Some(bytes) =
            picture.ends_with(".pgm").then(|| std::fs::read(folder.join("..").join(picture)).unwrap())
        else {
            continue;
        };
        let pixels = &bytes[bytes.len() - 112 * 92..];
        let grey = as_pillow_scales(pixels, [112, 92], [224, 224]);
        let shape = encoder.facts().preparation.shape;
        let images = Images::new(shape, grey.iter().flat_map(|v| [*v; 3]).collect());
        let found = encoder.raw(&images).unwrap();
        let first: Vec<f64> = found.row(0)[..8].iter().map(|v| f64::from(*v)).collect();
        let right: Vec<f64> =
            expected["first8"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosine = product(&first, &right) / (product(&first, &first) * product(&right, &right)).sqrt();
        let length = found.row(0).iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let ratio = length / expected["norm"].as_f64().unwrap();
        assert!(cosine >= 0.9999 && (ratio - 1.0).abs() < 1e-4, "{picture}: cosine {cosine}, length {ratio}");
        seen += 1;
    }
    assert!(seen >= 3, "{seen} grey pictures");
}

#[test]
fn efficientnet_lite0_agrees_with_onnx_runtime_and_a_wrong_mean_is_noticed() {
    let Some(folder) = models("efficientnet-lite0") else { return };
    let found = agreements(&folder, "efficientnet-lite0", lite0());
    assert!(found.len() >= 4 && found.iter().all(Agreement::agrees), "{found:?}");
    let imagenet = Preset::ImageNet.preparation([224, 224], Channels::Rgb, Layout::Nchw);
    let wrong = agreements(&folder, "efficientnet-lite0", imagenet);
    assert!(!wrong.iter().any(Agreement::agrees), "{wrong:?}");
}

#[test]
fn dlibs_face_network_agrees_with_onnx_runtime() {
    let Some(folder) = models("dlib-face") else { return };
    let dlib = Preset::Dlib.preparation([150, 150], Channels::Rgb, Layout::Nchw);
    let found = agreements(&folder, "dlib-face", dlib);
    assert!(found.len() >= 4 && found.iter().all(|a| a.agrees() && a.cosine >= 0.9999), "{found:?}");
}

#[test]
fn a_reference_beside_the_small_model_is_found_and_compared_with() {
    let encoder = open("tiny.onnx", "embedding", Pooling::None).unwrap();
    let path = Reference::beside(&crate::scene::fixture("tiny.onnx")).unwrap();
    let reference = Reference::read(&path, &["no such", "tiny"]).unwrap().unwrap();
    let found = reference.compare(&encoder).unwrap();
    assert!(found.len() == 1 && found[0].agrees(), "{found:?}");
    assert!(Reference::read(&path, &["no such"]).unwrap().is_none());
    let logits = open("tiny.onnx", "logits", Pooling::None).unwrap();
    let said = reference.compare(&logits).unwrap_err().to_string();
    assert!(said.contains("reference.json") && said.contains("5 numbers"), "{said}");
}
