//! What `health` finds, and the table that it writes.

use crate::command::Scene;
use crate::sources::{class_folders, picture};
use serde_json::Value;
use std::collections::HashMap;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Rows by column, of a table without quotes.
fn rows(text: &str) -> Vec<HashMap<String, String>> {
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let header = csv.headers().unwrap().clone();
    csv.records()
        .map(|r| header.iter().map(str::to_owned).zip(r.unwrap().iter().map(str::to_owned)).collect())
        .collect()
}

fn cleaned(scene: &Scene, folder: &str) -> Vec<HashMap<String, String>> {
    rows(&std::fs::read_to_string(scene.path(folder).join("cleaned.csv")).unwrap())
}

fn names(rows: &[HashMap<String, String>]) -> Vec<String> {
    rows.iter().map(|r| r["path"].rsplit_once("/set/").unwrap().1.to_owned()).collect()
}

/// Two pictures of a class are as alike as two frames of one thing: the same shapes, and a sensor's noise.
fn frame(class: usize, i: usize) -> image::RgbImage {
    let mut image = picture(class, 0);
    for (x, y, p) in image.enumerate_pixels_mut() {
        let h = ((x * 31 + y * 977 + i as u32 * 7919 + 1).wrapping_mul(2_654_435_761) >> 9) % 40;
        p.0 = p.0.map(|v| (v / 2 + 40 + h as u8).min(250));
    }
    image
}

/// Three classes of twelve in `set/`, with a split of their own; returns the table.
fn table(scene: &Scene) -> String {
    let mut table = String::from("path,label,split,category,group,x_1,y_1,x_2,y_2,pose,\"who, when\"\n");
    for class in 0..3 {
        for i in 0..12 {
            frame(class, i).save(scene.write(&format!("set/{class}-{i}.png"), b"")).unwrap();
            let split = ["train", "train", "train", "train", "val", "query", "gallery", "test"][i % 8];
            let area = if i % 2 == 0 { "0,0,16,15" } else { ",,," };
            table.push_str(&format!(
                "{class}-{i}.png,c{class},{split},kind{},g{class}-{i},{area},left,\"Ann, {i}\"\n",
                class % 2
            ));
        }
    }
    table
}

#[test]
fn a_cleaned_table_keeps_all_that_was_read() {
    let scene = Scene::new();
    let text = table(&scene);
    scene.write("set/all.csv", text.as_bytes());
    scene.ok("train --data set/all.csv --out run --start whitened -q");
    scene.ok("health run -o h -k 3 -q");
    let (before, after) = (rows(&text), cleaned(&scene, "h"));
    assert!(after.len() >= 30, "{}", after.len());
    let by_name: HashMap<String, &HashMap<String, String>> =
        before.iter().map(|r| (r["path"].clone(), r)).collect();
    for (name, row) in names(&after).iter().zip(&after) {
        let was = by_name[name];
        for column in ["label", "split", "category", "group", "x_1", "y_1", "x_2", "y_2", "pose", "who, when"]
        {
            assert_eq!(row[column], was[column], "{name}: {column}");
        }
        assert!(std::path::Path::new(&row["path"]).is_absolute());
    }
    // All that is not trained on is there still.
    let of =
        |list: &[HashMap<String, String>], part: &str| list.iter().filter(|r| r["split"] == part).count();
    for part in ["query", "gallery", "test"] {
        assert_eq!(of(&before, part), of(&after, part), "{part}");
    }
    // It is read again, from anywhere.
    scene.ok("train --data h/cleaned.csv --out again --start whitened -q");
    let told = json(&scene.ok("eval again --json -q"));
    assert_eq!((&told["n_query"], &told["n_gallery"]), (&6.into(), &6.into()));
}

#[test]
fn copies_are_groups_and_the_test_is_left_as_it_is() {
    let scene = Scene::new();
    let mut text = table(&scene);
    let bytes = std::fs::read(scene.path("set/0-0.png")).unwrap();
    // The same file twice more, once as JPEG, once at twice its size; one of them is judged by.
    scene.write("set/copy-1.png", &bytes);
    let original = image::load_from_memory(&bytes).unwrap().to_rgb8();
    image::imageops::resize(&original, 32, 32, image::imageops::FilterType::Nearest)
        .save(scene.write("set/copy-2.png", b""))
        .unwrap();
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 85).encode_image(&original).unwrap();
    scene.write("set/copy-3.jpg", &jpeg);
    for (name, split) in [("copy-1.png", "train"), ("copy-2.png", "train"), ("copy-3.jpg", "test")] {
        text.push_str(&format!("{name},c0,{split},kind0,gc,,,,,left,Bob\n"));
    }
    let text = text.replace("0,0,16,15", ",,,");
    scene.write("set/all.csv", text.as_bytes());
    scene.ok("train --data set/all.csv --out run --start whitened -q --prepare size=16x16");
    let told = json(&scene.ok("health run --json -q"));
    let twice = told["twice"].as_array().unwrap();
    let of: Vec<&str> = twice[0].as_array().unwrap().iter().map(|c| c["image"].as_str().unwrap()).collect();
    assert_eq!((twice.len(), of.len()), (1, 4), "one group, and no two that are merely alike: {told}");
    for name in ["0-0.png", "copy-1.png", "copy-2.png", "copy-3.jpg"] {
        assert!(of.contains(&name), "{of:?}");
    }
    scene.ok("health run -o h -q");
    let kept = names(&cleaned(&scene, "h"));
    assert!(kept.contains(&"copy-3.jpg".to_owned()), "what is judged by stays: {kept:?}");
    assert!(
        ["0-0.png", "copy-1.png", "copy-2.png"].iter().all(|n| !kept.contains(&(*n).to_owned())),
        "{kept:?}"
    );
    let listed = std::fs::read_to_string(scene.path("h/twice.csv")).unwrap();
    assert_eq!(listed.lines().filter(|l| l.starts_with("1,")).count(), 4, "{listed}");
}

#[test]
fn a_test_is_not_cleaned_by_the_model_that_it_judges() {
    let scene = Scene::new();
    class_folders(&scene);
    // Test images of a class that look like another.
    for (class, name) in ["ant", "bee", "cat"].iter().enumerate() {
        for i in 0..12 {
            let from = scene.path(&format!("pictures/{name}/{i:02}.png"));
            let part = if i < 8 { "train" } else { "test" };
            scene.write(&format!("set/{part}/{name}/{i}.png"), &std::fs::read(from).unwrap());
        }
        picture((class + 1) % 3, 60).save(scene.write(&format!("set/test/{name}/wrong.png"), b"")).unwrap();
        picture((class + 1) % 3, 70).save(scene.write(&format!("set/train/{name}/wrong.png"), b"")).unwrap();
    }
    scene.ok("train --data set --out run --start whitened -q");
    let ended = scene.alike("health run -o h -k 5");
    let kept = names(&cleaned(&scene, "h"));
    let wrong = |part: &str| kept.iter().filter(|n| n.starts_with(part) && n.ends_with("wrong.png")).count();
    assert_eq!((wrong("train"), wrong("test")), (0, 3), "{kept:?}");
    for words in [
        "of the training images alone",
        "3 test images",
        "--clean-test",
        "% of 42 labels",
        "expected to be wrong",
    ] {
        assert!(ended.stderr.contains(words), "no '{words}' in {}", ended.stderr);
    }
    scene.ok("health run -o all -k 5 --clean-test -q");
    assert!(!names(&cleaned(&scene, "all")).iter().any(|n| n.ends_with("wrong.png")));
    scene.refused("health run --clean-test", 1, &["--clean-test", "-o"]);
}

#[test]
fn a_weak_model_drops_nothing_unless_told_to() {
    let scene = Scene::new();
    // Labels that the pictures say nothing of.
    for i in 0..60 {
        picture(i % 3, i).save(scene.write(&format!("set/c{}/{i}.png", i / 15), b"")).unwrap();
    }
    scene.ok("train --data set --out run --start whitened -q --split image:test=0.2");
    let ended = scene.alike("health run -o h");
    assert_eq!(cleaned(&scene, "h").len(), 60, "{}", ended.stderr);
    for words in ["not fit to judge them", "--drop-doubts"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let told = json(&scene.ok("health run --json -q"));
    let model = &told["model"];
    assert_eq!((&model["fit"], &model["images"]), (&false.into(), &60.into()));
    let share = model["accuracy"].as_f64().unwrap();
    assert!(
        (share - (1.0 - model["doubts"].as_f64().unwrap() / 60.0)).abs() < 1e-9 && share < 0.8,
        "{model}"
    );
    scene.ok("health run -o dropped --drop-doubts -q");
    assert!(cleaned(&scene, "dropped").len() < 50);
}

#[test]
fn what_has_no_files_has_no_cleaned_table() {
    let scene = Scene::new();
    scene.ok("train --data digits:train=60,test=20 --recipe seed --out run --epochs 1 --batch-size 16 -q");
    scene.write("h/cleaned.csv", b"another's");
    let ended = scene.alike("health run -o h --force");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("no cleaned.csv is written"), "{}", ended.stderr);
    assert!(scene.path("h/labels.csv").is_file() && !scene.path("h/cleaned.csv").exists());
    scene.refused("health run -o h2 --drop-doubts", 1, &["no files", "--drop-doubts"]);
    scene.refused("health run -o h2 --clean-test", 1, &["no files", "--clean-test"]);
}

#[test]
fn a_class_called_unknown_is_told_from_none_of_them() {
    let scene = Scene::new();
    for (class, name) in ["a", "b", "unknown"].iter().enumerate() {
        for i in 0..8 {
            picture(class, i).save(scene.write(&format!("set/{name}/{i}.png"), b"")).unwrap();
        }
    }
    picture(2, 40).save(scene.write("q.png", b"")).unwrap();
    scene.ok("train --data set --out run --start whitened -q");
    let ask = |threshold: &str| {
        let out = format!("t{}.csv", threshold.len());
        let text = scene.ok(&format!("classify run q.png --threshold {threshold} --csv {out} -q"));
        let table = rows(&std::fs::read_to_string(scene.path(&out)).unwrap());
        let told = json(&scene.ok(&format!("classify run q.png --threshold {threshold} --json -q")));
        (
            text,
            table[0]["known"].clone(),
            table[0]["nearest_class"].clone(),
            told["answers"][0]["class"].clone(),
        )
    };
    let (far, near) = (ask("1e-6"), ask("1000000"));
    assert_eq!((far.1.as_str(), far.2.as_str(), &far.3), ("false", "unknown", &Value::Null));
    assert_eq!((near.1.as_str(), near.2.as_str(), &near.3), ("true", "unknown", &"unknown".into()));
    assert!(
        far.0.contains("none of these classes") && near.0.starts_with("q.png  unknown  "),
        "{far:?} {near:?}"
    );
}
