//! What verbs print and write when all is well.

use crate::command::Scene;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[track_caller]
fn fraction(v: &Value) {
    let v = v.as_f64().unwrap();
    assert!((0.0..=1.0).contains(&v), "{v}");
}

#[test]
fn eval_prints_the_contract() {
    let scene = Scene::new();
    scene.train("--exclude-class 2 --seed 7");
    let j = json(&scene.ok("eval run --json --k 1,3"));
    assert_eq!((&j["dataset"], &j["n_gallery"], &j["n_query"]), (&"data".into(), &90.into(), &30.into()));
    for space in ["image", "feature"] {
        let s = &j["spaces"][space];
        for rule in [&s["class_mean"], &s["knn"]["1"], &s["knn"]["3"]] {
            fraction(&rule["accuracy"]);
            let [low, high] = [0, 1].map(|i| rule["interval"][i].as_f64().unwrap());
            let accuracy = rule["accuracy"].as_f64().unwrap();
            assert!(low <= accuracy && accuracy <= high, "{rule}");
            for class in ["0", "1", "2"] {
                fraction(&rule["recall"][class]);
            }
        }
    }
    let u = &j["unseen"];
    assert_eq!(u["classes"], serde_json::json!(["2"]));
    fraction(&u["class_mean"]["recall"]);
    fraction(&u["knn"]["1"]["recall"]);
    fraction(&u["knn"]["3"]["recall_by_class"]["2"]);
    for name in ["precision_at_1", "r_precision", "map_at_r"] {
        fraction(&u[name]);
    }
    // The same queries are judged elsewhere too, among those of all classes.
    for space in ["image", "feature"] {
        let judged = &j["spaces"][space];
        let of = |measure: &str| if space == "image" { &u["image"][measure] } else { &u[measure] };
        for measure in ["r_precision", "map_at_r"] {
            assert_eq!(of(measure), &j["retrieval"][space]["by_class"]["2"][measure], "{space}, {measure}");
        }
        let own =
            |rule: &serde_json::Value| if space == "image" { rule.clone() } else { rule["recall"].clone() };
        assert_eq!(own(of("class_mean")), judged["class_mean"]["recall"]["2"]);
        assert_eq!(own(&of("knn")["3"]), judged["knn"]["3"]["recall"]["2"]);
    }
    let told = scene.ok("eval run");
    assert!(told.contains("never seen in training: 2") && told.contains("recall, 1-NN"), "{told}");
    let r = &j["retrieval"]["feature"];
    assert_eq!(
        (&r["ks"], &r["queries"], &r["without_match"]),
        (&serde_json::json!([1, 5, 10]), &30.into(), &0.into())
    );
    for measure in ["r_precision", "map", "map_at_r", "mrr"] {
        fraction(&r["micro"][measure]);
        fraction(&r["per_class"][measure]);
        fraction(&r["by_class"]["2"][measure]);
    }
    scene.ok("eval run --csv classes.csv --at 1,2");
    let table = std::fs::read_to_string(scene.path("classes.csv")).unwrap();
    assert!(table.starts_with("space,of,name,Recall@1,Recall@2,Precision@1"), "{table}");
    assert_eq!(table.lines().count(), 7);
    scene.refused("eval run --csv classes.csv", 1, &["classes.csv exists already", "--force"]);
    scene.refused("eval run --at 0", 2, &["--at"]);
    // By other images, by mirrored ones, by two runs at once, and by weighted votes.
    let other =
        json(&scene.ok("eval run --data digits:train=60,test=20 --weighted --flip --with run --json -q"));
    assert_eq!((&other["n_query"], &other["weighted_votes"]), (&20.into(), &true.into()));
    assert!(other["unseen"].is_null(), "what was left out were classes of the run's own data");
    scene.refused("eval run --prepare size=8", 2, &["--data"]);
    scene.refused("eval run --weighted few-shot", 2, &["eval few-shot MODEL"]);
    scene.refused("eval --k 3 few-shot run", 2, &["eval few-shot MODEL"]);
    // The bars are easily told apart by pixels.
    assert_eq!(j["spaces"]["image"]["knn"]["1"]["accuracy"], 1.0);
}

#[test]
fn a_run_says_how_to_make_it_again_and_its_config_does() {
    let scene = Scene::new();
    scene.train("--validate=0.2 --seed 5 --distance cosine --margin 0.5 --normalize");
    let config = std::fs::read_to_string(scene.path("run/config.toml")).unwrap();
    for line in [
        "seed = 5",
        "loss = \"triplet-margin:margin=0.5,smooth=false,swap=false\"",
        "distance = \"cosine\"",
        "validate = 0.2",
    ] {
        assert!(config.contains(line), "{config}");
    }
    assert!(scene.path("run/best.safetensors").is_file() && scene.path("run/metrics.jsonl").is_file());
    scene.ok("train --config run/config.toml --out again -q");
    let read = |run: &str| std::fs::read(scene.path(run).join("last.safetensors")).unwrap();
    assert!(read("run") == read("again"), "the same settings gave other bits");
    // A flag wins over the file.
    scene.ok("train --config run/config.toml --out other --seed 6 -q");
    assert!(read("run") != read("other"));
}

#[test]
fn global_flags_are_accepted_before_and_after_the_verb() {
    let scene = Scene::new();
    scene.ok("--seed 3 --threads 1 -q train --data data --recipe seed --out a --epochs 1 --batch-size 16");
    scene.ok("train --data data --recipe seed --out b --epochs 1 --batch-size 16 --seed 3 --threads 2 -q");
    let read = |run: &str| std::fs::read(scene.path(run).join("last.safetensors")).unwrap();
    assert!(read("a") == read("b"), "threads changed the bits");
    assert_eq!(json(&scene.ok("--json data list"))["sets"].as_array().unwrap().len(), 8);
}

#[test]
fn a_finished_run_can_be_given_more_epochs() {
    let scene = Scene::new();
    scene.ok("train --data data --recipe seed --out two --epochs 2 --batch-size 16 -q");
    scene.train("");
    scene.ok("train --resume run --epochs 2 -q");
    let read = |run: &str| std::fs::read(scene.path(run).join("last.safetensors")).unwrap();
    assert!(read("two") == read("run"));
    scene.refused("train --resume run --margin 2", 2, &["--margin"]);
}

#[test]
fn a_budget_of_minutes_becomes_epochs_that_the_run_writes_down() {
    let scene = Scene::new();
    scene.ok("train --data data --recipe seed --batch-size 16 --minutes 0.01 --out timed -q");
    let config = std::fs::read_to_string(scene.path("timed/config.toml")).unwrap();
    let value = |key: &str| -> f64 {
        let line =
            config.lines().find(|l| l.starts_with(key)).unwrap_or_else(|| panic!("no {key}: {config}"));
        line.split(" = ").nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(value("budget-minutes"), 0.01);
    assert!(value("budget-rate") > 0.0 && value("epochs") >= 1.0, "{config}");
    // By its own settings the run is made again, however fast the machine is then.
    scene.ok("train --config timed/config.toml --out again -q");
    let [one, other] =
        ["timed", "again"].map(|run| std::fs::read(scene.path(&format!("{run}/last.safetensors"))).unwrap());
    assert!(one == other, "the same settings give the same bits");
    scene.refused("train --data data --minutes 1 --epochs 2 --out x", 2, &["--minutes", "--epochs"]);
    scene.refused("train --data data --minutes 0 --out x", 2, &["a number of minutes"]);
    scene.refused("train --data data --minutes 1 --start whitened --out x -q", 1, &["--minutes", "whitened"]);
    assert!(!scene.path("x").exists());
}

#[test]
fn embed_writes_rows_in_the_order_of_its_table() {
    let scene = Scene::new();
    scene.train("");
    std::fs::create_dir(scene.path("pictures")).unwrap();
    for (name, grey) in [("b.png", 200u8), ("a.pgm", 20), ("c.png", 90)] {
        image::GrayImage::from_pixel(10, 12, image::Luma([grey]))
            .save(scene.path("pictures").join(name))
            .unwrap();
    }
    scene.write("pictures/notes.txt", b"not a picture");
    assert_eq!(scene.ok("embed run pictures -o out.npy -q").trim(), "out.npy");
    let table = std::fs::read_to_string(scene.path("out.csv")).unwrap();
    let place = |name: &str| scene.path("pictures").canonicalize().unwrap().join(name).display().to_string();
    let [a, b, c] = ["a.pgm", "b.png", "c.png"].map(place);
    let row = |i: usize, name: &str, place: &str| format!("{i},pictures/{name},,{place},alike embed\n");
    let rows = row(0, "a.pgm", &a) + &row(1, "b.png", &b) + &row(2, "c.png", &c);
    assert_eq!(table, format!("row,path,class,place,written_by\n{rows}"));
    let bytes = std::fs::read(scene.path("out.npy")).unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 32, ), }";
    assert!(bytes[10..].starts_with(header.as_bytes()));
    let values = bytes[128..].as_chunks::<4>().0;
    assert_eq!(values.len(), 3 * 32);
    assert!(values.iter().all(|v| f32::from_le_bytes(*v).is_finite()));
    // Another size is refused unless the user asks for scaling.
    image::GrayImage::new(20, 24).save(scene.path("large.png")).unwrap();
    scene.refused("embed run large.png -o large.npy", 1, &["large.png", "resize=fit"]);
    scene.ok("embed run large.png -o large.npy --prepare resize=fit");
}

#[test]
fn model_show_counts_the_seeds_parameters() {
    let scene = Scene::new();
    let text = scene.ok("model show");
    assert!(text.contains("18946"), "{text}");
    let j = json(&scene.ok("model show --json --embedding 8"));
    assert_eq!(j["embedding"], 8);
}

#[test]
fn completions_and_help_name_every_verb() {
    let scene = Scene::new();
    for text in [scene.ok("completions bash"), scene.ok("--help")] {
        for verb in ["data", "train", "eval", "report", "embed", "demo"] {
            assert!(text.contains(verb), "{verb}");
        }
    }
    for verb in ["data", "model", "train", "eval", "report", "embed", "demo"] {
        assert!(scene.ok(&format!("{verb} --help")).contains("Usage"), "{verb}");
    }
}

#[test]
fn a_sheet_shows_any_set() {
    let scene = Scene::new();
    let text = scene.ok("data show data -o sheet.png");
    assert!(text.contains("90") && text.ends_with("sheet.png\n"), "{text}");
    assert!(image::open(scene.path("sheet.png")).unwrap().width() > 500);
    scene.ok("data show digits:train=50,test=10,seed=3 -o sheet.svg");
    assert!(std::fs::read_to_string(scene.path("sheet.svg")).unwrap().starts_with("<svg"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_how_to_resume() {
    use std::io::Read;
    let scene = Scene::new();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_alike"))
        .args("train --data data --recipe seed --out run --epochs 1000000 --batch-size 16".split(' '))
        .current_dir(scene.path(""))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Wait for the first checkpoint, not for a time.
    while !scene.path("run/last.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "training ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let interrupted =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("continue with: alike train --resume run"), "{stderr}");
    let metrics = std::fs::read_to_string(scene.path("run/metrics.jsonl")).unwrap();
    let epochs = metrics.lines().filter(|l| l.contains("\"epoch\"") && json(l)["kind"] == "epoch").count();
    scene.ok(&format!("train --resume run --epochs {} -q", epochs + 1));
}

/// Output that nobody reads any more is no error.
#[test]
fn a_closed_pipe_is_forgiven() {
    let scene = Scene::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_alike"))
        .args(["model", "show"])
        .current_dir(scene.path(""))
        .stdout(writer)
        .status()
        .unwrap();
    assert!(status.success());
}
