//! Folders and archives as the field lays them out: parts, what lies beside them, links, odd names; and that no image vanishes.

use crate::command::Scene;
use crate::sources::{class_folders, json, picture, tar, zip};
use serde_json::Value;
use std::path::Path;

fn save(scene: &Scene, name: &str, class: usize, i: usize) {
    picture(class, i).save(scene.write(name, b"")).unwrap();
}

fn png(scene: &Scene, class: usize, i: usize) -> Vec<u8> {
    save(scene, "scratch.png", class, i);
    std::fs::read(scene.path("scratch.png")).unwrap()
}

/// Counted in is what comes out, whatever the layout.
#[track_caller]
fn stats(scene: &Scene, data: &str) -> Value {
    let s = json(&scene.ok(&format!("data stats {data} --json")));
    let left: u64 = s["left_out"].as_array().unwrap().iter().map(|l| l["count"].as_u64().unwrap()).sum();
    assert_eq!(s["found"].as_u64().unwrap(), s["images"].as_u64().unwrap() + left, "{data}: {s}");
    s
}

#[test]
fn anomaly_sets_have_masks_beside_their_parts() {
    let scene = Scene::new();
    for i in 0..12 {
        save(&scene, &format!("bottle/train/good/{i:03}.png"), 0, i);
    }
    for i in 0..4 {
        save(&scene, &format!("bottle/test/good/{i:03}.png"), 0, 20 + i);
        save(&scene, &format!("bottle/test/broken/{i:03}.png"), 1, i);
        save(&scene, &format!("bottle/ground_truth/broken/{i:03}_mask.png"), 2, i);
    }
    scene.write("bottle/readme.txt", b"x");
    save(&scene, "bottle/overview.png", 2, 99);
    let s = stats(&scene, "bottle");
    assert_eq!(s["classes"], serde_json::json!({ "good": 16, "broken": 4 }));
    assert_eq!(s["parts"], serde_json::json!({ "train": 12, "test": 8 }));
    assert_eq!((&s["found"], &s["left_out"][0]["why"]), (&25.into(), &"beside-parts".into()));
    assert_eq!(s["left_out"][0]["names"], serde_json::json!(["ground_truth/ (4)", "overview.png"]));
    let notes = s["notes"].to_string();
    assert!(notes.contains("not trained on: 1 (broken)"), "{notes}");
    let said = scene.ok("data stats bottle");
    for words in ["25 pictures found: 20 images of the set", "left out: 5 pictures", "ground_truth/ (4)"] {
        assert!(said.contains(words), "no '{words}' in {said}");
    }
    scene.ok("train --data bottle --out run --start whitened -q");
    // What needs neither classes nor parts takes all.
    scene.ok("embed run bottle -o all.npy -q");
    assert_eq!(std::fs::read_to_string(scene.path("all.csv")).unwrap().lines().count(), 1 + 25);
}

#[test]
fn parts_by_many_names_and_val_that_judges() {
    let scene = Scene::new();
    for (n, names) in
        [["Training", "Testing"], ["train", "holdout"], ["training_set", "test_set"], ["TRAIN", "eval"]]
            .into_iter()
            .enumerate()
    {
        for i in 0..9 {
            save(&scene, &format!("s{n}/{}/c{}/{i}.png", names[usize::from(i > 5)], i % 3), i % 3, i);
        }
        assert_eq!(
            stats(&scene, &format!("s{n}"))["parts"],
            serde_json::json!({ "train": 6, "test": 3 }),
            "{names:?}"
        );
    }
    for i in 0..30 {
        save(&scene, &format!("v/{}/c{}/{i}.png", if i < 24 { "train" } else { "valid" }, i % 3), i % 3, i);
    }
    let said = scene.alike("train --data v --out run --start whitened").stderr;
    assert!(said.contains("there is no test part: the 6 images of val are judged by"), "{said}");
    assert_eq!(json(&scene.ok("eval run --json"))["n_query"], 6);
}

#[test]
fn loose_pictures_are_used_by_every_verb_that_needs_no_class() {
    let scene = Scene::new();
    class_folders(&scene);
    for i in 0..3 {
        save(&scene, &format!("pictures/loose {i}.png"), i, 50 + i);
    }
    let s = stats(&scene, "pictures");
    assert_eq!(
        (&s["found"], &s["images"], &s["left_out"][0]["why"]),
        (&39.into(), &36.into(), &"no-class".into())
    );
    let said = scene.alike("train --data pictures --out run --start whitened").stderr;
    assert!(
        said.contains("left out: 3 pictures that have no class, beside others that do: loose 0.png"),
        "{said}"
    );
    scene.ok("embed run pictures -o e.npy -q");
    let table = std::fs::read_to_string(scene.path("e.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 39);
    assert!(
        table.contains(",pictures/loose 1.png,,") && table.contains(",pictures/bee/03.png,bee,"),
        "{table}"
    );
    let n = |out: String, key: &str| json(&out)[key].as_array().map(Vec::len);
    assert_eq!(n(scene.ok("classify run pictures --json"), "answers"), Some(39));
    assert_eq!(n(scene.ok("anomaly run pictures --json"), "images"), Some(39));
    assert_eq!(json(&scene.ok("cluster run pictures -k 3 --json"))["images"], 39);
    assert_eq!(json(&scene.ok("map run pictures -o m.html --method pca --json"))["images"], 39);
    // Known by their classes are those that have one; found are all.
    let c = json(&scene.ok("classify run pictures/ant/00.png --gallery pictures --json"));
    assert_eq!(c["answers"][0]["nearest_class"], "ant");
    scene.ok("search run pictures/ant/00.png --gallery pictures --json");
    scene.ok("classify run pictures/ant/00.png --gallery e.npy --json");
}

fn linked(files: &[(&str, Vec<u8>)], links: &[(&str, &str, tar::EntryType)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    for (name, target, kind) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(0);
        header.set_mode(0o644);
        tar.append_link(&mut header, name, target).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn links_in_archives_are_what_they_lead_to() {
    let scene = Scene::new();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("set/a/1.png", png(&scene, 0, 1)),
        ("set/a/2.png", png(&scene, 0, 2)),
        ("set/b/1.png", png(&scene, 1, 3)),
        // Of two members of a name the later counts, as when they are unpacked.
        ("set/b/1.png", png(&scene, 1, 4)),
    ];
    use tar::EntryType::{Link, Symlink};
    let links = [
        ("set/b/hard.png", "set/a/1.png", Link),
        ("set/b/soft.png", "../a/2.png", Symlink),
        ("set/b/chain.png", "soft.png", Symlink),
        ("set/c", "a", Symlink),
        ("set/b/gone.png", "../nowhere.png", Symlink),
        ("set/b/round.png", "round.png", Symlink),
    ];
    scene.write("l.tar", &linked(&files, &links));
    let s = stats(&scene, "l.tar");
    assert_eq!(s["classes"], serde_json::json!({ "a": 2, "b": 4, "c": 2 }), "{s}");
    assert_eq!(s["left_out"][0]["why"], "dangling-link");
    assert_eq!(
        s["left_out"][0]["names"],
        serde_json::json!(["b/gone.png", "b/round.png"].map(|n| format!("set/{n}")))
    );
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in &files[..3] {
        zip.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.add_symlink("set/b/soft.png", "../a/2.png", options).unwrap();
    zip.add_symlink("set/c", "a", options).unwrap();
    zip.add_symlink("set/b/gone.png", "/nowhere.png", options).unwrap();
    scene.write("l.zip", &zip.finish().unwrap().into_inner());
    let z = stats(&scene, "l.zip");
    assert_eq!(z["classes"], serde_json::json!({ "a": 2, "b": 2, "c": 2 }), "{z}");
    assert_eq!(
        (&z["left_out"][0]["why"], z["unreadable"].as_array().unwrap().len()),
        (&"dangling-link".into(), 0)
    );
    // A hard link has its target's pixels.
    let twice: Vec<Vec<String>> = serde_json::from_value(s["identical"].clone()).unwrap();
    assert!(
        twice
            .iter()
            .any(|g| g.iter().any(|n| n.ends_with("hard.png")) && g.iter().any(|n| n.ends_with("a/1.png"))),
        "{s}"
    );
}

#[test]
fn a_sample_of_several_pictures_is_one_image() {
    let scene = Scene::new();
    let mut files = Vec::new();
    for i in 0..9 {
        files.push((format!("{i:04}.mask.png"), png(&scene, 2, 999)));
        files.push((format!("{i:04}.jpg"), png(&scene, i % 3, i)));
        files.push((format!("{i:04}.cls"), format!("{}", i % 3).into_bytes()));
    }
    scene.write("s.tar", &tar(&files));
    let s = stats(&scene, "s.tar");
    assert_eq!(
        (&s["images"], &s["found"], &s["left_out"][0]["why"]),
        (&9.into(), &18.into(), &"other-of-sample".into())
    );
    assert_eq!(
        (&s["left_out"][0]["names"], &s["identical"]),
        (&serde_json::json!([".mask.png"]), &serde_json::json!([]))
    );
    // Classes in JSON, and texts that are none.
    for file in &mut files {
        if file.0.ends_with(".cls") {
            file.0 = file.0.replace(".cls", ".json");
            file.1 = format!("{{\"label\": \"k{}\"}}", String::from_utf8_lossy(&file.1)).into_bytes();
        }
    }
    scene.write("j.tar", &tar(&files));
    let s = stats(&scene, "j.tar");
    assert_eq!(s["classes"], serde_json::json!({ "k0": 3, "k1": 3, "k2": 3 }));
    assert!(s["notes"].to_string().contains("the class of 9 samples is the 'label' of their .json"), "{s}");
    files.iter_mut().for_each(|f| f.0 = f.0.replace(".json", ".txt"));
    scene.write("t.tar", &tar(&files));
    let s = stats(&scene, "t.tar");
    assert_eq!((&s["classes"], &s["images"]), (&serde_json::json!({}), &9.into()));
    assert!(s["notes"].to_string().contains("9 samples have a .txt"), "{s}");
}

#[test]
fn folders_of_systems_are_no_classes_in_folders_and_archives() {
    let scene = Scene::new();
    class_folders(&scene);
    for junk in [
        "@eaDir/0.png/SYNOPHOTO_THUMB_M.png",
        "ant/@eaDir/0.png/SYNOPHOTO_THUMB_M.png",
        "#recycle/1.png",
        "$RECYCLE.BIN/1.png",
        "lost+found/1.png",
        "__MACOSX/ant/._1.png",
        "System Volume Information/1.png",
        ".ipynb_checkpoints/1.png",
        "ant/._00.png",
    ] {
        save(&scene, &format!("pictures/{junk}"), 0, 7);
    }
    let root = scene.path("pictures");
    let files: Vec<(String, Vec<u8>)> = (scene.files().into_iter())
        .filter_map(|(p, b)| Some((p.strip_prefix(&root).ok()?.to_str()?.to_owned(), b)))
        .collect();
    scene.write("p.zip", &zip(&files));
    scene.write("p.tar", &tar(&files));
    for data in ["pictures", "p.zip", "p.tar"] {
        let s = stats(&scene, data);
        assert_eq!(s["classes"], serde_json::json!({ "ant": 12, "bee": 12, "cat": 12 }), "{data}");
        assert_eq!((&s["found"], s["unreadable"].as_array().unwrap().len()), (&36.into(), 0), "{data}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_stay_apart_and_are_opened() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::new();
    let name = |folder: &[u8], file: &[u8]| {
        let path = scene.path("odd").join(std::ffi::OsStr::from_bytes(folder));
        std::fs::create_dir_all(&path).unwrap();
        path.join(std::ffi::OsStr::from_bytes(file))
    };
    for i in 0..12 {
        let (folder, file) = if i % 2 == 0 {
            (&b"caf\xe9"[..], [b'x', 0xf0 + i as u8])
        } else {
            (&b"caf\xe8"[..], [b'x', 0xf0 + i as u8])
        };
        let path = name(folder, &[&file[..], b".png"].concat());
        picture(i % 2, i).save_with_format(path, image::ImageFormat::Png).unwrap();
    }
    let s = stats(&scene, "odd");
    assert_eq!(s["classes"], serde_json::json!({ "caf\\xE8": 6, "caf\\xE9": 6 }));
    assert_eq!((s["unreadable"].as_array().unwrap().len(), &s["identical"]), (0, &serde_json::json!([])));
    scene.ok("train --data odd --out run --start whitened -q");
    scene.ok("embed run odd -o e.npy -q");
    assert!(
        std::fs::read_to_string(scene.path("e.csv")).unwrap().contains("odd/caf\\xE9/x\\xF0.png,caf\\xE9")
    );
    // The cleaned table names them so that they are found.
    scene.ok("health run -o health -q");
    let s = stats(&scene, "health/cleaned.csv");
    assert_eq!(s["unreadable"].as_array().unwrap().len(), 0, "{s}");
    let asked = scene.alike_with("embed run -o one.npy -q", |c| {
        c.arg(Path::new("odd").join(std::ffi::OsStr::from_bytes(b"caf\xe9/x\xf0.png")));
    });
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    // In a tar archive, too.
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("odd", scene.path("odd")).unwrap();
    scene.write("odd.tar", &builder.into_inner().unwrap());
    assert_eq!(stats(&scene, "odd.tar")["classes"], serde_json::json!({ "caf\\xE8": 6, "caf\\xE9": 6 }));
}

#[test]
fn zip_names_in_shift_jis_keep_their_folders() {
    let scene = Scene::new();
    // The second byte of the first character is a backslash in ASCII.
    let mut files = Vec::new();
    for (class, folder) in ["QX", "RX"].into_iter().enumerate() {
        for i in 0..4 {
            files.push((format!("{folder}/{i}.png"), png(&scene, class, i)));
        }
    }
    let mut bytes = zip(&files);
    for (from, to) in [(b"QX/", [0x95, 0x5c, b'/']), (b"RX/", [0x94, 0x5c, b'/'])] {
        for at in 0..bytes.len() - 3 {
            if &bytes[at..at + 3] == from {
                bytes[at..at + 3].copy_from_slice(&to);
            }
        }
    }
    scene.write("j.zip", &bytes);
    let s = stats(&scene, "j.zip");
    let counts: Vec<&Value> = s["classes"].as_object().unwrap().values().collect();
    assert_eq!(counts, [4, 4], "{s}");
}

#[test]
fn a_run_works_from_any_folder_and_says_where_its_data_were_looked_for() {
    let scene = Scene::new();
    class_folders(&scene);
    std::fs::create_dir(scene.path("elsewhere")).unwrap();
    let there = |scene: &Scene, arguments: &str| {
        scene.alike_with(arguments, |c| {
            c.current_dir(scene.path("elsewhere"));
        })
    };
    scene.write("net.txt", b"norm relu conv(8) maxpool(2) norm relu conv(8) gap");
    scene.ok("train --data pictures --network @net.txt --epochs 1 --out run -q");
    std::fs::rename(scene.path("pictures"), scene.path("sets-pictures")).unwrap();
    std::fs::create_dir(scene.path("sets")).unwrap();
    std::fs::rename(scene.path("sets-pictures"), scene.path("sets/pictures")).unwrap();
    scene.ok("train --data pictures --data-dir sets --out named --start whitened -q");
    let moved = there(&scene, "eval ../run");
    assert_eq!(moved.code, 1);
    let looked = scene.path("pictures").display().to_string();
    for words in ["not there any more", &looked, "config.toml", "--data"] {
        assert!(moved.stderr.contains(words), "no '{words}' in {}", moved.stderr);
    }
    let named = there(&scene, "eval ../named");
    assert_eq!(named.code, 0, "{}", named.stderr);
    std::fs::rename(scene.path("sets/pictures"), scene.path("pictures")).unwrap();
    // Another folder of the same name lies nearer: it is not the run's.
    save(&scene, "elsewhere/pictures/x/1.png", 0, 0);
    for verb in [
        "eval ../run",
        "report ../run -o page.html -q",
        "search ../run pictures/x/1.png",
        "classify ../run pictures/x/1.png",
        "train --resume ../run --epochs 2 -q",
        "train --config ../run/config.toml --out again -q",
    ] {
        let ended = there(&scene, verb);
        assert_eq!(ended.code, 0, "{verb}: {}", ended.stderr);
    }
    // What the user names is what counts.
    let other =
        there(&scene, "train --config ../run/config.toml --data pictures --split image:test=0 --out x -q");
    assert!(other.code == 1 && !other.stderr.contains("bee"), "{}", other.stderr);
    // Runs of before have no such line, and are found as they always were.
    let config = std::fs::read_to_string(scene.path("run/config.toml")).unwrap();
    let old: String =
        config.lines().filter(|l| !l.starts_with("found-at")).map(|l| format!("{l}\n")).collect();
    assert_ne!(old, config);
    scene.write("run/config.toml", old.as_bytes());
    scene.ok("eval run");
    // Run and data moved together.
    scene.ok("train --data pictures --out run2 --start whitened -q");
    std::fs::create_dir(scene.path("new")).unwrap();
    for name in ["run2", "pictures"] {
        std::fs::rename(scene.path(name), scene.path("new").join(name)).unwrap();
    }
    let ended = scene.alike_with("eval run2", |c| {
        c.current_dir(scene.path("new"));
    });
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn lists_of_classes_are_found_from_any_folder() {
    let scene = Scene::new();
    class_folders(&scene);
    scene.write("lists/train.txt", b"ant\nbee\n");
    scene.write("lists/test.txt", b"cat\n");
    scene.ok("train --data pictures --split lists:folder=lists --out run --start whitened -q");
    std::fs::create_dir(scene.path("elsewhere")).unwrap();
    let ended = scene.alike_with("eval ../run", |c| {
        c.current_dir(scene.path("elsewhere"));
    });
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // Classes that no list names are said.
    scene.write("lists/train.txt", b"ant\n");
    let s = json(&scene.ok("data stats pictures --split lists:folder=lists --json"));
    assert_eq!((&s["left_out"][0]["why"], &s["left_out"][0]["count"]), (&"not-in-lists".into(), &12.into()));
}

#[test]
fn classes_with_commas_and_quotes_can_be_excluded_and_commands_can_be_pasted() {
    let scene = Scene::new();
    let classes = ["cat, domestic", "it's \"x\"", "-dash", "plain"];
    for (c, class) in classes.iter().enumerate() {
        for i in 0..8 {
            save(&scene, &format!("my set/{class}/{i}.png"), c % 3, 10 * c + i);
        }
    }
    let train = |out: &str, excluded: &[&str]| {
        scene.alike_with("train --start whitened --epochs 0", |c| {
            c.args(["--data", "my set", "--out", out]);
            excluded.iter().for_each(|e| {
                c.arg(format!("--exclude-class={e}"));
            });
        })
    };
    let kept = |run: &str| std::fs::read_to_string(scene.path(run).join("config.toml")).unwrap();
    let said = train("run 1", &["cat, domestic"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("go on with: alike eval 'run 1'"), "{}", said.stderr);
    assert!(kept("run 1").contains("exclude-class = [\"cat, domestic\"]"), "{}", kept("run 1"));
    assert_eq!(train("b", &["-dash,cat, domestic"]).code, 0);
    assert!(kept("b").contains("exclude-class = [\"-dash\", \"cat, domestic\"]"), "{}", kept("b"));
    assert_eq!(train("c", &["cat, domestic", "it's \"x\""]).code, 0);
    assert!(train("d", &["cat"]).stderr.contains("no class 'cat'"));
    // A run's own settings, and a user's.
    let config = scene.path("run 1/config.toml");
    let again = scene.alike_with("train --out e -q", |c| {
        c.arg("--config").arg(&config);
    });
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(kept("e").contains("exclude-class = [\"cat, domestic\"]"));
    // The page's commands, pasted into a shell, are the words that were meant.
    let page = scene.alike_with("report -o page.html -q", |c| {
        c.arg("run 1/");
    });
    assert_eq!(page.code, 0, "{}", page.stderr);
    let html = std::fs::read_to_string(scene.path("page.html")).unwrap();
    let begins = html.find("alike train --config").unwrap();
    let lines = &html[begins..][..html[begins..].find("</pre>").unwrap()];
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_alike")).parent().unwrap();
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([bin.to_owned()].into_iter().chain(std::env::split_paths(&usual))).unwrap();
    for line in lines.lines() {
        let said = std::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(scene.path("."))
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(said.status.success(), "{line}: {}", String::from_utf8_lossy(&said.stderr));
    }
    assert_eq!(kept("run 1-again"), kept("run 1"));
    let last = |run: &str| std::fs::read(scene.path(run).join("last.safetensors")).unwrap();
    assert!(last("run 1-again") == last("run 1"), "the same settings, the same bits");
    let map = std::fs::read_to_string(scene.path("map.html")).unwrap();
    assert!(map.contains("alike map 'run 1' -o map.html --force"), "a map says how it is made");
}

#[test]
fn runs_set_side_by_side_may_have_commas_in_their_names() {
    let scene = Scene::new();
    class_folders(&scene);
    for run in ["a", "b,c", "b"] {
        scene.ok(&format!("train --data pictures --out {run} --start whitened -q"));
    }
    let width = |with: &str| {
        json(&scene.ok(&format!("embed a pictures/ant --with {with} -o e.npy --force --json")))["d"]
            .as_u64()
            .unwrap()
    };
    let one = width("b") / 2;
    assert_eq!((width("b,c"), width("b,b")), (2 * one, 3 * one));
}

#[test]
fn classes_of_two_images_say_how_they_can_be_judged() {
    let scene = Scene::new();
    for i in 0..24 {
        save(&scene, &format!("people/p{}/{i}.png", i / 2), i % 3, i);
    }
    let said = scene.alike("train --data people --out run --start whitened").stderr;
    assert!(
        said.contains(
            "nothing is held back for judging, because no class has more than 2 images; --split class"
        ),
        "{said}"
    );
    let said = scene.alike("train --data people --out apart --split class --start whitened").stderr;
    assert!(
        said.contains("whole classes held back for judging: 4 of 24") || said.contains("6 of 24"),
        "{said}"
    );
    scene.ok("eval apart");
}

#[test]
fn shards_may_be_named_by_their_parts() {
    let scene = Scene::new();
    for (shard, range) in [("train-000", 0..6), ("train-001", 6..12), ("val-000", 12..15)] {
        let files: Vec<(String, Vec<u8>)> = range
            .flat_map(|i| {
                [
                    (format!("{i:03}.png"), png(&scene, i % 3, i)),
                    (format!("{i:03}.cls"), (i % 3).to_string().into()),
                ]
            })
            .collect();
        scene.write(&format!("shards/{shard}.tar"), &tar(&files));
    }
    // No test part: val is judged by.
    assert_eq!(stats(&scene, "shards")["parts"], serde_json::json!({ "train": 12, "test": 3 }));
}

/// Shards named by a range, and a folder whose own name looks like one.
#[test]
fn braces_in_a_name_are_a_name_where_there_is_such_a_file() {
    let scene = Scene::new();
    class_folders(&scene);
    std::fs::rename(scene.path("pictures"), scene.path("s{1..2}")).unwrap();
    assert_eq!(stats(&scene, "s{1..2}")["images"], 36);
}

/// Copies the scene's IDX files into a folder.
fn idx_files(scene: &Scene, folder: &str) {
    for file in std::fs::read_dir(scene.path("data")).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        scene.write(&format!("{folder}{name}"), &std::fs::read(file.path()).unwrap());
    }
}

#[test]
fn a_name_that_is_not_found_is_not_the_folder_where_one_stands() {
    let scene = Scene::new();
    idx_files(&scene, "");
    scene.refused("data show mnits", 1, &["mnits", "did you mean 'mnist'?"]);
    // They are a set for whoever asks for them.
    scene.ok("data show .");
}

#[test]
fn pictures_beside_idx_files_are_what_is_embedded() {
    let scene = Scene::new();
    class_folders(&scene);
    scene.ok("train --data pictures --out run --epochs 1 -q");
    let plain = scene.ok("embed run pictures -o plain.npy --json -q");
    idx_files(&scene, "pictures/");
    let beside = scene.ok("embed run pictures -o beside.npy --json -q");
    assert_eq!(plain.replace("plain", "beside"), beside);
}
