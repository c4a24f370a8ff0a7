//! What `train` chooses for thousands of photos, and what it leaves alone where something is asked for.

use crate::command::{Scene, kill};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// CIFAR-10's files with 3,000 training images of two classes, in middling colours.
fn photos() -> Scene {
    let scene = Scene::new();
    let record = |i: usize| {
        let pixel = move |at: usize| 60 + ((i * 31 + at * (7 + i % 2)) % 120) as u8;
        std::iter::once((i % 2) as u8).chain((0..3072).map(pixel)).collect::<Vec<u8>>()
    };
    for file in 0..5 {
        let records: Vec<u8> = (0..600).flat_map(|i| record(600 * file + i)).collect();
        scene.write(&format!("photos/data_batch_{}.bin", file + 1), &records);
    }
    scene.write("photos/test_batch.bin", &(0..20).flat_map(record).collect::<Vec<_>>());
    scene.write("photos/batches.meta.txt", b"plane\ncar\n");
    scene
}

#[test]
fn thousands_of_photos_get_their_own_settings() {
    let scene = photos();
    // A run says what it will do before it begins, so none is waited for.
    let config = |flags: &str| {
        let run = scene.path("run");
        let _ = std::fs::remove_dir_all(&run);
        let child = scene.start(&format!("train --data photos --out run --epochs 1 -q {flags}"));
        let began = Instant::now();
        let written = loop {
            match std::fs::read_to_string(run.join("config.toml")) {
                Ok(written) => break written,
                Err(_) if began.elapsed() < Duration::from_secs(60) => sleep(Duration::from_millis(20)),
                Err(e) => panic!("{flags}: no settings after a minute: {e}"),
            }
        };
        kill(child);
        written
    };
    let has = |config: &str, settings: &[&str]| {
        for setting in settings {
            assert!(config.lines().any(|line| line == *setting), "{setting} is not in:\n{config}");
        }
    };
    let muon = ["learning-rate = 0.01", "weight-decay = 0.5"];
    let chosen = config("");
    has(&chosen, &muon);
    has(&chosen, &["first-size = 0.625", "start = \"patches\""]);
    assert!(chosen.contains("conv(24) norm(3)") && chosen.contains("fall=sqrt"), "{chosen}");
    // A network that is named begins as any does, and need not be one that takes small images.
    scene.write("network", b"norm conv(8) maxpool(4) relu linear(16) l2");
    let named = config("--network @network");
    has(&named, &muon);
    assert!(!named.contains("first-size") && !named.contains("start ="), "{named}");
    // Other optimisers do not take Muon's rate.
    let adamw = config("--optimizer adamw");
    assert!(!muon.iter().any(|setting| adamw.contains(setting)), "{adamw}");
    has(&config("--optimizer adamw --learning-rate 0.01"), &muon[..1]);
    has(&config("--optimizer muon:momentum=0.8"), &muon);
}
