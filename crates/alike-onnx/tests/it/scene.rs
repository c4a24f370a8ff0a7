//! Models of `fixtures/encoders`, and manifests for them.

use alike_onnx::{
    Channels, InputPreparation, Layout, MANIFEST_FORMAT, Manifest, OnnxEncoder, OnnxError, Pooling, Preset,
    ValueRange, external_files, sha256_hex,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/encoders").join(name)
}

/// A manifest of a file, whatever it holds: images of 8 x 6 pixels, prepared as those of ImageNet.
pub(crate) fn manifest(model: &Path, output: &str, pooling: Pooling) -> Manifest {
    Manifest {
        format: MANIFEST_FORMAT,
        sha256: sha256_hex(&std::fs::read(model).unwrap()),
        output: output.to_owned(),
        pooling,
        normalize: false,
        licence: String::new(),
        source: String::new(),
        preparation: Preset::ImageNet.preparation([8, 6], Channels::Rgb, Layout::Nchw),
        external_data: BTreeMap::new(),
    }
}

pub(crate) fn with_weights(model: &Path, mut manifest: Manifest, names: &[&str]) -> Manifest {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let files = external_files(model, &names).unwrap();
    manifest.external_data = files.into_iter().map(|(name, bytes)| (name, sha256_hex(&bytes))).collect();
    manifest
}

pub(crate) fn open(name: &str, output: &str, pooling: Pooling) -> Result<OnnxEncoder, OnnxError> {
    let model = fixture(name);
    OnnxEncoder::with_manifest(&model, manifest(&model, output, pooling))
}

/// TensorFlow's layout, blue before red, bytes as they are.
pub(crate) fn channels_last() -> InputPreparation {
    InputPreparation {
        channels: Channels::Bgr,
        layout: Layout::Nhwc,
        range: ValueRange::Byte,
        mean: vec![0.0; 3],
        std: vec![1.0; 3],
        ..Preset::ImageNet.preparation([8, 6], Channels::Rgb, Layout::Nchw)
    }
}
