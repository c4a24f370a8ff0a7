//! What `report`, `map` and `eval` show: figures alone, their numbers, pages without classes, a page that follows a run.

use crate::command::Scene;
use crate::sources::picture;
use serde_json::Value;
use std::collections::BTreeSet;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A folder of pictures without classes.
fn flat(scene: &Scene) {
    for i in 0..24 {
        picture(i % 3, i).save(scene.write(&format!("flat/{i:02}.png"), b"")).unwrap();
    }
    // The same picture, a shade lighter here and there.
    let mut copy = picture(1, 4);
    copy.get_pixel_mut(0, 0).0 = [9, 9, 9];
    copy.save(scene.path("flat/copy.png")).unwrap();
}

#[test]
fn figures_are_had_alone_with_their_numbers() {
    let scene = Scene::new();
    scene.train("--seed 3");
    let said = scene.ok("report run --only accuracy,confusion -o alone");
    assert_eq!(said.lines().count(), 6, "{said}");
    let names: BTreeSet<String> = std::fs::read_dir(scene.path("alone"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = ["accuracy", "confusion"].map(|f| ["svg", "png", "csv"].map(|e| format!("{f}.{e}")));
    assert_eq!(names, expected.into_iter().flatten().collect());
    assert!(!scene.path("run/report.html").exists());
    // The table says what eval says.
    let judged = json(&scene.ok("eval run --json -q"));
    let table = std::fs::read_to_string(scene.path("alone/accuracy.csv")).unwrap();
    let nearest: Vec<&str> = table.lines().find(|l| l.starts_with("1-NN")).unwrap().split(',').collect();
    for (at, space) in [(1, "image"), (2, "feature")] {
        let accuracy = judged["spaces"][space]["knn"]["1"]["accuracy"].as_f64().unwrap();
        assert_eq!(nearest[at].parse::<f64>().unwrap(), accuracy, "{table}");
    }
    let confused = std::fs::read_to_string(scene.path("alone/confusion.csv")).unwrap();
    let images: u32 = confused
        .lines()
        .filter(|l| l.starts_with("Feature"))
        .map(|l| l.split(',').nth(3).unwrap().parse::<u32>().unwrap())
        .sum();
    assert_eq!(images, 30, "every test image is in the table once");
    scene.refused("report run --only accuracy -o alone", 1, &["exists already", "--force"]);
    scene.refused("report run --only few-shot -o other", 1, &["few-shot", "--only"]);
    assert!(!scene.path("other").exists());
    let some = scene.alike("report run --only few-shot,spaces -o some");
    assert!(some.code == 0 && some.stderr.contains("no figure few-shot"), "{some:?}");
    assert!(scene.path("some/spaces.svg").exists() && !scene.path("some/few-shot.svg").exists());
    scene.refused("report run --only nothing -o other", 2, &["nothing", "confusion"]);
    let help = scene.ok("report --help");
    for name in ["spaces", "verification", "copies"] {
        assert!(help.contains(&format!("- {name}:")), "{help}");
    }
}

#[test]
fn images_without_classes_are_looked_at_too() {
    let scene = Scene::new();
    flat(&scene);
    let trained = scene.alike("train --data flat --out run --epochs 2");
    assert!(trained.stderr.contains("alike eval run"), "{}", trained.stderr);
    assert!(trained.stderr.contains("2 epochs, as asked"), "{}", trained.stderr);
    let j = json(&scene.ok("eval run --json -q"));
    assert_eq!(j["images"], 25);
    for measure in ["views", "mirror"] {
        for space in ["image", "feature"] {
            let v = &j[measure][space];
            let [low, high] = [0, 1].map(|i| v["interval"][i].as_f64().unwrap());
            let share = v["share"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&share) && low <= share && share <= high, "{v}");
        }
    }
    scene.refused("eval run --k 3", 1, &["no classes", "--k"]);
    let said = scene.alike("report run -o page.html");
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("need classes"), "{}", said.stderr);
    let page = std::fs::read_to_string(scene.path("page.html")).unwrap();
    for section in ["consistency", "map", "clusters", "neighbours", "copies", "training", "needs"] {
        assert!(page.contains(&format!("<section id=\"{section}\"")), "{section}");
    }
    let copies = std::fs::read_to_string(scene.path("page-figures/copies.csv")).unwrap();
    assert!(copies.lines().any(|l| l.contains("04.png") && l.contains("copy.png")), "{copies}");
    // What Alike wrote is not read as the user's data.
    assert_eq!(json(&scene.ok("data stats flat --json -q"))["images"], 25);
    scene.ok("map run -o map.html -q");
    assert!(std::fs::read_to_string(scene.path("map.html")).unwrap().contains("cluster 3"));
}

#[test]
fn a_map_places_all_images_or_says_how_many() {
    let scene = Scene::new();
    scene.train("");
    let j = json(&scene.ok("map run -o all.html --method pca --assets pictures --json -q"));
    assert_eq!((&j["images"], &j["of"]), (&120.into(), &120.into()));
    let page = std::fs::read_to_string(scene.path("all.html")).unwrap();
    assert!(page.contains("120 images") && page.contains("\"assets\":\"./pictures\""));
    assert_eq!(std::fs::read_dir(scene.path("pictures")).unwrap().count(), 120);
    let large = image::open(scene.path("pictures/119.png")).unwrap();
    assert_eq!((large.width(), large.height()), (10, 12));
    let j = json(&scene.ok("map run -o some.html --method pca --max-images 40 --json -q"));
    assert_eq!((&j["images"], &j["of"]), (&40.into(), &120.into()));
    assert!(std::fs::read_to_string(scene.path("some.html")).unwrap().contains("40 of 120 images"));
    scene.refused("map run -o all.html --assets pictures", 1, &["exists already"]);
    scene.refused("map run -o x/map.html --assets elsewhere --method pca", 1, &["elsewhere", "beside"]);
    assert!(!scene.path("x").exists() && !scene.path("elsewhere").exists());
}

/// By `bench/pages.js`: where Chromium, Node.js and the packages that `.ci/run` installs are.
#[test]
fn a_browser_finds_nothing_wrong_with_pages() {
    let scene = Scene::new();
    scene.train("");
    flat(&scene);
    scene.ok("train --data flat --out flat-run --epochs 2 -q");
    scene.ok("report run -o with-classes.html -q");
    scene.ok("report flat-run -o without.html -q");
    scene.ok("map run -o map.html --method pca -q");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let modules = std::env::var("NODE_PATH").unwrap_or_else(|_| format!("{root}/target/pages/node_modules"));
    let pages = ["with-classes.html", "without.html", "map.html"].map(|page| scene.path(page));
    let mut node = std::process::Command::new("node");
    node.arg(format!("{root}/bench/pages.js")).arg("--no-timing").args(pages).env("NODE_PATH", modules);
    let Ok(done) = node.output() else {
        eprintln!("skipped: pages in a browser, since Node.js is not there");
        return;
    };
    let said = String::from_utf8_lossy(&done.stdout);
    if said.starts_with("skipped") {
        eprintln!("skipped: pages in a browser: {said}");
        return;
    }
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(said.matches(": sound").count(), 12, "{said}");
}

#[test]
fn every_field_of_the_metrics_is_documented() {
    let scene = Scene::new();
    scene.train("--validate=0.2");
    let text = std::fs::read_to_string(scene.path("run/metrics.jsonl")).unwrap();
    let doc = include_str!("../../../../docs/run-folder.md");
    let documented: BTreeSet<String> = doc
        .split("## metrics.jsonl")
        .nth(1)
        .unwrap()
        .lines()
        .filter_map(|l| Some(l.strip_prefix("| `")?.split('`').next()?.to_owned()))
        .collect();
    let mut met = BTreeSet::new();
    for line in text.lines() {
        met.extend(json(line).as_object().unwrap().keys().cloned());
    }
    assert_eq!(met, documented);
}

#[test]
fn a_page_follows_a_run_until_it_is_done() {
    let scene = Scene::new();
    scene.train("");
    // Nobody trains it: the page is drawn once, and is not loaded again.
    let said = scene.alike("report run --follow -o page.html");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let page = std::fs::read_to_string(scene.path("page.html")).unwrap();
    assert!(!page.contains("http-equiv"));
    scene.refused("report run --follow --only loss -o x", 2, &["--follow"]);
}

#[test]
fn a_page_says_what_it_is_of_and_how_to_make_it_again() {
    let scene = Scene::new();
    scene.train("--seed 5");
    scene.ok("report run -o one.html -q");
    scene.ok("map run -o map.html --method pca -q");
    scene.ok("report run -o two.html -q");
    let page = std::fs::read_to_string(scene.path("two.html")).unwrap();
    assert!(page.contains("<title>data, recipe seed, seed 5, 20"), "the set, the recipe, the seed, the day");
    assert!(page.contains("href=\"./one.html\"") && page.contains("href=\"./map.html\""));
    assert!(page.contains("alike report run -o two.html"));
    // Every section has its line in the contents, and every chart says something.
    for part in page.split("<section id=\"").skip(1) {
        let id = part.split('"').next().unwrap();
        assert!(
            page.contains(&format!("href=\"#{id}\"")) && page.contains(&format!("id=\"{id}-title\"")),
            "{id}"
        );
    }
    for svg in page.split("<svg class=\"panel\"").skip(1) {
        let label = svg.split("aria-label=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(label.len() > 20, "{label}");
    }
}
