//! Heads on encoders that others trained, and models written as ONNX files.

use crate::command::Scene;
use serde_json::Value;

/// Pictures of six classes that differ in a stripe, and the small encoder by name.
fn scene() -> Scene {
    let scene = Scene::new();
    for class in 0..6u32 {
        for i in 0..10u32 {
            let image = image::RgbImage::from_fn(40, 40, |x, y| {
                let h = (x * 31 + y * 17 + i * 101 + class * 7).wrapping_mul(2_654_435_761) >> 24;
                let stripe = if (x + class * 5) % 30 < 6 { 90 } else { 0 };
                image::Rgb([(h % 120) as u8 + stripe, (h % 90) as u8, (30 * class) as u8 / 2 + stripe / 2])
            });
            let mut bytes = std::io::Cursor::new(Vec::new());
            image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            scene.write(&format!("pictures/c{class}/{i}.png"), bytes.get_ref());
        }
    }
    crate::encoders::bring(&scene, &["tiny.onnx"]);
    scene.ok("encoders add tiny.onnx --preset imagenet --name tiny -q");
    scene
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn a_head_is_chosen_trained_used_and_written_as_one_file() {
    let scene = scene();
    let trained = scene.alike("train --encoder tiny --data pictures --out run");
    assert_eq!(trained.code, 0, "{trained:?}");
    assert!(trained.stderr.contains("raw") && trained.stderr.contains("auto: "), "{trained:?}");
    let config = std::fs::read_to_string(scene.path("run/config.toml")).unwrap();
    assert!(config.contains("encoder = \"tiny\"") && config.contains("encoder-fingerprint"), "{config}");
    // The same again by its own settings.
    scene.ok("train --config run/config.toml --out again -q");
    let bytes = |name: &str| std::fs::read(scene.path(name)).unwrap();
    assert_eq!(bytes("run/last.safetensors"), bytes("again/last.safetensors"));

    // A run like any other, judged against the encoder without it.
    let judged = value(&scene.ok("eval run --json -q"));
    assert_eq!(judged["baseline"], "encoder");
    let raw = value(&scene.ok("eval tiny --data pictures --json -q"));
    assert_eq!(raw["baseline"], "pixels");
    let one = |v: &Value, space: &str| v["spaces"][space]["knn"]["1"]["accuracy"].clone();
    assert_eq!(one(&judged, "image"), one(&raw, "feature"), "{judged:#}");
    scene.ok("search run pictures/c0/1.png --gallery pictures -q");
    scene.ok("report run -q");

    // With whatever network, resumed, and as one ONNX file whose embeddings are the same.
    scene.ok("train --encoder tiny --data pictures --out own --network deep-head --epochs 2 --loss proxy-anchor -q");
    scene.ok("train --resume own --epochs 3 -q");
    scene.ok("export own --onnx own.onnx -q");
    for model in ["own", "own.onnx"] {
        scene.ok(&format!("embed {model} pictures -o {model}.npy -q"));
    }
    let (ours, theirs) = (numbers(&scene, "own.npy"), numbers(&scene, "own.onnx.npy"));
    assert_eq!(ours.len(), theirs.len());
    let most = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 1e-4, "{most}");

    // Without its encoder, and with another of its name.
    scene.ok("encoders remove tiny -q");
    scene.refused("eval run", 1, &["'tiny'", "which is not here"]);
    scene.ok("encoders add tiny.onnx --preset dlib --name tiny -q");
    scene.refused("search run pictures/c0/1.png --gallery pictures", 1, &["another encoder"]);
}

/// The numbers of a `.npy` file of floats.
fn numbers(scene: &Scene, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(scene.path(name)).unwrap();
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[head..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn the_part_that_an_encoder_sees_is_kept_with_the_head() {
    let scene = scene();
    // Tall pictures, whose class shows in the lower square alone; and these squares, cut by another program.
    for class in 0..6u32 {
        for i in 0..8u32 {
            let hash =
                |x: u32, y: u32| (x * 31 + y * 57 + i * 1013 + class * 71).wrapping_mul(2_654_435_761) >> 24;
            let tall = image::RgbImage::from_fn(40, 90, |x, y| {
                if y < 50 {
                    return image::Rgb([hash(x / 20, y / 25) as u8; 3]);
                }
                let stripe = if (x + class * 6) % 36 < 9 { 200 } else { 0 };
                image::Rgb([stripe, (hash(x, y) % 40) as u8, (40 * class) as u8])
            });
            let lower = image::imageops::crop_imm(&tall, 0, 50, 40, 40).to_image();
            for (folder, picture) in [("tall", &tall), ("lower", &lower)] {
                let mut bytes = std::io::Cursor::new(Vec::new());
                picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
                scene.write(&format!("{folder}/c{class}/{i}.png"), bytes.get_ref());
            }
        }
    }
    let same = |a: &str, b: &str| {
        let (a, b) = (numbers(&scene, a), numbers(&scene, b));
        let most = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(a.len() == b.len() && most < 1e-5, "{most}");
    };
    // A head that changes nothing, so that its embeddings are the encoder's.
    scene.ok("train --encoder tiny --data tall --network gap --start identity --epochs 0 --crop 0,50,40,40 --flip --out run -q");
    scene.ok("embed run tall -o run.npy -q");
    scene.ok("embed tiny lower --flip --prepare crop=whole -o lower.npy -q");
    same("run.npy", "lower.npy");
    // The same by --prepare, which says it for every command.
    scene.ok("embed tiny tall --flip --prepare crop=0:50:40:40 -o prepared.npy -q");
    same("prepared.npy", "lower.npy");
    let one = |model: &str| {
        value(&scene.ok(&format!("eval {model} --json -q")))["spaces"]["feature"]["knn"]["1"].clone()
    };
    assert_eq!(one("run")["accuracy"], one("tiny --data lower --flip --prepare crop=whole")["accuracy"]);
    scene.refused("export run --onnx run.onnx", 1, &["mirror images"]);

    // Chosen by the training images, and the same again by the run's own settings.
    let chosen = scene.alike("train --encoder tiny --data tall --crop auto --flip=auto --out chosen");
    assert!(chosen.stderr.contains("auto: the encoder sees pictures 'bottom"), "{chosen:?}");
    scene.ok("train --config chosen/config.toml --out again -q");
    let bytes = |name: &str| std::fs::read(scene.path(name)).unwrap();
    assert_eq!(bytes("chosen/last.safetensors"), bytes("again/last.safetensors"));

    // As one file, whose manifest says which part.
    scene.ok("train --encoder tiny --data tall --crop bottom --out plain -q");
    scene.ok("export plain --onnx plain.onnx -q");
    assert!(std::fs::read_to_string(scene.path("plain.onnx.toml")).unwrap().contains("crop = \"bottom\""));
    scene.ok("embed plain tall -o plain.npy -q");
    scene.ok("embed plain.onnx tall -o written.npy -q");
    same("plain.npy", "written.npy");

    scene.refused("train --encoder tiny --data tall --crop botom --out no", 2, &["did you mean 'bottom'"]);
    scene.refused("train --encoder tiny --data tall --crop 0,60,40,40 --out no", 1, &["reaches beyond"]);
    scene.refused("train --data tall --crop bottom --out no", 2, &["--encoder"]);
    scene.refused(
        "train --encoder tiny --data tall --crop top --prepare crop=0.5 --out no",
        1,
        &["give one"],
    );
    assert!(!scene.path("no").exists());
}

#[test]
fn a_head_sees_augmented_copies_in_turn() {
    let scene = scene();
    let bytes = |run: &str| std::fs::read(scene.path(&format!("{run}/last.safetensors"))).unwrap();
    let train = |epochs: u64, more: &str| {
        scene.ok(&format!(
            "train --encoder tiny --data pictures --network head --loss proxy-anchor --schedule constant --epochs {epochs} {more} -q"
        ));
    };
    // Copies that are no other than the picture teach what the picture does.
    train(5, "--out none");
    train(5, "--augment custom --views 3 --out same");
    train(5, "--augment affine --out changed");
    assert_eq!(bytes("none"), bytes("same"));
    assert_ne!(bytes("none"), bytes("changed"));
    let config = std::fs::read_to_string(scene.path("changed/config.toml")).unwrap();
    assert!(config.contains("views = 4") && config.contains("augment = \"affine"), "{config}");
    // The same again by its own settings, and resumed.
    scene.ok("train --config changed/config.toml --out again -q");
    assert_eq!(bytes("changed"), bytes("again"));
    train(3, "--augment affine --out resumed");
    scene.ok("train --resume resumed --epochs 5 -q");
    assert_eq!(bytes("changed"), bytes("resumed"));
    scene.ok("eval changed -q");
    // With the choice of a head, and of pictures alone.
    scene.ok("train --encoder tiny --data pictures --views 2 --out chosen -q");
    scene.ok("train --config chosen/config.toml --out chosen-again -q");
    assert_eq!(bytes("chosen"), bytes("chosen-again"));
    scene.ok("embed tiny pictures -o features.npy -q");
    scene.refused(
        "train --data features.npy --augment affine --network head --out no -q",
        1,
        &["only pictures are augmented"],
    );
    scene.refused("train --data pictures --views 3 --out no", 2, &["--encoder"]);
    scene.refused("train --encoder tiny --data pictures --views 1000 --out no -q", 1, &["100 are the most"]);
}

#[test]
fn a_trained_network_is_written_and_used_as_an_encoder() {
    let scene = scene();
    scene.ok("train --data pictures --recipe seed --batch-size 8 --epochs 1 --out run -q");
    let said = scene.ok("export run --onnx model.onnx");
    assert!(said.contains("model.onnx: "), "{said}");
    let near = |model: &str| {
        let found =
            value(&scene.ok(&format!("search {model} pictures/c1/2.png --gallery pictures -k 5 --json -q")));
        let matches = found["queries"][0]["neighbours"].as_array().unwrap().clone();
        matches.iter().map(|m| (m["path"].clone(), m["distance"].as_f64().unwrap())).collect::<Vec<_>>()
    };
    for ((a, d), (b, e)) in near("run").into_iter().zip(near("model.onnx")) {
        assert!(a == b && (d - e).abs() < 1e-3, "{a} {d} {b} {e}");
    }
    scene.refused("export run --onnx model.onnx", 1, &["exists already", "--force"]);
    scene.refused("export run --onnx model", 1, &[".onnx"]);
    scene.refused("export nothing --onnx other.onnx", 1, &["nothing is not a run folder"]);
}

#[test]
fn what_is_no_encoder_has_no_head() {
    let scene = scene();
    scene.refused("train --encoder nothing --data pictures --out run", 1, &["nothing is no encoder"]);
    scene.refused("train --encoder tiny --data pictures --out run --prepare size=9x9", 1, &["9x9x3"]);
    assert!(!scene.path("run").exists());
    // One class: nothing to judge a head by, and the features as they are.
    scene.ok("train --encoder tiny --data pictures/c0 --out one -q");
    scene.ok("embed one pictures/c0/1.png -o one.npy -q");
}
