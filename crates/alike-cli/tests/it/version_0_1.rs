//! What version 0.1 wrote still opens, and what it called otherwise is refused with the name of today. `fixtures/v0.1` was written by that
//! version: a run, a gallery, a search for settings, and its answers to `eval` and `search` as JSON.

use crate::command::Scene;
use serde_json::Value;
use std::path::Path;

/// A copy of the fixtures, since runs are continued in it.
fn scene() -> Scene {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let into = to.join(path.file_name().unwrap());
            if path.is_dir() { copy(&path, &into) } else { std::fs::copy(&path, &into).map(drop).unwrap() }
        }
    }
    let scene = Scene::new();
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/v0.1")), &scene.path(""));
    scene
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Every value of `before` is in `now`, to rounding: instructions of another tier end in other bits.
#[track_caller]
fn same(before: &Value, now: &Value, at: &str) {
    match (before, now) {
        (Value::Object(a), Value::Object(_)) => {
            a.iter().for_each(|(k, v)| same(v, &now[k], &format!("{at}.{k}")));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| same(a, b, &format!("{at}[{i}]")));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{at}: {a} became {b}");
        }
        _ => assert_eq!(before, now, "{at}"),
    }
}

#[test]
fn runs_and_galleries_answer_as_they_did() {
    let scene = scene();
    let before = json(&std::fs::read_to_string(scene.path("eval.json")).unwrap());
    same(&before, &json(&scene.ok("eval run --json -q")), "eval");
    // A list of queries then, each with the gallery; one object now.
    let before = json(&std::fs::read_to_string(scene.path("search.json")).unwrap());
    let now = json(
        &scene.ok("search run pictures/bar/0.pgm pictures/square/3.pgm --gallery gallery.npy -k 4 --json -q"),
    );
    same(&before[0]["gallery"], &now["gallery"], "gallery");
    for (i, query) in before.as_array().unwrap().iter().enumerate() {
        same(&query["neighbours"], &now["queries"][i]["neighbours"], "neighbours");
    }
    scene.ok("enroll run --gallery gallery.npy --class square pictures/square/0.pgm -q");
}

#[test]
fn runs_are_continued_and_settings_read() {
    let scene = scene();
    scene.ok("train --resume run --epochs 21 -q");
    let config = std::fs::read_to_string(scene.path("run/config.toml")).unwrap();
    // Its old keys are those of the first twenty epochs, and are left alone.
    assert!(config.contains("batch = 6") && config.contains("class-rate = 2.0"), "{config}");
    // Old keys of a settings file are read, and written under their names of today; the split is the file's, whatever the seed.
    scene.ok("train --config run/config.toml --data pictures --out again --epochs 1 --seed 3 -q");
    let config = std::fs::read_to_string(scene.path("again/config.toml")).unwrap();
    for line in ["batch-size = 6", "proxy-rate = 2.0", "seed = 3", "split = \"image:seed=7,test=0.4\""] {
        assert!(config.contains(line), "no {line} in {config}");
    }
    let split = |run: &str| std::fs::read_to_string(scene.path(run).join("split.csv")).unwrap();
    assert_eq!(split("run"), split("again"));
    scene.ok("train --config tuned/best.toml --data digits:train=200,test=40 --out tuned-run -q");
    // A search that was finished is not done again.
    let told = scene.alike("tune --data digits:train=200,test=40 --recipe seed --out tuned --candidates 2 --epochs 1 --seed 1 --json");
    assert_eq!(told.code, 0, "{}", told.stderr);
    let trials = std::fs::read_to_string(scene.path("tuned/trials.jsonl")).unwrap();
    assert_eq!(trials.lines().count(), 2, "{trials}");
}

#[test]
fn old_flags_are_refused_with_the_name_of_today() {
    let scene = scene();
    for (old, new) in [
        ("train --data pictures --out x --batch 4", "--batch is called --batch-size"),
        ("train --data pictures --out x --batch=4", "--batch is called --batch-size"),
        ("train --data pictures --out x --class-rate 2", "--class-rate is called --proxy-rate"),
        ("classify run pictures/bar/0.pgm -o x.csv", "-o is called --csv"),
        ("classify run pictures/bar/0.pgm --out x.csv", "--out is called --csv"),
        ("anomaly run pictures/bar/0.pgm --reference pictures", "--reference is called --gallery"),
        ("verify run pictures/bar/0.pgm pictures/bar/1.pgm --known pictures", "--known is called --gallery"),
        ("cluster run --least 5", "--least is called --min-cluster-size"),
        ("map run -o x.html --most 50", "--most is called --max-images"),
        ("eval run few-shot", "alike eval few-shot MODEL"),
        ("eval run verification --flip", "alike eval verification MODEL"),
        ("eval run anomaly", "alike eval anomaly MODEL"),
    ] {
        scene.refused(old, 2, &[new]);
    }
}
