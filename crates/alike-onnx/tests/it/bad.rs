//! Broken models and wrong manifests: one sentence each, which says what is wrong, where, and what helps.

use crate::scene::{fixture, manifest, open, with_weights};
use alike::data::Resize;
use alike_onnx::{Channels, Layout, Manifest, ModelFile, OnnxEncoder, OnnxError, Pooling, Preset};
use std::path::Path;

/// The sentence that refuses a model.
fn refused(model: &Path, manifest: Manifest) -> String {
    let said = OnnxEncoder::with_manifest(model, manifest).unwrap_err().to_string();
    assert!(!said.contains('\n') && said.len() < 700, "{said}");
    said
}

fn assert_said(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no '{word}' in: {said}");
    }
}

#[test]
fn every_broken_model_is_refused_by_its_name_and_with_what_helps() {
    for (name, pooling, words) in [
        ("batch-4", Pooling::None, &["exactly 4 images", "dynamic batch"][..]),
        ("two-inputs", Pooling::None, &["2 inputs (pixels, text)", "image part alone"]),
        ("no-image", Pooling::None, &["the input 'x'", "FLOAT ? x 7", "four dimensions"]),
        ("bytes-in", Pooling::Mean, &["the input 'x'", "UINT8 1 x 3 x 8 x 6", "32-bit floats"]),
        ("unknown-operator", Pooling::None, &["operator Whiten (opset 17, node '/embedding')", "rten"]),
        ("foreign-operator", Pooling::None, &["operator org.example:Whiten (opset 0", "rten"]),
        ("group-normalization", Pooling::Mean, &["GroupNormalization (opset 18", "export"]),
        ("cubic-resize", Pooling::None, &["cubic", "'/larger'", "fixed input size"]),
        ("not-finite", Pooling::None, &["'embedding'", "NaN", "grey image"]),
        ("five-dimensions", Pooling::Mean, &["[1, 5, 4, 2, 6]", "two, three or four dimensions"]),
        ("whole-numbers", Pooling::Mean, &["'embedding'", "not made of 32-bit floats"]),
        ("outside", Pooling::None, &["'../weights.data'", "same folder"]),
        ("external", Pooling::None, &["external.onnx_data", "the manifest does not name it"]),
    ] {
        let model = fixture(&format!("{name}.onnx"));
        let said = refused(&model, manifest(&model, "embedding", pooling));
        assert_said(&said, words);
        assert!(said.contains(&format!("{name}.onnx")), "{name}: {said}");
    }
}

#[test]
fn an_output_must_be_there_and_fit_its_pooling() {
    let said = open("tiny.onnx", "embeding", Pooling::None).unwrap_err().to_string();
    assert_said(&said, &["'embeding'", "did you mean 'embedding'?", "outputs: logits, embedding, tokens"]);
    for (output, pooling, fits) in [
        ("embedding", Pooling::Mean, "pooling 'none' fits"),
        ("tokens", Pooling::None, "pooling 'mean' or 'cls' fits"),
        ("map", Pooling::Cls, "pooling 'mean' fits"),
    ] {
        let said = open("tiny.onnx", output, pooling).unwrap_err().to_string();
        assert_said(&said, &[output, fits]);
    }
}

#[test]
fn a_preparation_must_fit_the_input() {
    let model = fixture("tiny.onnx");
    let of = |size, channels, layout| Manifest {
        preparation: Preset::ImageNet.preparation(size, channels, layout),
        ..manifest(&model, "embedding", Pooling::None)
    };
    for (manifest, makes) in [
        (of([6, 8], Channels::Rgb, Layout::Nchw), "1 x 3 x 6 x 8"),
        (of([8, 6], Channels::Grey, Layout::Nchw), "1 x 1 x 8 x 6"),
        (of([8, 6], Channels::Rgb, Layout::Nhwc), "1 x 8 x 6 x 3"),
    ] {
        assert_said(&refused(&model, manifest), &["'pixels'", "? x 3 x 8 x 6", makes]);
    }
    let mut wrong = manifest(&model, "embedding", Pooling::None);
    wrong.preparation.std = vec![0.0; 3];
    assert_said(&refused(&model, wrong), &["tiny.onnx.toml", "std is not 0"]);
}

#[test]
fn a_manifest_of_another_file_is_refused() {
    let model = fixture("tiny.onnx");
    let other = manifest(&fixture("batch-4.onnx"), "embedding", Pooling::None);
    assert_said(&refused(&model, other), &["tiny.onnx.toml", "another file", "SHA-256"]);
    // Other weights beside the same model, and none.
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("external.onnx");
    for name in ["external.onnx", "external.onnx_data"] {
        std::fs::copy(fixture(name), folder.path().join(name)).unwrap();
    }
    let right = with_weights(&model, manifest(&model, "embedding", Pooling::None), &["external.onnx_data"]);
    let weights = folder.path().join("external.onnx_data");
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    assert_said(&refused(&model, right.clone()), &["external.onnx_data", "another file"]);
    std::fs::remove_file(&weights).unwrap();
    assert_said(&refused(&model, right), &["external.onnx_data", "cannot be read", "beside the model"]);
}

#[test]
fn what_lies_beside_a_model_is_its_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.onnx");
    std::fs::copy(fixture("tiny.onnx"), &model).unwrap();
    let said = OnnxEncoder::open(&model).unwrap_err().to_string();
    assert_said(&said, &["m.onnx has no manifest", "m.onnx.toml"]);
    let manifest = manifest(&model, "embedding", Pooling::None);
    std::fs::write(Manifest::beside(&model), manifest.to_text()).unwrap();
    assert_eq!(OnnxEncoder::open(&model).unwrap().manifest(), &manifest);
    assert_eq!(manifest.preparation.pictures().resize, Resize::Fill);
}

/// A file with these bytes, and a manifest that names their sum: the reader sees them, whatever they are.
fn opened(bytes: &[u8]) -> Result<OnnxEncoder, OnnxError> {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.onnx");
    std::fs::write(&model, bytes).unwrap();
    let manifest = manifest(&model, "embedding", Pooling::None);
    assert!(ModelFile::read(&model, &manifest).is_ok());
    OnnxEncoder::with_manifest(&model, manifest)
}

#[test]
fn what_is_no_model_and_what_is_half_a_model_are_told_apart() {
    for bytes in [&b""[..], b"no model at all", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04 a zip", &[0xff; 4000]] {
        let error = opened(bytes).unwrap_err();
        assert!(matches!(error, OnnxError::NotOnnx(_)), "{bytes:?}: {error}");
    }
    let whole = std::fs::read(fixture("tiny.onnx")).unwrap();
    for cut in [2, 17, 20, 40, 400, whole.len() - 300, whole.len() - 3, whole.len() - 1] {
        let error = opened(&whole[..cut]).unwrap_err();
        assert!(matches!(error, OnnxError::Cut(_)), "cut to {cut} bytes: {error}");
    }
    assert!(opened(&whole).is_ok());
}

#[test]
fn a_damaged_model_is_an_error_or_another_model_and_never_a_panic() {
    let whole = std::fs::read(fixture("tiny.onnx")).unwrap();
    // A panic would end the test; what runs without end, or takes all memory, is for a process of its own.
    let (mut refused, mut n) = (0, 0);
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 7);
        n += 1;
        refused += usize::from(opened(&bytes).is_err());
    }
    assert!(refused > n / 10, "{refused} of {n}");
}
