//! Checkpoints, galleries, footers of prepared images and runs that are taken.

use super::texts::settings;
use crate::models::Kept;
use crate::scratch::{Scratch, joined};
use alike::data::{DigitCounts, digits};
use alike::files::StagedFiles;
use alike::gallery::Gallery;
use alike::identity::{Identities, key};
use alike::images::Features;
use alike::model::{Checkpoint, Network, initial};
use alike::train::{Settings, Training};

/// Whose embeddings the gallery's are, and how many numbers an image has.
pub(crate) const FINGERPRINT: &str = "00112233445566778899aabbccddeeff";
pub(crate) const WIDTH: usize = 3;

fn saved(checkpoint: &Checkpoint) -> Vec<u8> {
    let scratch = Scratch::new();
    let path = scratch.at("x.safetensors");
    checkpoint.save(&path).unwrap_or_else(|e| panic!("{e}"));
    std::fs::read(path).unwrap_or_else(|e| panic!("{e}"))
}

fn network(spec: &str, input: &str) -> Checkpoint {
    let spec = spec.parse().unwrap_or_else(|e| panic!("{e}"));
    let network =
        Network::new(spec, input.parse().unwrap_or_else(|e| panic!("{e}"))).unwrap_or_else(|e| panic!("{e}"));
    let parameters = initial(&network, 1);
    Checkpoint::new(network, parameters)
}

pub(crate) fn checkpoint() -> Vec<Vec<u8>> {
    let mut first = network("norm conv(3) relu gap", "5x4x1");
    first.preparation.invert = true;
    first.extra.insert("optimizer.m".into(), vec![1.0, 2.5]);
    first.notes.insert("epoch".into(), 3.into());
    let more =
        ["conv(4) residual(norm(2) relu conv(4)) maxpool(2) gap linear(3) l2", "conv(2) avgpool(2) gap"];
    let mut all = vec![saved(&first)];
    all.extend(more.map(|spec| saved(&network(spec, "8x8x3"))));
    all.push(saved(&network("linear(4) l2", "1x1x6")));
    all
}

pub(crate) fn gallery() -> Vec<Vec<u8>> {
    let scratch = Scratch::new();
    let names = ["a/1.png", "a/2.png", "b/3.png"].map(str::to_owned).to_vec();
    let mut gallery = Gallery {
        features: Features::new(WIDTH, (0..9u8).map(f32::from).collect()),
        identities: Identities::new(names.iter().map(|n| (key(n, ""), n.as_str()))),
        names,
        labels: vec![Some(0), Some(0), None],
        classes: vec!["a".into()],
        groups: Vec::new(),
        fingerprint: FINGERPRINT.into(),
    };
    let mut files = |groups: Vec<String>| {
        gallery.groups = groups;
        let path = scratch.at("g.npy");
        let mut batch = StagedFiles::default();
        let staged = gallery.stage(&path, &mut batch).and_then(|()| batch.commit());
        staged.unwrap_or_else(|e| panic!("{e}"));
        let [table, facts] = Gallery::files(&path);
        joined(&[path, table, facts].map(|f| std::fs::read(f).unwrap_or_else(|e| panic!("{e}"))))
    };
    vec![files(Vec::new()), files(["x", "", "y"].map(str::to_owned).to_vec())]
}

pub(crate) fn cache() -> Vec<Vec<u8>> {
    vec![Kept::new().footer]
}

/// Runs that stopped before their first step.
pub(crate) fn run() -> Vec<Vec<u8>> {
    let data = digits(DigitCounts { train: 20, test: 10 }, 1);
    let small = |s: Settings| Settings {
        network: "conv(2, stride=4) relu gap".into(),
        sampler: "random".parse().unwrap_or_else(|e| panic!("{e}")),
        batch_size: 8,
        epochs: 1,
        ..s
    };
    let loss =
        |loss: &str| small(Settings { loss: loss.into(), miner: None, distance: None, ..settings("fast") });
    let remembers = Settings { memory: 16, ..loss("contrastive") };
    let averages = Settings { average: 0.9, ..loss("proxy-anchor") };
    let fixed = Settings {
        sampler: "fixed-triplets:count=12".parse().unwrap_or_else(|e| panic!("{e}")),
        ..small(settings("seed"))
    };
    [remembers, averages, loss("dynamic-soft-margin"), fixed]
        .map(|settings| {
            let config = toml::to_string(&settings).unwrap_or_else(|e| panic!("{e}"));
            let training = Training::new(settings, &data).unwrap_or_else(|e| panic!("{e}"));
            let metrics = concat!(
                "{\"kind\":\"step\",\"epoch\":1,\"step\":25,\"loss\":0.5,\"active\":0.25,\"d_ap\":0.1,\"d_an\":0.2,",
                "\"images_per_second\":100.0}\n"
            );
            let split = "part,name\ntrain,1.png\n";
            joined(&[config.into_bytes(), saved(&training.checkpoint()), metrics.into(), split.into()])
        })
        .to_vec()
}
