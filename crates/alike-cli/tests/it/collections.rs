//! Collections, as a user has them.

use crate::command::{Scene, kill};
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

#[test]
fn what_a_person_said_is_obeyed_and_trains() {
    let scene = kept();
    // One picture of c0 and one of c1 are said to show the same, and two of c2 are said to differ.
    scene.ok("collection say photos same photos/c0/0.png photos/c1/0.png");
    scene.ok("collection say photos different photos/c2/0.png photos/c2/1.png");
    let verified = |a: &str, b: &str| {
        let told = json(&scene.ok(&format!("verify photos photos/{a}.png photos/{b}.png --json -q")));
        (told["same"].as_bool(), told["said"].as_bool())
    };
    assert_eq!(verified("c1/0", "c0/0"), (Some(true), Some(true)));
    assert_eq!(verified("c2/0", "c2/1"), (Some(false), Some(false)));
    assert_eq!(verified("c2/0", "c2/2").1, None);
    let words = scene.ok("verify photos photos/c0/0.png photos/c1/0.png -q");
    assert!(words.contains("same: a person said so"), "{words}");

    scene.ok("cluster photos -k 3 --csv clusters.csv -q");
    let table = std::fs::read_to_string(scene.path("clusters.csv")).unwrap();
    let cluster = |name: &str| {
        let line = table.lines().find(|line| line.contains(name)).unwrap();
        line.split(',').nth(1).unwrap().to_owned()
    };
    assert_eq!(cluster("c0/0.png"), cluster("c1/0.png"));
    assert_ne!(cluster("c2/0.png"), cluster("c2/1.png"));

    scene.ok("collection set photos photos/c1/0.png --class odd");
    let classified = |name: &str| {
        let told = json(&scene.ok(&format!("classify photos photos/{name}.png --json -q")));
        let answer = &told["answers"][0];
        (answer["class"].as_str().map(str::to_owned), answer["by_hand"].as_bool())
    };
    assert_eq!(classified("c1/0"), (Some("odd".into()), Some(true)));
    assert_eq!(classified("c0/0"), (Some("odd".into()), Some(true)), "it shows the same as one that is odd");
    assert_eq!(classified("c2/3").1, Some(false));
    scene.ok("classify photos photos/c1/0.png photos/c2/3.png --csv said.csv -q");
    let said = std::fs::read_to_string(scene.path("said.csv")).unwrap();
    let said: Vec<&str> = said.lines().map(|line| line.rsplit(',').nth(1).unwrap()).collect();
    assert_eq!(said, ["by_hand", "true", "false"]);

    // One of the two that differ is left out, and the class of the pair is what was set by hand.
    std::fs::rename(scene.path("photos"), scene.path("pictures")).unwrap();
    scene.ok("collection sync photos pictures -q");
    assert_eq!(
        json(&scene.ok("collection show photos --json"))["by_hand"],
        1,
        "a moved picture keeps its class"
    );
    let trained = scene.alike("train --data photos --recipe seed --batch-size 6 --epochs 1 --out again");
    assert_eq!(trained.code, 0, "{trained:?}");
    assert!(trained.stderr.contains("1 pictures are left out: each is said to be different"), "{trained:?}");
    let of_classes = json(&scene.ok("data stats photos --json"));
    assert_eq!((&of_classes["images"], &of_classes["classes"]["odd"]), (&17.into(), &2.into()));
    scene.ok("eval again --json -q");

    scene.ok("collection say photos same pictures/c0/0.png pictures/c2/0.png");
    scene.ok("collection say photos different pictures/c1/0.png pictures/c2/0.png");
    scene.refused("cluster photos", 1, &["are said to be different", "alike collection say"]);
    let bytes = std::fs::read(scene.path("collections/photos.alike")).unwrap();
    std::fs::write(scene.path("cut.alike"), &bytes[..3000]).unwrap();
    let cut = scene.alike("data stats cut.alike").stderr;
    assert_eq!(cut.matches("cut.alike").count(), 1, "{cut}");
}

#[test]
fn pictures_that_are_no_duplicates_are_not_told() {
    let scene = kept();
    std::fs::copy(scene.path("photos/c0/0.png"), scene.path("photos/c0/copy.png")).unwrap();
    let bytes = std::fs::read(scene.path("photos/c1/0.png")).unwrap();
    let again = image::load_from_memory(&bytes).unwrap();
    again.save(scene.path("photos/c1/again.bmp")).unwrap();
    scene.ok("collection sync photos photos -q");
    // The folder would go before the collection's name.
    scene.ok("collection backup photos kept.alike");
    let found =
        || scene.ok("duplicates kept.alike --kinds bytes,encoded --json -q").matches("again.bmp").count() > 0;
    assert!(found());
    scene.ok("collection say kept.alike no-duplicate photos/c1/0.png photos/c1/again.bmp");
    assert!(!found());
    scene.ok("collection say kept.alike nothing photos/c1/0.png photos/c1/again.bmp");
    scene.ok("collection say kept.alike different photos/c1/0.png photos/c1/again.bmp");
    assert!(!found());
}

#[test]
fn a_watched_folder_is_followed_until_it_is_ended() {
    let scene = kept();
    let mut watching = scene.start("collection sync photos photos --watch 1 --json -q");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watching.stdout.take().unwrap()));
    let mut next = || json(&lines.next().unwrap().unwrap());
    assert_eq!(next()["unchanged"], 18);
    picture(1, 77).save(scene.write("photos/c1/new.png", b"")).unwrap();
    assert_eq!(next()["added"], 1);
    std::fs::rename(scene.path("photos/c1/new.png"), scene.path("photos/c2/new.png")).unwrap();
    let moved = next();
    assert_eq!((&moved["moved"], &moved["images"]), (&1.into(), &19.into()));
    kill(watching);
    assert!(scene.ok("collection check photos").contains("nothing wrong"));
}

#[test]
fn thumbnails_are_kept_where_they_are_asked_for() {
    let scene = kept();
    scene.ok("collection create small run --thumbnails 16");
    scene.ok("collection sync small photos -q");
    scene.ok("collection show small photos/c1/2.png --thumbnail out.jpg");
    let shown = image::open(scene.path("out.jpg")).unwrap();
    assert_eq!(shown.width().max(shown.height()), 16);
    assert_eq!(json(&scene.ok("collection show small --json"))["thumbnails"], 18);
    scene.refused(
        "collection show small photos/c1/2.png --thumbnail out.jpg",
        1,
        &["exists already", "--force"],
    );
    scene.refused("collection show photos photos/c1/2.png --thumbnail no.jpg", 1, &["has no thumbnail"]);
    assert!(!scene.path("no.jpg").exists());
}
