//! What networks compute, against ONNX Runtime: `fixtures/encoders.py`.

use crate::scene::{channels_last, fixture, manifest, open, with_weights};
use alike::encoder::{Encoder, EncoderError};
use alike::images::{Features, Images, Shape};
use alike_onnx::{Manifest, OnnxEncoder, Pooling};
use serde_json::Value;

const SHAPE: Shape = Shape { h: 8, w: 6, c: 3 };

fn facts() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("tiny.json")).unwrap()).unwrap()
}

fn images(facts: &Value) -> Images {
    let rows = facts["images"].as_array().unwrap();
    let bytes = rows.iter().flat_map(|r| r.as_array().unwrap()).map(|v| v.as_u64().unwrap() as u8);
    Images::new(SHAPE, bytes.collect())
}

fn assert_near(found: &Features, right: &Value, what: &str) {
    let right = right.as_array().unwrap();
    assert_eq!(found.len(), right.len(), "{what}");
    for (row, right) in found.rows().zip(right) {
        let right: Vec<f32> = right.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        assert_eq!(row.len(), right.len(), "{what}");
        let most = right.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in row.iter().zip(&right) {
            assert!((a - b).abs() <= 1e-5 * most, "{what}: {row:?} instead of {right:?}");
        }
    }
}

#[test]
fn outputs_of_every_rank_are_those_of_onnx_runtime() {
    let facts = facts();
    let images = images(&facts);
    for (output, pooling, right) in [
        ("embedding", Pooling::None, "embedding"),
        ("logits", Pooling::None, "logits"),
        ("tokens", Pooling::Mean, "tokens_mean"),
        ("tokens", Pooling::Cls, "tokens_first"),
        // What inner nodes compute: a map whose mean over places is the embedding, and the embedding with two sides of length 1.
        ("map", Pooling::Mean, "embedding"),
        ("/pool/out", Pooling::Mean, "embedding"),
    ] {
        let encoder = open("tiny.onnx", output, pooling).unwrap();
        let what = format!("{output} by {pooling}");
        let found = encoder.embed(&images).unwrap();
        assert_eq!(encoder.facts().dimension, found.d(), "{what}");
        assert_near(&found, &facts[right], &what);
    }
}

#[test]
fn layout_channels_and_range_are_the_manifests() {
    let facts = facts();
    let model = fixture("channels-last.onnx");
    let of = |preparation| Manifest { preparation, ..manifest(&model, "embedding", Pooling::None) };
    let encoder = OnnxEncoder::with_manifest(&model, of(channels_last())).unwrap();
    assert_near(&encoder.embed(&images(&facts)).unwrap(), &facts["channels_last_bgr_bytes"], "channels last");
}

#[test]
fn weights_beside_the_model_are_read() {
    let facts = facts();
    let model = fixture("external.onnx");
    let manifest =
        with_weights(&model, manifest(&model, "embedding", Pooling::None), &["external.onnx_data"]);
    let encoder = OnnxEncoder::with_manifest(&model, manifest.clone()).unwrap();
    assert_near(&encoder.embed(&images(&facts)).unwrap(), &facts["external"], "external weights");
    assert!(encoder.facts().fingerprint.contains(manifest.external_data.values().next().unwrap().as_str()));
}

#[test]
fn the_same_bits_at_any_number_of_threads_and_for_any_neighbours() {
    let facts = facts();
    let four = images(&facts);
    let many = four.select(&(0..40).map(|i| i % 4).collect::<Vec<_>>());
    let encoder = open("tiny.onnx", "embedding", Pooling::None).unwrap();
    let by = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| encoder.embed(&many).unwrap())
    };
    let (one, three) = (by(1), by(3));
    assert_eq!(one.data(), three.data());
    let alone = encoder.embed(&four.select(&[2])).unwrap();
    assert_eq!(alone.row(0), one.row(38));
    assert_eq!(encoder.embed(&four.select(&[])).unwrap().len(), 0);
}

#[test]
fn embeddings_have_length_1_where_the_manifest_says_so() {
    let facts = facts();
    let model = fixture("tiny.onnx");
    let manifest = Manifest { normalize: true, ..manifest(&model, "embedding", Pooling::None) };
    let encoder = OnnxEncoder::with_manifest(&model, manifest).unwrap();
    assert!(encoder.facts().unit_length);
    let found = encoder.embed(&images(&facts)).unwrap();
    for row in found.rows() {
        assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert_near(&encoder.raw(&images(&facts)).unwrap(), &facts["embedding"], "before it is scaled");
}

#[test]
fn images_of_another_shape_are_refused() {
    let encoder = open("tiny.onnx", "embedding", Pooling::None).unwrap();
    let other = Images::new(Shape { h: 6, w: 8, c: 3 }, vec![0; 144]);
    assert!(matches!(encoder.embed(&other), Err(EncoderError::Shape { .. })));
}
