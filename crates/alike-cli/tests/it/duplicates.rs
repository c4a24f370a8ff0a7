//! `alike duplicates`: what is found, what is moved, and that nothing is lost.

use crate::command::Scene;
use image::imageops::{crop_imm, flip_horizontal, resize, rotate90};
use image::{ImageFormat, Luma, Rgb, RgbImage};
use serde_json::Value;

fn photo(scene: u32) -> RgbImage {
    RgbImage::from_fn(160, 120, |x, y| {
        let s = scene as f32 * 1.7;
        let (u, v) = (x as f32, y as f32);
        let wave = |f: f32| ((u * f + s).sin() * (v * f * 0.8 + 2.0 * s).cos()) * 35.0;
        let at = 110.0 + wave(0.03) + wave(0.11) + f32::from((u * 0.06 + s).sin() > 0.3) * 40.0 + u * 0.2;
        Rgb([1.0, 0.9, 0.7].map(|c| (at * c) as u8))
    })
}

fn save(scene: &Scene, name: &str, image: &RgbImage) {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let format = if name.ends_with(".png") { ImageFormat::Png } else { ImageFormat::Jpeg };
    image.write_to(&mut bytes, format).unwrap();
    scene.write(name, bytes.get_ref());
}

/// Photos of four scenes; of the first, copies of all kinds.
fn photos() -> Scene {
    let scene = Scene::new();
    (0..4).for_each(|i| save(&scene, &format!("photos/{i}.png"), &photo(i)));
    let a = photo(0);
    std::fs::create_dir_all(scene.path("photos/more")).unwrap();
    std::fs::copy(scene.path("photos/0.png"), scene.path("photos/more/bytes.png")).unwrap();
    save(&scene, "photos/more/encoded.jpg", &a);
    save(&scene, "photos/more/small.jpg", &resize(&a, 80, 60, image::imageops::FilterType::Triangle));
    save(&scene, "photos/more/mirrored.jpg", &flip_horizontal(&a));
    save(&scene, "photos/more/rotated.png", &rotate90(&a));
    save(&scene, "photos/more/cut.jpg", &crop_imm(&a, 4, 3, 152, 114).to_image());
    let mut bright = a.clone();
    bright.iter_mut().for_each(|v| *v = (f32::from(*v) * 1.25).min(255.0) as u8);
    save(&scene, "photos/more/bright.jpg", &bright);
    scene
}

fn found(scene: &Scene, more: &str) -> Value {
    serde_json::from_str(&scene.ok(&format!("duplicates photos --json -q {more}"))).unwrap()
}

#[test]
fn every_kind_of_copy_is_found_and_named() {
    let scene = photos();
    let answer = found(&scene, "");
    assert_eq!(answer["pictures"], 11);
    let groups = answer["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{answer:#}");
    assert_eq!(groups[0]["keep"]["name"], "photos/0.png", "{answer:#}");
    let of = |name: &str| {
        let all = groups[0]["others"].as_array().unwrap();
        let name = format!("photos/more/{name}");
        all.iter()
            .find(|m| m["name"] == name.as_str())
            .unwrap_or_else(|| panic!("no {name}: {answer:#}"))
            .clone()
    };
    for (name, kind) in [
        ("bytes.png", "bytes"),
        ("encoded.jpg", "encoded"),
        ("small.jpg", "encoded"),
        ("mirrored.jpg", "turned"),
        ("rotated.png", "turned"),
        ("cut.jpg", "altered"),
        ("bright.jpg", "altered"),
    ] {
        assert_eq!((&of(name)["kind"], &of(name)["of"]), (&kind.into(), &"photos/0.png".into()), "{name}");
    }
    assert_eq!(of("mirrored.jpg")["turn"], serde_json::json!({ "mirrored": true, "quarters": 0 }));
    // The library rotates clockwise, and we count the other way.
    assert_eq!(of("rotated.png")["turn"], serde_json::json!({ "mirrored": false, "quarters": 3 }));
    assert_eq!(of("bytes.png")["turn"], Value::Null);
    // A folder that is given twice holds every picture once.
    let twice = scene.ok("duplicates photos photos photos/more --json -q");
    assert_eq!(serde_json::from_str::<Value>(&twice).unwrap()["pictures"], 11);
}

#[test]
fn what_is_moved_can_be_moved_back() {
    let scene = photos();
    let before = scene.files();
    let said = scene.ok("duplicates photos -q");
    assert!(said.contains("keep photos/0.png") && said.contains("more/small.jpg  encoded"), "{said}");
    assert_eq!(scene.files(), before, "looking changes nothing");
    scene.refused("duplicates photos --move-to photos/aside", 1, &["photos", "would be found again"]);
    assert_eq!(scene.files(), before, "nothing is half-done");

    let moved = scene.ok("duplicates photos --move-to aside -q");
    assert!(moved.contains("3 files were moved to aside"), "{moved}");
    for name in ["bytes.png", "encoded.jpg", "small.jpg"] {
        assert!(
            scene.path(&format!("aside/more/{name}")).exists()
                && !scene.path(&format!("photos/more/{name}")).exists()
        );
    }
    assert!(scene.path("photos/more/cut.jpg").exists(), "altered copies stay unless asked for");
    // A second time, into the same folder: the journal goes on.
    scene.ok("duplicates photos --move-to aside --kinds turned,altered -q");
    assert_eq!(std::fs::read_dir(scene.path("photos/more")).unwrap().count(), 0);
    // Whatever lies where a file was is not touched.
    scene.write("photos/more/cut.jpg", b"mine");
    scene.refused("duplicates --undo aside", 1, &["cut.jpg", "cannot go back"]);
    std::fs::remove_file(scene.path("photos/more/cut.jpg")).unwrap();
    scene.ok("duplicates --undo aside -q");
    assert_eq!(scene.files(), before);
    scene.refused("duplicates --undo aside", 1, &["moved.jsonl"]);
}

#[test]
fn links_free_space_and_change_nothing() {
    let scene = photos();
    let before = scene.files();
    let said = scene.ok("duplicates photos --link -q");
    assert!(said.contains("1 files are hard links now"), "{said}");
    assert_eq!(scene.files(), before);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let inode = |name: &str| std::fs::metadata(scene.path(name)).unwrap().ino();
        assert_eq!(inode("photos/0.png"), inode("photos/more/bytes.png"));
    }
}

#[test]
fn what_a_person_decided_is_remembered() {
    let scene = photos();
    scene.ok("duplicates --different photos/0.png photos/more/cut.jpg -q");
    let answer = found(&scene, "");
    let names = |group: &Value| {
        let others = group["others"].as_array().unwrap().iter();
        others.map(|m| &m["name"]).chain([&group["keep"]["name"]]).cloned().collect::<Vec<_>>()
    };
    let both = ["photos/0.png", "photos/more/cut.jpg"];
    for group in answer["groups"].as_array().unwrap() {
        let there = names(group);
        assert!(!both.iter().all(|b| there.contains(&Value::from(*b))), "{answer:#}");
    }
    // By content: also under another name.
    std::fs::rename(scene.path("photos/more/cut.jpg"), scene.path("photos/other.jpg")).unwrap();
    for group in found(&scene, "")["groups"].as_array().unwrap() {
        assert!(
            !["photos/0.png", "photos/other.jpg"].iter().all(|b| names(group).contains(&Value::from(*b)))
        );
    }
    scene.refused("duplicates --different photos/0.png photos/more/bytes.png", 1, &["the same bytes"]);
    scene.write("decisions.jsonl", b"{\"different\": [\"x\", \"1\"]}\n");
    scene.refused("duplicates photos --decisions decisions.jsonl", 1, &["line 1", "'x' is no digest"]);
}

#[test]
fn masks_are_no_quarter_of_a_million_pairs() {
    let scene = Scene::new();
    // Nearly empty pictures, flat ones among them: what they share is the background.
    for i in 0..120u32 {
        let mask = image::GrayImage::from_fn(64, 48, |x, y| {
            let (cx, cy, r) = (8 + i * 7 % 48, 8 + i * 5 % 32, 2 + i % 3);
            Luma([if i % 10 != 0 && x.abs_diff(cx) < r && y.abs_diff(cy) < r { 255 } else { 0 }])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        mask.write_to(&mut bytes, ImageFormat::Png).unwrap();
        scene.write(&format!("photos/mask-{i}.png"), bytes.get_ref());
    }
    let answer = found(&scene, "");
    let mut members = std::collections::HashSet::new();
    for group in answer["groups"].as_array().unwrap() {
        let pixels = |name: &Value| image::open(scene.path(name.as_str().unwrap())).unwrap().to_luma8();
        let keep = pixels(&group["keep"]["name"]);
        for m in group["others"].as_array().unwrap() {
            assert!(members.insert(m["name"].clone()), "a picture is in one group");
            assert!(m["kind"] != "bytes" || pixels(&m["name"]) == keep);
        }
    }
    // The twelve that are black are one picture.
    let black =
        answer["groups"].as_array().unwrap().iter().filter(|g| g["others"].as_array().unwrap().len() == 11);
    assert_eq!(black.count(), 1, "{answer:#}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let scene = photos();
    scene.write("photos/broken.jpg", b"\xff\xd8\xff\xe0 no picture");
    let answer = found(&scene, "");
    assert_eq!(answer["unreadable"][0]["name"], "photos/broken.jpg");
    assert_eq!(answer["groups"].as_array().unwrap().len(), 1);
    scene.refused("duplicates nowhere", 1, &["nowhere"]);
    scene.refused("duplicates", 2, &["PATH"]);
    scene.refused("duplicates photos --kinds byte", 2, &["did you mean 'bytes'"]);
    scene.refused("duplicates photos --within 0.5", 1, &["--model"]);
    std::fs::create_dir(scene.path("empty")).unwrap();
    scene.refused("duplicates empty", 1, &["empty"]);
}

#[test]
#[cfg(all(feature = "onnx", feature = "collections"))]
fn a_collection_is_searched_by_its_own_vectors_too() {
    let scene = photos();
    crate::encoders::bring(&scene, &["tiny.onnx"]);
    scene.ok("encoders add tiny.onnx --preset imagenet -q");
    scene.ok("collection create ./kept.alike tiny.onnx -q");
    scene.ok("collection sync ./kept.alike photos -q");
    std::fs::remove_file(scene.path("photos/more/bright.jpg")).unwrap();
    let answer: Value =
        serde_json::from_str(&scene.ok("duplicates ./kept.alike --within 100 --json -q")).unwrap();
    assert_eq!(answer["pictures"], 10, "what is gone is left out: {answer:#}");
    let kinds: Vec<&str> =
        answer["groups"].as_array().unwrap().iter().map(|g| g["kind"].as_str().unwrap()).collect();
    // Within so large a distance all are look-alikes, each standing for its copies.
    assert_eq!(kinds, ["altered", "look-alike"], "{answer:#}");
    assert_eq!(answer["groups"][1]["others"].as_array().unwrap().len(), 3);
}
