//! Collections, as a user has them.

use crate::command::Scene;
use crate::sources::picture;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Three classes of pictures and a run, and a collection that follows the folder.
fn kept() -> Scene {
    let scene = Scene::new();
    for class in 0..3 {
        for i in 0..6 {
            picture(class, i).save(scene.write(&format!("photos/c{class}/{i}.png"), b"")).unwrap();
        }
    }
    scene.ok("train --data photos --recipe seed --batch-size 6 --epochs 1 --out run -q");
    scene.ok("collection create photos run");
    scene.ok("collection sync photos photos -q");
    scene
}

fn neighbours(told: &Value) -> Vec<(String, f64)> {
    let list = told["queries"][0]["neighbours"].as_array().unwrap();
    let of = |n: &Value| {
        let path = n["path"].as_str().unwrap().rsplit_once("photos/").unwrap().1.to_owned();
        (path, n["distance"].as_f64().unwrap())
    };
    list.iter().map(of).collect()
}

#[test]
fn a_collection_is_a_model_and_finds_what_its_run_finds() {
    let scene = kept();
    // The folder of the same name is no run.
    let name = "photos";
    let plain = json(&scene.ok("search run photos/c1/2.png --gallery photos -k 17 --json -q"));
    let found = json(&scene.ok(&format!("search {name} photos/c1/2.png -k 17 --json -q")));
    assert_eq!(neighbours(&found), neighbours(&plain));
    assert_eq!(neighbours(&found).len(), 17, "an image is not its own neighbour");
    let page = json(&scene.ok(&format!("search {name} photos/c1/2.png -k 5 --skip 5 --json -q")));
    assert_eq!(neighbours(&page), neighbours(&plain)[5..10]);
    let some = json(&scene.ok_words(&[
        "search",
        name,
        "photos/c1/2.png",
        "--where",
        "class != 'c1'",
        "--json",
        "-q",
    ]));
    let expected: Vec<_> =
        neighbours(&plain).into_iter().filter(|(p, _)| !p.starts_with("c1")).take(10).collect();
    assert_eq!(neighbours(&some), expected);
    let best = json(&scene.ok(&format!("search {name} photos/c1/2.png --best class --json -q")));
    let classes: Vec<&str> = best["queries"][0]["neighbours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["class"].as_str().unwrap())
        .collect();
    let mut once = classes.clone();
    once.sort_unstable();
    assert_eq!(once, ["c0", "c1", "c2"]);
    let near = neighbours(&plain)[3].1;
    let within = json(&scene.ok(&format!("search {name} photos/c1/2.png --within {near} --json -q")));
    assert_eq!(neighbours(&within), neighbours(&plain)[..4]);
    let nothing = scene.ok(&format!("search {name} photos/c1/2.png --within 0 -q"));
    assert!(nothing.contains("nothing is within 0.0000"), "{nothing}");
    for command in ["classify", "verify", "anomaly"] {
        let more = if command == "verify" { "photos/c0/1.png" } else { "" };
        let told = scene.alike(&format!("{command} {name} photos/c1/2.png {more} --json"));
        assert_eq!(told.code, 0, "{command}: {}", told.stderr);
        assert!(
            told.stderr.contains("18 images") || told.stdout.contains("\"images\":18"),
            "{command}: {told:?}"
        );
    }
    let told = json(&scene.ok(&format!("cluster {name} --json -q")));
    assert_eq!(told["images"], 18);
    assert!(json(&scene.ok(&format!("map {name} -o map.html --method pca --json -q")))["images"] == 18);
    assert_eq!(json(&scene.ok(&format!("health {name} --json -q")))["images"], 18);
}

#[test]
fn a_class_that_was_set_by_hand_answers() {
    let scene = kept();
    let name = "photos";
    scene.ok(&format!("collection set {name} photos/c1/2.png --class odd"));
    let told = json(&scene.ok(&format!("classify {name} photos/c1/2.png --rule means --json -q")));
    assert_eq!(told["gallery"]["classes"], 4);
    scene.ok(&format!("collection sync {name} photos -q"));
    let shown = json(&scene.ok(&format!("collection show {name} photos/c1/2.png --json")));
    assert_eq!(
        (&shown["pictures"][0]["class"], &shown["pictures"][0]["by_hand"]),
        (&"odd".into(), &true.into())
    );
    scene.ok(&format!("collection reembed {name} run -q"));
    let shown = json(&scene.ok(&format!("collection show {name} photos/c1/2.png --json")));
    assert_eq!(shown["pictures"][0]["class"], "odd");
}

#[test]
fn names_lie_in_one_folder_and_a_wrong_one_is_told() {
    let scene = kept();
    let listed = json(&scene.ok("collection list --json"));
    assert_eq!(listed["collections"][0]["name"], "photos");
    assert_eq!(listed["collections"][0]["images"], 18);
    scene.refused("collection show photoz", 1, &["there is no collection photoz", "did you mean 'photos'"]);
    scene.refused("collection create photos run", 1, &["exists already"]);
    scene.refused("collection create b! run", 1, &[]);
    scene.refused("collection show run", 1, &["is no collection", "folder"]);
    scene.refused("search run photos/c0/1.png --best class", 1, &["--best is for a collection"]);
    scene.refused("collection list photos --where size='3'", 2, &["size is a number"]);
    scene.refused("collection remove photos", 1, &["say which pictures"]);
}

#[test]
fn another_model_is_refused_and_a_moved_one_is_named() {
    let scene = kept();
    let name = "photos";
    scene.ok("train --data photos --recipe seed --batch-size 6 --epochs 1 --seed 5 --out other -q");
    let refused = [
        format!("search {name} photos/c0/1.png --encoder other"),
        format!("collection sync {name} photos --encoder other"),
    ];
    for command in refused {
        scene.refused(&command, 1, &["embeddings of another encoder", "reembed"]);
    }
    std::fs::rename(scene.path("run"), scene.path("moved")).unwrap();
    let gone = scene.alike(&format!("search {name} photos/c0/1.png"));
    assert_eq!(gone.code, 1, "{gone:?}");
    scene.ok(&format!("search {name} photos/c0/1.png --encoder moved -q"));
}

#[test]
fn twelve_processes_enroll_at_once_and_each_picture_is_there_once() {
    let scene = kept();
    let name = "photos";
    let pictures = 48;
    for i in 0..pictures {
        picture(i % 3, 100 + i).save(scene.write(&format!("new/{i}.png"), b"")).unwrap();
    }
    std::thread::scope(|scope| {
        for part in 0..12 {
            let scene = &scene;
            scope.spawn(move || {
                for i in (part..pictures).step_by(12) {
                    scene.ok(&format!("enroll {name} --class new new/{i}.png -q"));
                }
            });
        }
    });
    let listed = json(&scene.ok_words(&["collection", "list", name, "--where", "class = 'new'", "--json"]));
    assert_eq!(listed["matching"], pictures);
    assert!(scene.ok(&format!("collection check {name}")).contains("nothing wrong"));
    scene.refused(&format!("enroll {name} --class new new/0.png"), 1, &["is in", "already"]);
}
