//! A run put to use on pictures: search, classify, enroll, verify, anomaly, cluster, health, map, explain.

use crate::command::Scene;
use crate::sources::{class_folders, picture};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A run trained on bars at two heights, and folders of bars at three.
fn scene() -> Scene {
    let scene = Scene::new();
    class_folders(&scene);
    for class in ["ant", "bee"] {
        for i in 0..12 {
            let from = scene.path(&format!("pictures/{class}/{i:02}.png"));
            scene.write(&format!("two/{class}/{i:02}.png"), &std::fs::read(from).unwrap());
        }
    }
    scene.ok("train --data two --out run --epochs 30 -q");
    scene
}

#[test]
fn a_gallery_is_embedded_once_and_answers_its_own_model_alone() {
    let scene = scene();
    let direct = json(&scene.ok("search run --gallery pictures pictures/bee/03.png -k 5 --json -q"));
    scene.ok("embed run pictures -o all.npy -q");
    let kept = json(&scene.ok("search run --gallery all.npy pictures/bee/03.png -k 5 --json -q"));
    assert_eq!(direct["queries"][0]["neighbours"], kept["queries"][0]["neighbours"]);
    let found = direct["queries"][0]["neighbours"].as_array().unwrap();
    assert_eq!(found.len(), 5);
    assert_eq!(found[0]["class"], "bee");
    assert!(found.iter().all(|n| n["path"] != "pictures/bee/03.png"), "an image is not its own neighbour");
    let distances: Vec<f64> = found.iter().map(|n| n["distance"].as_f64().unwrap()).collect();
    assert!(distances.is_sorted());
    scene.ok("search run --gallery all.npy pictures/bee/03.png -o strip.png -q");
    assert!(image::open(scene.path("strip.png")).unwrap().width() > 700);
    // Other weights: other embeddings.
    scene.ok("train --data two --out other --epochs 1 --seed 9 -q");
    scene.refused(
        "search other --gallery all.npy pictures/bee/03.png -q",
        1,
        &["all.npy", "another model's", "alike embed"],
    );
    // Several runs side by side are a model of their own.
    scene.refused(
        "search run --with other --gallery all.npy pictures/bee/03.png -q",
        1,
        &["another model's"],
    );
    scene.refused("search run --flip --gallery all.npy pictures/bee/03.png -q", 1, &["another model's"]);
    scene.ok("embed run --with other pictures -o both.npy -q");
    let both =
        json(&scene.ok("search run --with other --gallery both.npy pictures/bee/03.png -k 1 --json -q"));
    assert_eq!(both["queries"][0]["neighbours"][0]["class"], "bee");
    // An ensemble has no gradient by pixels: parts of the images are covered instead.
    let why = "explain run pictures/bee/03.png pictures/bee/04.png --json -q";
    assert_eq!(json(&scene.ok(&format!("{why} -o one.png")))["by"], "gradient");
    assert_eq!(json(&scene.ok(&format!("{why} --with other -o both.png")))["by"], "occlusion");
    assert_eq!(json(&scene.ok(&format!("{why} --flip -o flip.png")))["by"], "occlusion");
    std::fs::remove_file(scene.path("all.json")).unwrap();
    scene.refused("enroll run --gallery all.npy --class x pictures/cat/01.png", 1, &["all.json is missing"]);
    scene.refused("search run --gallery gone pictures/bee/03.png", 1, &["gone"]);
    scene.refused("search run --gallery pictures gone.png", 1, &["gone.png"]);
}

#[test]
fn a_class_is_known_from_a_handful_of_images() {
    let scene = scene();
    scene.ok("embed run two -o known.npy -q");
    let said =
        |images: &str| json(&scene.ok(&format!("classify run --gallery known.npy {images} --json -q")));
    let before = said("pictures/bee/03.png pictures/cat/09.png");
    assert_eq!(before["answers"][0]["class"], "bee");
    // Of 24 images 20 were trained on. Four that are all right say too little of how sure the next answer is.
    assert!(before["answers"][0]["confidence"].is_null(), "{before}");
    assert!(before["calibration"]["confidence_needs"].as_u64().unwrap() > 100, "{before}");
    let accept = before["calibration"]["accept"].as_f64().unwrap();
    assert!((accept - 4.0 / 5.0).abs() < 1e-9, "four images promise four in five: {before}");
    let cat = &before["answers"][1];
    assert_eq!((&cat["class"], &cat["known"]), (&Value::Null, &false.into()), "no cat was ever seen: {cat}");
    let told = scene.ok("enroll run --gallery known.npy --class cat pictures/cat/00.png pictures/cat/01.png pictures/cat/02.png -q");
    assert!(told.contains("3 images of 'cat' added; 27 images of 3 classes now"), "{told}");
    let after = said("pictures/bee/03.png pictures/cat/09.png");
    assert_eq!(after["answers"][1]["nearest_class"], "cat");
    scene.refused(
        "enroll run --gallery known.npy --class cat pictures/cat/00.png",
        1,
        &["pictures/cat/00.png is in known.npy already"],
    );
    // A gallery that is begun anew, one image a class: nothing tells what is near.
    scene.ok("enroll run --gallery new.npy --class ant pictures/ant/00.png -q");
    scene.ok("enroll run --gallery new.npy --class bee pictures/bee/00.png -q");
    scene.refused("classify run --gallery new.npy pictures/ant/05.png", 1, &["--threshold"]);
    let told = scene.ok("classify run --gallery new.npy pictures/ant/05.png --threshold 3 -q");
    assert!(told.starts_with("pictures/ant/05.png  ant  "), "{told}");
    for rule in ["knn", "weighted", "means"] {
        let told = scene
            .ok(&format!("classify run --gallery pictures pictures/ant/05.png --rule {rule} --accept 1 -q"));
        assert!(told.contains("  ant  distance"), "{rule}: {told}");
    }
    scene.ok("classify run two --csv answers.csv -q");
    let table = std::fs::read_to_string(scene.path("answers.csv")).unwrap();
    assert_eq!(table.lines().count(), 25);
    scene.refused("classify run two --csv answers.csv", 1, &["answers.csv exists already"]);
    scene.refused("classify run two --accept 1.5", 2, &["--accept"]);
    scene.ok("embed run pictures/ant/00.png -o x.npy -q");
    scene.refused("classify run --gallery x.npy pictures/ant/01.png", 1, &["no classes"]);
}

#[test]
fn two_images_are_the_same_or_different_and_either_is_an_answer() {
    let scene = scene();
    let ask = |a: &str, b: &str| json(&scene.ok(&format!("verify run {a} {b} --gallery pictures --json -q")));
    let same = ask("pictures/bee/03.png", "pictures/bee/07.png");
    let other = ask("pictures/bee/03.png", "pictures/ant/07.png");
    assert_eq!((&same["same"], &other["same"]), (&true.into(), &false.into()));
    assert_eq!(same["genuine_pairs"], 3 * 12 * 11 / 2);
    assert!(same["distance"].as_f64() < other["distance"].as_f64());
    for (key, least, most) in [("genuine_nearer", 0.0, 1.0), ("impostor_nearer", 0.0, 0.1)] {
        let share = same[key].as_f64().unwrap();
        assert!((least..=most).contains(&share), "{key} {share}");
    }
    // Known pairs that are told apart without error leave room, and the threshold lies in it.
    let threshold = same["threshold"].as_f64().unwrap();
    let (mut near, mut far) = (0.0f64, f64::INFINITY);
    if same["eer"] == 0.0 {
        for a in ["bee/03", "ant/05", "cat/11"] {
            for b in ["bee/07", "ant/07", "cat/02"] {
                let told = ask(&format!("pictures/{a}.png"), &format!("pictures/{b}.png"));
                let d = told["distance"].as_f64().unwrap();
                if a[..3] == b[..3] { near = near.max(d) } else { far = far.min(d) }
            }
        }
        assert!(near < threshold && threshold < far, "{near} {threshold} {far}");
    }
    let far =
        json(&scene.ok(
            "verify run pictures/bee/03.png pictures/ant/07.png --gallery pictures --far 0.0001 --json -q",
        ));
    // 432 pairs of two classes promise one in 433.
    assert!((far["far"].as_f64().unwrap() - 1.0 / 433.0).abs() < 1e-9, "{far}");
    let strict = scene.ok("verify run pictures/bee/03.png pictures/bee/07.png --threshold 0 -q");
    assert!(strict.starts_with("different"), "{strict}");
    scene.refused("verify run pictures/bee/03.png pictures/bee", 1, &["two images"]);
    scene.refused(
        "verify run pictures/bee/03.png pictures/bee/04.png --gallery pictures/bee",
        1,
        &["--gallery"],
    );
}

#[test]
fn only_good_parts_are_needed_to_find_a_bad_one() {
    let scene = Scene::new();
    for i in 0..40 {
        picture(0, i).save(scene.write(&format!("good/{i}.png"), b"")).unwrap();
    }
    for i in 0..4 {
        picture(0, 100 + i).save(scene.write(&format!("new/good{i}.png"), b"")).unwrap();
        picture(2, i).save(scene.write(&format!("new/bad{i}.png"), b"")).unwrap();
    }
    scene.ok("train --data good --out run --epochs 5 -q");
    for method in ["knn", "knn:k=3", "mahalanobis", "lof:k=10"] {
        let told =
            json(&scene.ok(&format!(
                "anomaly run --gallery good new --method {method} --false-alarms 0.05 --json -q"
            )));
        let images = told["images"].as_array().unwrap();
        assert!(
            images[..4].iter().all(|i| i["path"].as_str().unwrap().contains("bad") && i["alarm"] == true),
            "{method}: {told}"
        );
        assert_eq!((&told["calibrated_on"], &told["promised"]), (&40.into(), &0.05.into()));
    }
    // Forty images cannot promise one alarm in a hundred.
    let told = scene.alike("anomaly run --gallery good new --json");
    assert!(
        told.stderr.contains("40 normal images cannot promise") && told.stderr.contains("takes 99"),
        "{}",
        told.stderr
    );
    assert!((json(&told.stdout)["promised"].as_f64().unwrap() - 1.0 / 41.0).abs() < 1e-9);
    scene.ok("anomaly run --gallery good new --csv scores.csv -o worst.png -q");
    let table = std::fs::read_to_string(scene.path("scores.csv")).unwrap();
    assert!(table.starts_with("rank,path,score,alarm,written_by\n1,new/bad"), "{table}");
    // What it was trained on is the reference unless another is named.
    assert!(scene.ok("anomaly run new -q").lines().next().unwrap().contains("bad"));
    // Classes that were left out of training are no part of what is normal.
    class_folders(&scene);
    scene.ok("train --data pictures --exclude-class cat --out without --epochs 30 -q");
    let told = json(&scene.ok("anomaly without pictures/cat/03.png pictures/ant/03.png --json -q"));
    let [worst, other] = [0, 1].map(|i| told["images"][i].clone());
    assert_eq!((&worst["path"], &worst["alarm"]), (&"pictures/cat/03.png".into(), &true.into()), "{told}");
    assert!(worst["score"].as_f64().unwrap() > 0.0 && other["alarm"] == false, "{told}");
    scene.refused("anomaly run --gallery good new --method lof:k=40", 1, &["lof:k=40", "41", "40"]);
    scene.refused("anomaly run --gallery good new --method loff", 2, &["did you mean 'lof'"]);
}

#[test]
fn clusters_maps_and_explanations_of_pictures() {
    let scene = scene();
    let told = json(&scene.ok("cluster run pictures --json -q --csv c.csv -o c.png"));
    assert_eq!(told["clusters"].as_object().unwrap().len(), 3, "as many as there are classes");
    let nmi = told["agreement"]["nmi"].as_f64().unwrap();
    let [low, high] = [0, 1].map(|i| told["intervals"]["NMI"][i].as_f64().unwrap());
    assert!(nmi > 0.5 && low <= nmi + 0.1 && nmi <= high, "{told}");
    assert_eq!(std::fs::read_to_string(scene.path("c.csv")).unwrap().lines().count(), 37);
    scene.ok("cluster run pictures --method density --min-cluster-size 5 -q");
    scene.refused("cluster run pictures -k 99 -q", 1, &["99 clusters of 36 images"]);
    scene.refused("cluster run pictures/ant/00.png -q", 1, &["-k"]);

    scene.ok("map run pictures -o map.html -q");
    let page = std::fs::read_to_string(scene.path("map.html")).unwrap();
    assert!(["PCA", "t-SNE", "UMAP", "pictures/ant/00.png"].iter().all(|w| page.contains(w)));
    let one = scene.ok("map run --method umap -o own.html -q --json");
    assert_eq!(json(&one)["images"], 24);
    // What is drawn; what stands before it names the command.
    let drawn = || {
        let page = std::fs::read_to_string(scene.path("own.html")).unwrap();
        page[page.find(r#"<script id="facts""#).unwrap()..].to_owned()
    };
    let before = drawn();
    scene.ok("map run --method umap -o own.html -q --force --threads 1");
    assert!(drawn() == before, "the same map at any number of threads");
    // A map of one image is a page too, with a colour to choose.
    scene.ok("map run pictures/ant/00.png -o one.html -q");
    let page = std::fs::read_to_string(scene.path("one.html")).unwrap();
    assert!(page.contains(r#""colours":[{"#), "{page}");
    scene.refused("map run -o map.png", 1, &["map.png", ".html"]);

    let told = json(&scene.ok("explain run pictures/ant/00.png pictures/bee/00.png -o why.svg --json -q"));
    assert!(
        told["masking"]["salient"].as_f64().unwrap() > told["masking"]["random"].as_f64().unwrap(),
        "{told}"
    );
    assert!(scene.path("why.svg").is_file());
}

#[test]
fn wrong_labels_and_copies_are_found_and_the_cleaned_table_is_trained_on() {
    let scene = Scene::new();
    class_folders(&scene);
    // One ant among the bees, and a copy of it.
    let ant = std::fs::read(scene.path("pictures/ant/04.png")).unwrap();
    scene.write("pictures/bee/ant.png", &ant);
    scene.ok("train --data pictures --out run --epochs 5 --split image:test=0.2 -q");
    let told = json(&scene.ok("health run --json -q -k 5"));
    let worst = &told["labels"][0];
    assert_eq!(
        (&worst["image"], &worst["label"], &worst["other"]),
        (&"bee/ant.png".into(), &"bee".into(), &"ant".into())
    );
    let twice = told["twice"].as_array().unwrap();
    assert!(twice.iter().any(|p| p[0]["image"] == "ant/04.png" && p[1]["image"] == "bee/ant.png"), "{told}");
    let printed = scene.ok("health run -q -o health");
    assert!(printed.contains("bee/ant.png  is 'bee', looks like 'ant'"), "{printed}");
    let cleaned = std::fs::read_to_string(scene.path("health/cleaned.csv")).unwrap();
    assert!(cleaned.contains("cat/01.png") && !cleaned.contains("bee/ant.png"), "{cleaned}");
    scene.ok("train --data health/cleaned.csv --out again --epochs 1 -q");
    scene.refused("health run -o health", 1, &["exists already", "--force"]);
}
