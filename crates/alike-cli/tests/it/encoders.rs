//! Encoders that others trained: added, shown, checked, removed, and put in the place of a run by every verb that takes a model.

use crate::command::Scene;
use crate::sources::class_folders;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Copies models of `fixtures/encoders` into the scene.
pub(crate) fn bring(scene: &Scene, names: &[&str]) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/encoders");
    for name in names {
        scene.write(name, &std::fs::read(fixtures.join(name)).unwrap());
    }
}

/// Pictures of three classes, and the small encoder with its manifest beside it.
fn scene() -> Scene {
    let scene = Scene::new();
    class_folders(&scene);
    bring(&scene, &["tiny.onnx"]);
    scene.ok("encoders add tiny.onnx --preset imagenet -q");
    scene
}

#[test]
fn an_encoder_is_added_listed_shown_checked_and_removed() {
    let scene = Scene::new();
    bring(&scene, &["tiny.onnx", "reference.json", "picture.ppm"]);
    assert_eq!(json(&scene.ok("encoders list --json"))["encoders"], Value::Array(Vec::new()));
    let shown = json(&scene.ok("encoders show tiny.onnx --json"));
    assert_eq!(shown["contents"]["opset"], 17);
    assert_eq!(shown["contents"]["inputs"][0]["shape"], serde_json::json!([null, 3, 8, 6]));
    assert_eq!((&shown["manifest"], &shown["tried"]), (&Value::Null, &Value::Bool(false)));
    assert!(scene.ok("encoders show tiny.onnx --values").contains("/conv/out"));

    let added = json(&scene.ok("encoders add tiny.onnx --preset imagenet --licence MIT --json -q"));
    assert_eq!(
        (&added["tried"]["dimension"], &added["manifest"]["output"]),
        (&5.into(), &"embedding".into())
    );
    let text = std::fs::read_to_string(scene.path("tiny.onnx.toml")).unwrap();
    assert!(text.contains("licence = \"MIT\"") && text.contains("size = [8, 6]"), "{text}");
    assert_eq!(json(&scene.ok("encoders show tiny.onnx --json"))["tried"], true);
    scene.refused(
        "encoders add tiny.onnx --preset clip -q",
        1,
        &["tiny.onnx.toml exists already", "--force"],
    );

    // A name: a copy of the file, with what its manifest said, and one thing changed.
    scene.ok("encoders add tiny.onnx --name small --crop 1 -q");
    let list = json(&scene.ok("encoders list --json"));
    assert_eq!(
        (&list["encoders"][0]["name"], &list["encoders"][0]["licence"]),
        (&"small".into(), &"MIT".into())
    );
    assert!(scene.ok("encoders list").contains("8x6x3"));
    scene.refused("encoders add tiny.onnx --name small -q", 1, &["'small' already", "--force"]);
    let again = json(&scene.ok("encoders check small --reference reference.json --json -q"));
    assert_eq!(again["pictures"].as_array().unwrap().len(), 1);
    scene.ok(
        "encoders add tiny.onnx --name small --output /conv/out --pool mean --source elsewhere --force -q",
    );
    let shown = json(&scene.ok("encoders show small --json"));
    assert_eq!(shown["manifest"]["output"], "/conv/out");
    scene.refused("encoders add tiny.onnx --name ../x -q", 1, &["'../x' is no name"]);

    let checked = json(&scene.ok("encoders check tiny.onnx --json -q"));
    assert!(checked["pictures"][0]["cosine"].as_f64().unwrap() > 0.99999, "{checked}");
    assert!(scene.alike("encoders check small").stderr.contains("nothing to compare with"));
    scene.refused(
        "encoders check small --reference reference.json -q",
        1,
        &["no reference outputs of 'model' or 'small' or 'elsewhere'"],
    );
    // A wrong mean is what reference outputs are for.
    scene.ok("encoders add tiny.onnx --preset tensorflow --force -q");
    let ended = scene.alike("encoders check tiny.onnx -q");
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("DIFFERS") && ended.stderr.contains("look at mean, std"), "{ended:?}");

    scene.ok("encoders remove small");
    assert!(!scene.path("encoders/small").exists());
    scene.refused("encoders remove small", 1, &["no encoder called 'small'", "alike encoders list"]);
}

#[test]
fn what_the_file_does_not_say_is_asked_for_in_one_sentence() {
    let scene = Scene::new();
    bring(&scene, &["tiny.onnx", "channels-last.onnx"]);
    scene.refused(
        "encoders add tiny.onnx -q",
        1,
        &["tiny.onnx does not say the range", "--range, --mean, --std", "--preset (imagenet, tensorflow"],
    );
    scene.refused("encoders add tiny.onnx --preset imagenet --output tokens -q", 1, &["--pool"]);
    scene.refused("encoders add tiny.onnx --preset image -q", 2, &["did you mean 'imagenet'"]);
    scene.refused("encoders add gone.onnx -q", 1, &["cannot read gone.onnx"]);
    scene.refused(
        "encoders add tiny.onnx --preset imagenet --output embeding -q",
        1,
        &["did you mean 'embedding'", "--values"],
    );
    assert!(!scene.path("tiny.onnx.toml").exists() && !scene.path("encoders").join("tiny").exists());
    let mean = "encoders add channels-last.onnx --range 0-255 --mean 1,2,3 --std 64 --channels bgr --json -q";
    let p = json(&scene.ok(mean))["manifest"]["preparation"].clone();
    assert_eq!((&p["layout"], &p["channels"]), (&"nhwc".into(), &"bgr".into()));
    assert_eq!(p["std"], serde_json::json!([64.0, 64.0, 64.0]));
}

#[test]
fn broken_models_are_refused_and_leave_nothing_behind() {
    let scene = Scene::new();
    let broken = [
        ("batch-4", "exactly 4 images"),
        ("two-inputs", "2 inputs"),
        ("unknown-operator", "operator Whiten (opset 17"),
        ("group-normalization", "GroupNormalization (opset 18"),
        ("cubic-resize", "cubic"),
        ("not-finite", "NaN"),
        ("five-dimensions", "two, three or four dimensions"),
        ("outside", "same folder"),
        ("external", "external.onnx_data"),
        // Endless, and larger than memory: the process that tries them ends, this one goes on.
        ("endless", "stopped after 2 s"),
        ("huge", "--limit model="),
    ];
    for (name, why) in broken {
        bring(&scene, &[&format!("{name}.onnx")]);
        let began = Instant::now();
        let flags = if name == "huge" { "--pool mean --time-limit 60" } else { "--pool none --time-limit 2" };
        let flags = if name == "five-dimensions" { "--pool mean" } else { flags };
        let file = format!("{name}.onnx");
        scene.refused(&format!("encoders add {file} --preset imagenet {flags} -q"), 1, &[&file, why]);
        scene.refused(&format!("encoders add {file} --preset imagenet {flags} --name x -q"), 1, &[why]);
        assert!(began.elapsed() < Duration::from_secs(30), "{name}");
        assert!(
            !scene.path(&format!("{file}.toml")).exists() && !scene.path("encoders/x").exists(),
            "{name}"
        );
    }
    let whole =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/encoders/tiny.onnx"));
    let whole = whole.unwrap();
    scene.write("cut.onnx", &whole[..whole.len() / 2]);
    scene.write("text.onnx", b"nothing of the kind");
    scene.refused("encoders add cut.onnx --preset imagenet -q", 1, &["cut.onnx is cut short"]);
    scene.refused("encoders show text.onnx -q", 1, &["text.onnx is not an ONNX file"]);
    scene.refused("embed text.onnx data -o x.npy -q", 1, &["no manifest", "alike encoders add"]);
}

#[test]
fn every_verb_that_takes_a_model_takes_an_encoder() {
    let scene = scene();
    scene.ok("encoders add tiny.onnx --name tiny -q");
    let query = "pictures/bee/03.png";
    for model in ["tiny.onnx", "tiny"] {
        let ok = |arguments: &str| json(&scene.ok(&format!("{arguments} --json -q --force")));
        let plain = |arguments: &str| json(&scene.ok(&format!("{arguments} --json -q")));
        ok(&format!("embed {model} pictures -o all.npy"));
        for gallery in ["pictures", "all.npy"] {
            let found = plain(&format!("search {model} {query} --gallery {gallery} -k 3"));
            assert_eq!(found["queries"][0]["neighbours"].as_array().unwrap().len(), 3);
        }
        assert!(
            plain(&format!("classify {model} {query} --gallery all.npy"))["answers"][0]["nearest_class"]
                .is_string()
        );
        plain(&format!("verify {model} {query} pictures/ant/01.png --gallery pictures"));
        plain(&format!("verify {model} {query} pictures/ant/01.png --threshold 0.5"));
        plain(&format!("anomaly {model} {query} --gallery pictures"));
        plain(&format!("enroll {model} --gallery {model}-more.npy --class dog {query}"));
        plain(&format!("cluster {model} pictures -k 3"));
        ok(&format!("map {model} pictures -o map.html --method pca"));
        let why = ok(&format!("explain {model} {query} pictures/ant/01.png -o why.png"));
        assert_eq!(why["by"], "occlusion");
        let health = plain(&format!("health {model} --data pictures"));
        assert_eq!(health["images"], 36);
        ok(&format!("report {model} --data pictures -o {model}.html"));
        assert!(
            std::fs::read_to_string(scene.path(&format!("{model}.html")))
                .unwrap()
                .contains("not trained here")
        );
        for verb in ["eval", "eval few-shot", "eval verification", "eval anomaly"] {
            let more = match verb {
                "eval few-shot" => " --episodes 20 --ways 2 --shots 1",
                "eval anomaly" => " --method knn",
                _ => "",
            };
            plain(&format!("{verb} {model} --data pictures{more}"));
        }
    }
    // By path or by name: the same encoder, so the same gallery.
    scene.ok(&format!("search tiny {query} --gallery all.npy -q"));
    scene.ok(&format!("search tiny.onnx {query} --gallery all.npy --flip -q --prepare resize=squash")
        .replace(" --flip", ""));
    // Another preparation is another encoder.
    scene.ok("encoders add tiny.onnx --name other --preset clip -q");
    scene.refused(&format!("search other {query} --gallery all.npy -q"), 1, &["another model's"]);
    let both =
        json(&scene.ok(&format!("search tiny --with tiny.onnx --flip {query} --gallery pictures --json -q")));
    assert_eq!(both["queries"][0]["neighbours"].as_array().unwrap().len(), 10);
    scene.refused(
        &format!("search tiny --with other {query} --gallery pictures -q"),
        1,
        &["other cannot stand beside", "--with"],
    );
}

#[test]
fn a_verb_that_needs_images_says_how_to_give_them() {
    let scene = scene();
    let query = "pictures/bee/03.png";
    for (command, flag) in [
        (format!("search tiny.onnx {query}"), "--gallery"),
        (format!("classify tiny.onnx {query}"), "--gallery"),
        (format!("anomaly tiny.onnx {query}"), "--gallery"),
        (format!("verify tiny.onnx {query} pictures/ant/01.png"), "--gallery"),
        ("cluster tiny.onnx".to_owned(), "after the model"),
        ("map tiny.onnx -o map.html".to_owned(), "after the model"),
        ("health tiny.onnx".to_owned(), "--data"),
        ("eval tiny.onnx".to_owned(), "--data"),
        ("eval few-shot tiny.onnx".to_owned(), "--data"),
        ("eval verification tiny.onnx".to_owned(), "--data"),
        ("eval anomaly tiny.onnx".to_owned(), "--data"),
        ("report tiny.onnx -o page.html".to_owned(), "--data"),
    ] {
        scene.refused(&format!("{command} -q"), 1, &["was not trained here", flag]);
    }
    scene.refused("report tiny.onnx --data pictures -q", 1, &["-o"]);
    scene.refused("embed nobody pictures -o x.npy -q", 1, &["nobody"]);
    scene.refused("embed gone.onnx pictures -o x.npy -q", 1, &["cannot read gone.onnx"]);
}

#[test]
fn a_model_that_nobody_tried_is_tried_first_and_a_changed_one_is_refused() {
    let scene = scene();
    // The mark is gone, as on another machine.
    std::fs::remove_dir_all(scene.path("encoders")).unwrap();
    let first = scene.alike("embed tiny.onnx pictures -o one.npy");
    assert!(first.code == 0 && first.stderr.contains("test run of tiny.onnx"), "{first:?}");
    let second = scene.alike("embed tiny.onnx pictures -o two.npy");
    assert!(second.code == 0 && !second.stderr.contains("test run"), "{second:?}");
    let [one, two] = ["one.npy", "two.npy"].map(|f| std::fs::read(scene.path(f)).unwrap());
    assert_eq!(one, two);
    scene.ok("embed tiny.onnx pictures -o three.npy -q --threads 3");
    assert_eq!(one, std::fs::read(scene.path("three.npy")).unwrap());
    // A model that its manifest does not describe never runs, whoever trusted the one that it describes.
    let mut bytes = std::fs::read(scene.path("tiny.onnx")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    scene.write("tiny.onnx", &bytes);
    scene.refused(
        "embed tiny.onnx pictures -o four.npy -q",
        1,
        &["tiny.onnx.toml describes another file", "--force"],
    );
    // Whoever gives away a model that never ends cannot make others wait for ever by a manifest of his own.
    bring(&scene, &["endless.onnx"]);
    scene.write("tiny.onnx.toml", b"format = 1\n");
    scene.refused(
        "embed tiny.onnx pictures -o four.npy -q",
        1,
        &["tiny.onnx.toml is not a valid manifest", "sha256"],
    );
}

/// With a library that `ALIKE_ONNXRUNTIME` names, as `.ci/run` installs one.
#[test]
fn an_onnx_runtime_gives_what_rten_gives_and_runs_what_that_cannot() {
    let scene = scene();
    scene.refused(
        "embed tiny.onnx pictures -o x.npy -q --onnxruntime none.so",
        1,
        &["none.so cannot be used as ONNX Runtime"],
    );
    scene.write("text.so", b"no library");
    scene.refused(
        "encoders check tiny.onnx -q --onnxruntime text.so",
        1,
        &["text.so cannot be used as ONNX Runtime", "pip install"],
    );
    let Some(library) = std::env::var("ALIKE_ONNXRUNTIME").ok().filter(|v| !v.is_empty()) else {
        eprintln!("skipped: ONNX Runtime beside rten, since ALIKE_ONNXRUNTIME names no libonnxruntime");
        return;
    };
    let by = ["--onnxruntime", &library, "--no-cache", "-q"];
    let ok = |words: &str| scene.ok_words(&[&words.split(' ').collect::<Vec<_>>()[..], &by[..]].concat());
    scene.ok("embed tiny.onnx pictures -o rten.npy --no-cache -q");
    ok("embed tiny.onnx pictures -o ort.npy");
    ok("embed tiny.onnx pictures -o one.npy --threads 1");
    let [rten, ort, one] =
        ["rten", "ort", "one"].map(|n| std::fs::read(scene.path(&format!("{n}.npy"))).unwrap());
    assert_eq!(ort, one, "the number of threads changes nothing");
    assert_eq!(rten.len(), ort.len());
    // After a header of 128 bytes: vectors of unit length.
    let floats = |b: &[u8]| -> Vec<f64> {
        b[128..].chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
    };
    let (a, b) = (floats(&rten), floats(&ort));
    let d =
        json(&scene.ok("encoders add tiny.onnx --preset imagenet --force --json -q"))["tried"]["dimension"]
            .as_u64()
            .unwrap();
    for (a, b) in a.chunks_exact(d as usize).zip(b.chunks_exact(d as usize)) {
        let cosine: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.9999, "{cosine}");
    }
    let checked = json(&ok("encoders check tiny.onnx --json"));
    assert!(checked["runtime"].as_str().unwrap().starts_with("ONNX Runtime"), "{checked}");
    ok("train --data pictures --encoder tiny.onnx --out head");
    assert!(
        std::fs::read_to_string(scene.path("head/config.toml"))
            .unwrap()
            .contains("encoder-runtime = \"ONNX Runtime")
    );
    // What rten refuses, or would compute in another way.
    bring(&scene, &["cubic-resize.onnx", "group-normalization.onnx", "external.onnx", "external.onnx_data"]);
    for model in ["cubic-resize.onnx", "group-normalization.onnx", "external.onnx"] {
        ok(&format!("encoders add {model} --preset imagenet"));
        ok(&format!("embed {model} pictures -o {model}.npy"));
    }
}
