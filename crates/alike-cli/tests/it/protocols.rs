//! Runs judged by the field's protocols.

use crate::command::Scene;
use crate::sources::picture;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Eight classes by height of the bar and colour, ten images each, half of the classes trained on.
fn open_set(scene: &Scene) {
    let mut table = String::from("path,label,category,light\n");
    for class in 0..8 {
        for i in 0..10 {
            let mut image = picture(class % 3, i);
            image.pixels_mut().for_each(|p| p.0[2] = p.0[2].wrapping_add((class as u8 / 3) * 80));
            let path = format!("{class}-{i}.png");
            image.save(scene.write(&format!("set/{path}"), b"")).unwrap();
            let light = if i < 5 { "day" } else { "night" };
            table.push_str(&format!("{path},class{class},kind{},{light}\n", class % 2));
        }
    }
    scene.write("set/all.csv", table.as_bytes());
    scene.ok("train --data set/all.csv --split class:test=0.5 --out run --epochs 2 -q");
}

#[test]
fn verification_tells_rates_by_threshold_and_condition() {
    let scene = Scene::new();
    open_set(&scene);
    let told = json(&scene.ok("eval verification run --json --by light --csv roc.csv -o v.png -q"));
    for space in ["image", "feature"] {
        let s = &told[space];
        assert_eq!((&s["genuine"], &s["impostor"]), (&(4 * 45).into(), &(6 * 100).into()));
        assert_eq!(s["at_far"].as_array().unwrap().len(), 4);
        let [low, high] = [0, 1].map(|i| s["eer_interval"][i].as_f64().unwrap());
        assert!(low <= high && (0.0..=1.0).contains(&s["eer"].as_f64().unwrap()));
        for condition in ["day", "night", "day / night"] {
            assert!(s["by"][condition]["eer"].is_number(), "{s}");
        }
    }
    let curve = std::fs::read_to_string(scene.path("roc.csv")).unwrap();
    assert!(
        curve.starts_with("space,false_accept_rate,true_accept_rate,false_reject_rate\nimage,0,0,1\n"),
        "{curve}"
    );
    assert!(scene.path("v.png").is_file());
    scene.ok("eval verification run --flip -q");
    scene.refused("eval verification run --by nothing", 1, &["no column 'nothing'", "light"]);
    // Pairs that are given: two of the test images' names.
    let names: Vec<String> = std::fs::read_to_string(scene.path("run/split.csv"))
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("test,"))
        .map(|l| l.rsplit(',').next().unwrap().to_owned())
        .collect();
    let mut pairs = String::from("a,b,same\n");
    for i in 0..9 {
        pairs.push_str(&format!(
            "{},{},true\n{},{},false\n",
            names[i],
            names[i + 1],
            names[i],
            names[i + 20]
        ));
    }
    scene.write("pairs.csv", pairs.as_bytes());
    let told = json(&scene.ok("eval verification run --pairs pairs.csv --json -q"));
    assert_eq!((&told["feature"]["genuine"], &told["feature"]["impostor"]), (&9.into(), &9.into()));
    scene.write("pairs.csv", b"a,b,same\nnobody.png,x,1\n");
    scene.refused("eval verification run --pairs pairs.csv", 1, &["line 2", "nobody.png"]);
    scene.write("pairs.csv", b"a,b\n");
    scene.refused("eval verification run --pairs pairs.csv", 1, &["no column 'same'"]);
}

#[test]
fn few_shot_episodes_and_one_shot_runs() {
    let scene = Scene::new();
    open_set(&scene);
    let told = json(&scene.ok("eval few-shot run --json --ways 2,4 --shots 1 --episodes 40 -q"));
    let each = told["few_shot"].as_array().unwrap();
    assert_eq!((told["classes"].as_u64(), each.len()), (Some(4), 2));
    assert_eq!((&each[1]["feature"]["ways"], &each[1]["feature"]["episodes"]), (&4.into(), &40.into()));
    assert!((0.0..=1.0).contains(&each[0]["feature"]["prototypes"]["mean"].as_f64().unwrap()));
    assert_eq!(
        told,
        json(&scene.ok("eval few-shot run --json --ways 2,4 --shots 1 --episodes 40 -q --threads 1"))
    );
    scene.ok("eval few-shot run --ways 2,4 --shots 1 --episodes 40 --csv few.csv -q");
    assert_eq!(std::fs::read_to_string(scene.path("few.csv")).unwrap().lines().count(), 9);
    // Four test classes are too few for five ways, which nobody asked for.
    let told = scene.alike("eval few-shot run --episodes 5 --shots 1");
    assert!(told.stdout.contains("\n4-way 1-shot") && !told.stdout.contains("5-way"), "{told:?}");
    assert!(told.stderr.contains("instead of 5-way 1-shot, 20-way 1-shot"), "{told:?}");
    scene.refused("eval few-shot run --ways 5", 1, &["5-way", "4"]);
    scene.refused("eval few-shot run --ways 2 --shots 10", 1, &["11 images"]);
    // The layout of Omniglot's runs, with the right answers' images among the trained ones.
    for run in ["run01", "run02"] {
        let mut labels = String::new();
        for class in 0..3 {
            picture(class, 50)
                .save(scene.write(&format!("runs/{run}/training/class{class}.png"), b""))
                .unwrap();
            picture(class, 60).save(scene.write(&format!("runs/{run}/test/item{class}.png"), b"")).unwrap();
            labels.push_str(&format!("{run}/test/item{class}.png {run}/training/class{class}.png\n"));
        }
        scene.write(&format!("runs/{run}/class_labels.txt"), labels.as_bytes());
    }
    let told = json(&scene.ok("eval few-shot run --json --runs runs -q"));
    assert_eq!(told["runs"].as_array().unwrap().len(), 2);
    // Two labels are exchanged, so two answers of the first run are wrong whatever the network sees.
    let labels =
        "run01/test/item0.png run01/training/class1.png\nrun01/test/item1.png run01/training/class0.png\n";
    scene.write("wrong/run01/class_labels.txt", labels.as_bytes());
    for part in ["training/class", "test/item"] {
        for class in 0..2 {
            let path = format!("run01/{part}{class}.png");
            let from = scene.path(&format!("runs/{path}"));
            scene.write(&format!("wrong/{path}"), &std::fs::read(from).unwrap());
        }
    }
    scene.ok("eval few-shot run --runs wrong -o mistakes.svg --csv wrong.csv -q");
    let table = std::fs::read_to_string(scene.path("wrong.csv")).unwrap();
    assert_eq!(table.lines().nth(1), Some("run01,1,1"), "{table}");
    let drawn = std::fs::read_to_string(scene.path("mistakes.svg")).unwrap();
    assert!(drawn.contains("2 of 2 answers are wrong") && drawn.contains("taken for: class0"), "{drawn}");
    scene.refused("eval few-shot run --runs wrong -o mistakes.svg -q", 1, &["mistakes.svg", "--force"]);
    assert_eq!(told["image_error"]["mean"], 0.0, "bars at three heights are told apart by pixels");
    scene.write("runs/run02/class_labels.txt", b"run02/test/item0.png run02/training/class9.png\n");
    scene.refused("eval few-shot run --runs runs", 1, &["run02", "line 1", "class9.png"]);
    scene.refused("eval few-shot run --runs set", 1, &["class_labels.txt"]);
}

#[test]
fn anomalies_are_classes_left_out_or_all_but_one_or_another_set() {
    let scene = Scene::new();
    scene.train("--exclude-class 2");
    let told = json(&scene.ok("eval anomaly run --json -q"));
    assert_eq!(told["protocol"], "classes left out of training");
    let rows = told["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["space"], &rows[0]["anomalies"]), (5, &"image".into(), &10.into()));
    let told = json(&scene.ok("eval anomaly run --json --one-class --method knn --csv a.csv -q"));
    assert_eq!(
        (told["protocol"].as_str(), told["rows"].as_array().unwrap().len()),
        (Some("one class only"), 6)
    );
    assert_eq!(std::fs::read_to_string(scene.path("a.csv")).unwrap().lines().count(), 7);
    for row in told["means"].as_array().unwrap() {
        let [low, high] = [0, 1].map(|i| row["auroc_interval"][i].as_f64().unwrap());
        let auroc = row["auroc"].as_f64().unwrap();
        assert!(low <= auroc && auroc <= high, "{row}");
    }
    let told = json(&scene.ok("eval anomaly run --json --against digits:train=20,test=20 --method knn -q"));
    assert_eq!((&told["rows"][0]["normal"], &told["rows"][0]["anomalies"]), (&30.into(), &20.into()));
    assert!(scene.ok("eval anomaly run --method knn -q").contains("mean AUROC"));
    scene.refused("eval anomaly run --split class", 2, &["--data"]);
    scene.refused("eval few-shot run --nested", 2, &["--data"]);
}

#[test]
fn runs_are_compared_on_the_same_images() {
    let scene = Scene::new();
    scene.train("");
    scene.ok("train --data data --recipe seed --out other --epochs 3 --batch-size 16 --seed 3 -q");
    let told = json(&scene.ok("compare run other --json -q"));
    let second = &told["runs"][1];
    assert_eq!(second["run"], "other");
    for measure in ["1-NN", "R-Precision", "MAP@R"] {
        let d = &second["against_first"][measure];
        let p = d["p_value"].as_f64().unwrap();
        assert!(p > 0.0 && p <= 1.0 && d["groups"] == 30, "{d}");
    }
    scene.ok("compare run other --csv compared.csv -q");
    let table = std::fs::read_to_string(scene.path("compared.csv")).unwrap();
    assert_eq!(table.lines().count(), 9, "a row a run and measure: {table}");
    scene.refused("compare run other --csv compared.csv -q", 1, &["compared.csv", "--force"]);
    let same = scene.ok("compare run run -q");
    // Thirty queries on which two runs agree leave room for a difference on others.
    assert!(same.contains("+0.00 points [-") && same.contains("]  p 1.0000  not significant"), "{same}");
    assert!(same.contains("permutation test over 30 queries"), "{same}");
    scene.refused("compare run", 1, &["two or more"]);
    scene.ok("train --data digits:train=40,test=20 --recipe seed --out third --epochs 1 --batch-size 16 -q");
    scene.refused("compare run third -q", 1, &["not judged on the same images"]);
}

#[test]
fn runs_of_several_seeds_share_a_split_and_are_summed_up() {
    let scene = Scene::new();
    let told = json(&scene.ok(
        "train --data data --split image:test=0.3 --prepare size=12x10 --recipe seed --epochs 1 --batch-size 16 --seeds 10,9 --out runs --json -q",
    ));
    assert_eq!(
        (&told["runs"][0]["run"], &told["runs"][1]["seed"]),
        (&"runs/seed-9".into(), &10.into()),
        "{told}"
    );
    let config = |run: &str| std::fs::read_to_string(scene.path(run).join("config.toml")).unwrap();
    assert!(config("runs/seed-9").contains("seed = 9") && config("runs/seed-10").contains("seed = 10"));
    assert_eq!(
        config("runs/seed-9").replace("seed = 9", "seed = 10"),
        config("runs/seed-10"),
        "nothing but the seed differs, the split least of all"
    );
    let told = json(&scene.ok("compare runs --csv t.csv --markdown t.md --json -q"));
    assert_eq!(told["runs"][1]["run"], "runs/seed-10", "by number, not by letter");
    let (group, name) = (&told["seeds"][0], "R-Precision");
    assert_eq!(group["seeds"], serde_json::json!([9, 10]));
    let [a, b] = [0, 1].map(|i| told["runs"][i]["means"][name].as_f64().unwrap());
    let spread = &group["measures"][name];
    assert!((spread["mean"].as_f64().unwrap() - (a + b) / 2.0).abs() < 1e-12, "{spread}");
    assert!((spread["deviation"].as_f64().unwrap() - (a - b).abs() / 2f64.sqrt()).abs() < 1e-12, "{spread}");
    let read = |name: &str| std::fs::read_to_string(scene.path(name)).unwrap();
    assert_eq!(read("t.csv").lines().count(), 1 + 2 * 4 + 4, "{}", read("t.csv"));
    let table = read("t.md");
    assert!(table.starts_with("| run | 1-NN |") && table.contains("seeds 9, 10 |"), "{table}");
    scene.refused("train --data data --seeds 1,9 --out runs", 1, &["runs/seed-9", "exists already"]);
    scene.refused("train --data data --seeds 1,2 --out runs/seed-9", 1, &["runs/seed-9", "exists already"]);
    scene.refused("train --data data --seeds 1,2 --seed 3 --out x", 2, &["--seed"]);
}

#[test]
fn defaults_are_lowered_to_what_a_small_set_allows_and_say_so() {
    let scene = Scene::new();
    // Six classes of three images to judge, none of which was trained on, and one of a single image.
    for class in 0..7 {
        for i in 0..(if class == 6 { 1 } else { 3 }) {
            let mut image = picture(class % 3, i);
            image.pixels_mut().for_each(|p| p.0[2] = p.0[2].wrapping_add((class as u8 / 3) * 80));
            image.save(scene.write(&format!("set/test/c{class}/{i}.png"), b"")).unwrap();
            picture(class % 3, i + 9).save(scene.write(&format!("set/train/t{class}/{i}.png"), b"")).unwrap();
        }
    }
    scene.ok("train --data set --out open --epochs 1 -q");
    let told = scene.alike("eval few-shot open --episodes 20");
    assert_eq!(told.code, 0, "{told:?}");
    for kind in ["\n5-way 1-shot", "\n5-way 2-shot", "\n6-way 1-shot", "\n6-way 2-shot"] {
        assert!(told.stdout.contains(kind), "{kind}: {told:?}");
    }
    assert!(told.stderr.contains(
        "6 classes have two images or more; instead of 5-way 5-shot, 20-way 1-shot, 20-way 5-shot"
    ));
    scene.refused("eval few-shot open --ways 7 -q", 1, &["7-way", "6", "ask for fewer"]);
    scene.refused("eval few-shot open --shots 5 -q", 1, &["6 images", "ask for fewer"]);
    // Two classes of two, trained on: four images to be compared with.
    for (part, from) in [("train", 0), ("test", 2)] {
        for class in 0..2 {
            for i in from..from + 2 {
                picture(class, i).save(scene.write(&format!("few/{part}/c{class}/{i}.png"), b"")).unwrap();
            }
        }
    }
    scene.ok("train --data few --out few-run --epochs 1 -q");
    for verb in ["eval few-run --json", "report few-run -o page.html"] {
        let told = scene.alike(verb);
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.stderr.contains("k = 5 is left out: there are 4 images"), "{told:?}");
        assert!(told.stderr.contains("k = 5 and 10 is left out"), "{told:?}");
    }
    scene.refused("eval few-run --k 5", 1, &["k = 5", "4 images", "--k"]);
    // Of a class that is too small for a method, the name and the number.
    let told = scene.alike("eval anomaly few-run --one-class --method knn --method lof:k=2");
    assert!(
        told.code == 1 && told.stderr.contains("lof:k=2") && told.stderr.contains("c0 (2), c1 (2)"),
        "{told:?}"
    );
    picture(0, 7).save(scene.write("few/train/c0/7.png", b"")).unwrap();
    scene.ok("train --data few --out more-run --epochs 1 -q");
    let told = scene.alike("eval anomaly more-run --one-class --method knn --method lof:k=2");
    assert!(told.code == 0 && told.stdout.contains("\nc0 "), "{told:?}");
    assert!(told.stderr.contains("lof:k=2 needs 3 training images of a class: c1 (2)"), "{told:?}");
}

#[test]
fn open_sets_are_tested_by_class_and_all_right_has_room_below() {
    let scene = Scene::new();
    open_set(&scene);
    let told = json(&scene.ok("eval run --json -q"));
    for c in told["comparison"].as_array().unwrap() {
        assert_eq!(c["paired"]["classes"], 4, "{c}");
        // Four classes cannot tell at one in a hundred: 2 of their 16 ways are as far.
        assert!(c["paired"]["p_value"].as_f64().unwrap() >= 0.125, "{c}");
    }
    assert!(scene.ok("eval run -q").contains("(by 4 classes, p "));
    for space in ["image", "feature"] {
        for (_, rule) in told["spaces"][space]["knn"].as_object().unwrap() {
            let [low, high] = [0, 1].map(|i| rule["interval"][i].as_f64().unwrap());
            assert!(low < high && low < 0.9, "four classes say little of others: {rule}");
        }
        for (name, interval) in told["retrieval"][space]["intervals"].as_object().unwrap() {
            assert!(interval[0].as_f64() < interval[1].as_f64(), "{name}: {interval}");
        }
        assert_eq!(told["retrieval"][space]["by_classes"], true);
    }
    let told = json(&scene.ok("eval verification run --json -q"));
    for space in ["image", "feature"] {
        let s = &told[space];
        assert!(s["eer_interval"][0].as_f64() < s["eer_interval"][1].as_f64(), "{s}");
        assert!((s["least_far"].as_f64().unwrap() - 1.0 / 601.0).abs() < 1e-12);
        for at in s["at_far"].as_array().unwrap() {
            assert!(at["interval"][0].as_f64() < at["interval"][1].as_f64(), "{at}");
        }
    }
}

#[test]
fn an_image_is_not_compared_with_those_of_its_own_group() {
    let scene = Scene::new();
    // Two images a group are the same picture: without groups each finds its twin.
    let mut table = String::from("path,label,split,group\n");
    for i in 0..24 {
        let path = format!("{i}.png");
        picture(i / 2 % 3, i / 2).save(scene.write(&format!("set/{path}"), b"")).unwrap();
        let split = if i % 2 == 0 { "train" } else { "test" };
        // What a picture looks like says nothing of its class: only its twin can be right.
        table.push_str(&format!("{path},class{},{split},g{}\n", i / 8, i / 2));
    }
    scene.write("set/all.csv", table.as_bytes());
    scene.ok("train --data set/all.csv --out run --epochs 1 -q --split given");
    let twin = json(&scene.ok("eval run --json -q"));
    let others = json(&scene.ok("eval run --json -q --leave-group"));
    let map = |j: &Value| j["retrieval"]["image"]["micro"]["recall_at"][0].as_f64().unwrap();
    assert_eq!(map(&twin), 1.0);
    assert!(map(&others) < 0.8, "{others}");
    assert_eq!(others["retrieval"]["image"]["queries"], 12);
    scene.refused("eval --leave-group verification run", 2, &["eval verification MODEL"]);
    scene.train("--force");
    scene.refused("eval run --leave-group", 1, &["no groups"]);
}
