//! What answers: which gallery, how large, and that no image is its own match.

use crate::command::Scene;
use crate::sources::picture;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn save(scene: &Scene, path: &str, class: usize, i: usize) {
    picture(class, i).save(scene.write(path, b"")).unwrap();
}

/// Six people by height of a bar and shade, ten pictures each.
fn people(scene: &Scene) {
    for person in 0..6 {
        for i in 0..10 {
            let mut image = picture(person % 3, i);
            image.pixels_mut().for_each(|p| p.0[2] = p.0[2].wrapping_add((person as u8 / 3) * 90));
            image.save(scene.write(&format!("people/p{person}/{i}.png"), b"")).unwrap();
        }
    }
}

fn neighbours(told: &Value) -> Vec<&str> {
    let list = told["queries"][0]["neighbours"].as_array().unwrap();
    list.iter().map(|n| n["path"].as_str().unwrap()).collect()
}

#[test]
fn who_was_trained_on_and_who_was_held_back_are_known_alike() {
    let scene = Scene::new();
    people(&scene);
    scene.ok("train --data people --split class:test=0.34 --start whitened --out run -q");
    let split = std::fs::read_to_string(scene.path("run/split.csv")).unwrap();
    let part = |part: &str| -> Vec<String> {
        let of = split.lines().filter(|l| l.starts_with(&format!("{part},")));
        of.map(|l| l.rsplit(',').next().unwrap().to_owned()).collect()
    };
    let (train, test) = (part("train"), part("test"));
    for (names, trained) in [(&train, true), (&test, false)] {
        let name = &names[3];
        let ended = scene.alike(&format!("classify run people/{name} --json"));
        let told = json(&ended.stdout);
        assert_eq!(
            (&told["gallery"]["images"], &told["gallery"]["classes"], &told["gallery"]["trained_on"]),
            (&60.into(), &6.into(), &train.len().into()),
            "{told}"
        );
        assert_eq!(told["calibration"]["on"], "images that were not trained on");
        assert_eq!(told["calibration"]["images"], test.len());
        let answer = &told["answers"][0];
        assert_eq!(answer["nearest_class"], name.split('/').next().unwrap(), "{told}");
        assert_eq!(answer["trained_on"], trained);
        assert_ne!(answer["nearest"], name.as_str(), "an image is not its own neighbour");
        if answer["known"] == false {
            assert_eq!(answer["confidence"], Value::Null, "{told}");
        }
        assert_eq!(ended.stderr.contains("1 image was trained on"), trained, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("the run's own images (people): 60 images of 6 classes"),
            "{}",
            ended.stderr
        );
        let found = json(&scene.ok(&format!("search run people/{name} -k 100 --json -q")));
        assert_eq!(neighbours(&found).len(), 59);
        assert!(!neighbours(&found).contains(&name.as_str()));
        assert_eq!(found["gallery"]["images"], 60);
        let told = json(&scene.ok(&format!("verify run people/{name} people/{} --json -q", test[0])));
        assert_eq!(
            (&told["gallery"]["images"], &told["gallery"]["trained_on"]),
            (&test.len().into(), &0.into())
        );
        assert_eq!(told["trained_on"][0], trained);
        let told = json(&scene.ok(&format!("anomaly run people/{name} --json -q")));
        assert_eq!(told["reference"]["images"], train.len());
        assert_eq!(told["images"][0]["trained_on"], trained);
        assert!(told["images"][0]["score"].as_f64().unwrap() > 0.0);
    }
    // A gallery that is named is named in the answer, with the classes that it has.
    let told = json(&scene.ok("classify run people/p0/0.png --gallery people --json -q"));
    let gallery =
        serde_json::json!({ "name": "people", "images": 60, "classes": 6, "trained_on": train.len() });
    assert_eq!(told["gallery"], gallery);
}

#[test]
fn another_picture_of_the_same_relative_name_is_a_match() {
    let scene = Scene::new();
    people(&scene);
    scene.ok("train --data people --out run --start whitened -q");
    // The same picture under the same name within another folder.
    scene.write("other/p0/3.png", &std::fs::read(scene.path("people/p0/3.png")).unwrap());
    let found = json(&scene.ok("search run other -k 1 --json -q"));
    assert_eq!(found["queries"][0]["neighbours"][0]["path"], "p0/3.png", "{found}");
    assert_eq!(found["queries"][0]["neighbours"][0]["distance"], 0.0);
    let found = json(&scene.ok("search run other --gallery people -k 1 --json -q"));
    assert_eq!(found["queries"][0]["neighbours"][0]["path"], "people/p0/3.png");
    // However its path is written, a picture of the gallery is not its own match.
    let whole = scene.path("people/p0/3.png").display().to_string();
    for spelling in ["people/p0/3.png", "./people/p0/3.png", "people/../people/p0/3.png", &whole] {
        for gallery in ["", "--gallery people", "--gallery ./people"] {
            let found = json(&scene.ok(&format!("search run {spelling} {gallery} -k 1 --json -q")));
            assert_ne!(found["queries"][0]["neighbours"][0]["distance"], 0.0, "{spelling} {gallery}");
        }
    }
    // Nor twice in a gallery that is named twice.
    let found = json(&scene.ok("search run other --gallery people --gallery ./people -k 2 --json -q"));
    assert_ne!(found["queries"][0]["neighbours"][1]["distance"], 0.0);
    assert_eq!(found["gallery"]["images"], 60);
}

#[cfg(unix)]
#[test]
fn a_picture_is_enrolled_once_however_its_path_is_written() {
    let scene = Scene::new();
    people(&scene);
    scene.ok("train --data people --out run --start whitened -q");
    save(&scene, "new/1.png", 1, 90);
    std::os::unix::fs::symlink(scene.path("new/1.png"), scene.path("new/link.png")).unwrap();
    let rows = || std::fs::read_to_string(scene.path("g.csv")).unwrap().lines().count() - 1;
    let whole = scene.path("new/1.png").display().to_string();
    scene
        .ok(&format!("enroll run --gallery g.npy --class cup new/1.png ./new/1.png {whole} new/link.png -q"));
    assert_eq!(rows(), 1);
    for spelling in ["new/1.png", "./new/1.png", "new/../new/1.png", &whole, "new/link.png", "new"] {
        scene.refused(
            &format!("enroll run --gallery g.npy --class cup {spelling} -q"),
            1,
            &["is in g.npy already"],
        );
    }
    assert_eq!(rows(), 1);
    // A copy is another picture.
    scene.write("new2/2.png", &std::fs::read(scene.path("new/1.png")).unwrap());
    scene.ok("enroll run --gallery g.npy --class cup new2/2.png -q");
    assert_eq!(rows(), 2);
    for verb in ["verify", "explain"] {
        let out = if verb == "explain" { "-o x.png" } else { "" };
        for other in ["./new/1.png", "new/link.png"] {
            scene.refused(
                &format!("{verb} run new/1.png {other} {out} -q"),
                1,
                &["are the same file", "nothing to compare"],
            );
        }
    }
}

/// A picture of noise: like no other.
fn noise(i: u32) -> image::RgbImage {
    image::RgbImage::from_fn(16, 16, |x, y| {
        let h = (x * 7919 + y * 104_729 + i * 1_299_709 + 1).wrapping_mul(2_654_435_761);
        let h = (h ^ h >> 15).wrapping_mul(0x85eb_ca6b);
        image::Rgb([(h >> 8) as u8, (h >> 16) as u8, (h >> 24) as u8])
    })
}

#[test]
fn rows_that_ask_and_answer_are_no_match_for_themselves() {
    let scene = Scene::new();
    let mut table = String::from("path,label,split,is_query,is_gallery\n");
    for i in 0..60u32 {
        noise(i).save(scene.write(&format!("set/{i}.png"), b"")).unwrap();
        // Some ask and answer, some answer alone, and some are named for each once.
        let row = match i % 3 {
            0 => format!("{i}.png,c{},test,1,1\n", i / 3 % 10),
            1 => format!("{i}.png,c{},test,0,1\n", i / 3 % 10),
            _ => format!("{i}.png,c{0},test,1,0\n{i}.png,c{0},test,0,1\n", i / 3 % 10),
        };
        table.push_str(&row);
    }
    scene.write("set/all.csv", table.as_bytes());
    people(&scene);
    scene.ok("train --data people --out run --epochs 1 -q");
    let told = json(&scene.ok("eval run --data set/all.csv --json -q"));
    assert_eq!(
        (&told["n_query"], &told["n_gallery"], &told["without_match"]),
        (&40.into(), &60.into(), &0.into())
    );
    // On noise nobody is right more often than by chance, which is one in ten.
    for space in ["image", "feature"] {
        let recall = told["retrieval"][space]["micro"]["recall_at"][0].as_f64().unwrap();
        assert!(recall < 0.4, "{space}: {recall}");
        assert!(told["spaces"][space]["knn"]["1"]["accuracy"].as_f64().unwrap() < 0.4);
        assert!(told["spaces"][space]["class_mean"]["accuracy"].as_f64().unwrap() < 0.4);
    }
    // Test rows alone: each against all others.
    let rows: String = (0..60).map(|i| format!("{i}.png,c{},test\n", i % 10)).collect();
    scene.write("set/all.csv", format!("path,label,split\n{rows}").as_bytes());
    let told = json(&scene.ok("eval run --data set/all.csv --json -q"));
    assert_eq!((&told["n_query"], &told["leave_one_out"]), (&60.into(), &true.into()));
    assert!(told["spaces"]["feature"]["knn"]["1"]["accuracy"].as_f64().unwrap() < 0.4, "{told}");
    assert!(
        scene
            .ok("eval run --data set/all.csv -q")
            .starts_with("set/all.csv: 60 queries, each against all others")
    );
    // Episodes do not ask about a picture that they learned from, named twice though it is.
    let rows: String =
        (0..20).map(|i| format!("{i}.png,c{0},test,1,1\n{i}.png,c{0},test,1,0\n", i % 10)).collect();
    scene.write("set/all.csv", format!("path,label,split,is_query,is_gallery\n{rows}").as_bytes());
    let told =
        json(&scene.ok("eval few-shot run --data set/all.csv --ways 5 --shots 1 --episodes 60 --json -q"));
    assert!(told["few_shot"][0]["image"]["nearest"]["mean"].as_f64().unwrap() < 0.5, "{told}");
    // Nor does a table of pairs pair an image with itself.
    scene.write("pairs.csv", b"a,b,same\n1.png,2.png,0\n3.png,3.png,1\n");
    scene.refused(
        "eval verification run --data set/all.csv --pairs pairs.csv -q",
        1,
        &["pairs.csv", "3.png", "same picture"],
    );
}

#[test]
fn an_archive_is_itself_under_any_spelling() {
    use std::io::Write;
    let scene = Scene::new();
    people(&scene);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for person in 0..6 {
        for i in 0..4 {
            let name = format!("p{person}/{i}.png");
            zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&std::fs::read(scene.path("people").join(&name)).unwrap()).unwrap();
        }
    }
    scene.write("p.zip", &zip.finish().unwrap().into_inner());
    scene.ok("train --data people --out run --start whitened -q");
    for gallery in ["p.zip", "./p.zip --gallery p.zip"] {
        let found = json(&scene.ok(&format!("search run p.zip --gallery {gallery} -k 99 --json -q")));
        assert_eq!((&found["gallery"]["images"], neighbours(&found).len()), (&24.into(), 23), "{gallery}");
        assert!(found["queries"].as_array().unwrap().iter().all(|q| q["neighbours"][0]["distance"] != 0.0));
    }
}

#[test]
fn classes_are_whole_paths_for_whoever_uses_a_run_that_learned_them_so() {
    let scene = Scene::new();
    for (class, path) in ["fruit/apple", "fruit/pear", "tool/saw"].iter().enumerate() {
        for i in 0..8 {
            save(&scene, &format!("set/{path}/{i}.png"), class, i);
            save(&scene, &format!("more/{path}/{i}.png"), class, 20 + i);
        }
    }
    scene.ok("train --data set --nested --out run --start whitened -q");
    let told = json(&scene.ok("classify run --gallery more set/fruit/pear/3.png --json -q"));
    assert_eq!(
        (&told["gallery"]["classes"], &told["answers"][0]["nearest_class"]),
        (&3.into(), &"fruit/pear".into())
    );
    let found = json(&scene.ok("search run --gallery more set/tool/saw/3.png -k 1 --json -q"));
    assert_eq!(found["queries"][0]["neighbours"][0]["class"], "tool/saw");
    scene.ok("embed run more -o e.npy -q");
    assert!(std::fs::read_to_string(scene.path("e.csv")).unwrap().contains(",fruit/apple,"));
    let told = json(&scene.ok("eval run --data more --json -q"));
    assert_eq!(told["spaces"]["feature"]["class_mean"]["recall"].as_object().unwrap().len(), 3);
}

/// A NumPy array.
fn npy(descr: &str, shape: &str, values: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape})}}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes().chain(values));
    bytes
}

/// `x_train`, `y_train`, `x_test` and `y_test` of two classes of `d` numbers.
fn features(scene: &Scene, name: &str, d: usize) {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut add = |file: &str, bytes: Vec<u8>| {
        use std::io::Write;
        zip.start_file(file, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    };
    for (part, n) in [("train", 40usize), ("test", 20)] {
        let value = |i: usize, k: usize| {
            let h = ((i * d + k) as u32 * 31 + 7).wrapping_mul(2_654_435_761) >> 8;
            (i % 2 * (k % 3)) as f32 + h as f32 / (1u32 << 24) as f32
        };
        let values = (0..n * d).flat_map(|at| value(at / d, at % d).to_le_bytes());
        add(&format!("x_{part}.npy"), npy("<f4", &format!("{n}, {d}"), values));
        let labels = (0..n as i64).flat_map(|i| (i % 2).to_le_bytes());
        add(&format!("y_{part}.npy"), npy("<i8", &format!("{n},"), labels));
    }
    scene.write(name, &zip.finish().unwrap().into_inner());
}

#[test]
fn runs_on_features_are_judged_on_features_and_refuse_pictures() {
    let scene = Scene::new();
    features(&scene, "a.npz", 7);
    features(&scene, "b.npz", 7);
    features(&scene, "wide.npz", 9);
    save(&scene, "x.png", 0, 0);
    save(&scene, "set/a/1.png", 0, 1);
    save(&scene, "set/a/2.png", 0, 2);
    save(&scene, "set/b/1.png", 1, 1);
    save(&scene, "set/b/2.png", 1, 2);
    scene.ok("train --data a.npz --out run --epochs 2 -q");
    scene.ok("train --data a.npz --out other --epochs 1 -q");
    let told = json(&scene.ok("eval run --data b.npz --json -q"));
    assert_eq!((&told["n_query"], &told["n_gallery"]), (&20.into(), &40.into()));
    scene.ok("compare run other --data b.npz -q");
    scene.refused("eval run --data wide.npz -q", 1, &["wide.npz has features of 9 numbers", "of 7"]);
    scene.refused("eval run --data b.npz --prepare invert -q", 1, &["--prepare", "features"]);
    scene.refused("eval run --data set -q", 1, &["set has pictures", "trained on features"]);
    scene.refused("compare run other --data set -q", 1, &["set has pictures", "trained on features"]);
    for verb in [
        "search run x.png",
        "search run x.png --prepare resize=fit",
        "search run --gallery set a.npz",
        "classify run x.png",
        "classify run a.npz --gallery set",
        "anomaly run x.png",
        "anomaly run a.npz --gallery set",
        "verify run x.png set/a/1.png",
        "embed run set -o e.npy",
        "enroll run x.png --gallery g.npy --class c",
        "cluster run set",
        "map run set -o m.html",
        "explain run x.png set/a/1.png -o w.png",
    ] {
        scene.refused(&format!("{verb} -q"), 1, &["features"]);
    }
    // And the other way round.
    scene.ok("train --data set --out pictures --start whitened -q --split image:test=0");
    scene.refused("search pictures --gallery set a.npz -q", 1, &["a.npz"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_other_pictures() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::new();
    people(&scene);
    scene.ok("train --data people --out run --start whitened -q");
    for (i, byte) in [0xe0u8, 0xe1, 0xe2].into_iter().enumerate() {
        let file = [&b"x"[..], &[byte], &b".png"[..]].concat();
        std::fs::create_dir_all(scene.path("odd")).unwrap();
        let path = scene.path("odd").join(std::ffi::OsStr::from_bytes(&file));
        picture(i, 50).save_with_format(path, image::ImageFormat::Png).unwrap();
    }
    let found = json(&scene.ok("search run odd --gallery odd -k 9 --json -q"));
    assert_eq!((found["queries"].as_array().unwrap().len(), neighbours(&found).len()), (3, 2), "{found}");
}
