//! Tables: the same rows give the same set however they are written, and nothing that Alike wrote is ever read back as data.

use crate::command::Scene;
use crate::sources::{class_folders, json, picture, tar, zip};
use serde_json::Value;

/// Twelve pictures in one folder, whose classes only a table tells.
fn flat(scene: &Scene, folder: &str) {
    for i in 0..12 {
        let path = scene.write(&format!("{folder}/im/{i}.png"), b"");
        picture(i % 3, i).save(path).unwrap();
    }
}

fn below(scene: &Scene, folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = scene.path(folder);
    let files = scene.files().into_iter().filter(|(p, _)| p.starts_with(&root));
    files.map(|(p, b)| (p.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), b)).collect()
}

fn stats(scene: &Scene, data: &str) -> Value {
    json(&scene.ok(&format!("data stats {data} --json")))
}

fn notes(stats: &Value) -> String {
    stats["notes"].to_string()
}

const CLASSES: [&str; 3] = ["x", "y, z", "w"];

/// A table's text: the header's two cells, what sets them apart, and how a path is written.
fn text(header: [&str; 2], delimiter: char, path: impl Fn(&str) -> String) -> String {
    let cell = |c: &str| if c.contains([delimiter, '"', '\n']) { format!("\"{c}\"") } else { c.to_owned() };
    let mut text = header.join(&delimiter.to_string()) + "\n";
    for i in 0..12 {
        text += &format!("{}{delimiter}{}\n", path(&format!("im/{i}.png")), cell(CLASSES[i % 3]));
    }
    text
}

#[test]
fn a_table_is_the_same_however_it_is_written_in_a_folder_an_archive_and_alone() {
    let scene = Scene::new();
    let as_it_is = |p: &str| p.to_owned();
    let lines: String = (0..12)
        .map(|i| {
            format!("{{\"file_name\": \"im/{i}.png\", \"label\": \"{}\", \"box\": [1]}}\n", CLASSES[i % 3])
        })
        .collect();
    let ways: Vec<(&str, Vec<u8>)> = vec![
        ("manifest.csv", text(["path", "label"], ',', as_it_is).into()),
        ("manifest.csv", format!("\u{feff}{}", text(["path", "label"], ';', as_it_is)).into()),
        ("manifest.tsv", text(["Path", "LABEL"], '\t', as_it_is).into()),
        (
            "labels.csv",
            text(["./file", "x"], ',', as_it_is).replace("./file,x", "\"File Name\", Class ").into(),
        ),
        ("metadata.csv", text(["file_name", "label"], ',', as_it_is).into()),
        ("metadata.jsonl", lines.into()),
        ("list.csv", text(["path", "label"], ',', |p| format!("./{p}")).replace('\n', "\r\n").into()),
        ("list.csv", text(["image", "class"], ';', |p| p.replace('/', "\\")).into()),
        ("list.csv", text(["filepaths", "labels"], '|', |p| format!("im/../{p}")).into()),
    ];
    for (n, (name, table)) in ways.into_iter().enumerate() {
        let folder = format!("set{n}");
        flat(&scene, &folder);
        scene.write(&format!("{folder}/{name}"), &table);
        let files = below(&scene, &folder);
        scene.write(&format!("{n}.zip"), &zip(&files));
        let nested: Vec<_> = files.iter().map(|(p, b)| (format!("some/where/{p}"), b.clone())).collect();
        scene.write(&format!("{n}.tar"), &tar(&nested));
        for source in [folder.clone(), format!("{folder}/{name}"), format!("{n}.zip"), format!("{n}.tar")] {
            let s = stats(&scene, &source);
            assert_eq!(s["classes"], serde_json::json!({ "x": 4, "y, z": 4, "w": 4 }), "{source} {name} {s}");
            assert_eq!(
                (s["images"].as_u64(), s["unreadable"].as_array().unwrap().len()),
                (Some(12), 0),
                "{source}"
            );
            assert!(notes(&s).contains("12 rows, columns "), "{source}: {}", notes(&s));
        }
    }
}

#[test]
fn absolute_paths_and_names_with_line_breaks() {
    let scene = Scene::new();
    flat(&scene, "set");
    let root = scene.path("set").canonicalize().unwrap();
    scene.write(
        "set/manifest.csv",
        text(["path", "label"], ',', |p| root.join(p).display().to_string()).as_bytes(),
    );
    let s = stats(&scene, "set");
    assert_eq!((s["classes"]["w"].as_u64(), s["unreadable"].as_array().unwrap().len()), (Some(4), 0), "{s}");
    picture(0, 1).save(scene.path("set/im/a\nb.png")).unwrap();
    scene.write("set/manifest.csv", b"path,label\n\"im/a\nb.png\",\"two\nlines\"\nim/1.png,one\n");
    let s = stats(&scene, "set");
    assert_eq!(s["classes"], serde_json::json!({ "two\nlines": 1, "one": 1 }));
    assert_eq!(s["left_out"][0]["why"], "not-in-table");
    assert_eq!((&s["found"], &s["images"], &s["left_out"][0]["count"]), (&13.into(), &2.into(), &11.into()));
}

#[test]
fn what_looks_like_a_table_of_images_but_is_not_taken_is_said_with_the_reason() {
    let scene = Scene::new();
    class_folders(&scene);
    let case = |name: &str, table: &str, words: &[&str]| {
        let path = scene.write(&format!("pictures/{name}"), table.as_bytes());
        let s = stats(&scene, "pictures");
        assert_eq!(s["classes"], serde_json::json!({ "ant": 12, "bee": 12, "cat": 12 }), "{table}");
        for word in words {
            assert!(notes(&s).contains(word), "no '{word}' in {}", notes(&s));
        }
        std::fs::remove_file(path).unwrap();
    };
    case("labels.csv", "id,label\n1,x\n", &["labels.csv is not used", "no column of paths"]);
    case("bad.csv", "path,label\nant/00.png,x\n", &["names only 1 of 36", "--data pictures/bad.csv"]);
    case("sizes.csv", "path,width\nant/00.png,3\n", &["neither classes nor parts"]);
    case("old.csv", "path,label\nnowhere/1.png,x\n", &["none of the 1 files", "nowhere/1.png"]);
    case("broken.csv", "path,label\nant/00.png\n", &["broken.csv is not used", "line 2 has 1 cells"]);
    scene.write("pictures/a.csv", b"path,label\nant/00.png,x\n");
    case(
        "b.csv",
        "path,label\nant/00.png,x\n",
        &["a.csv, b.csv", "name the one that is meant", "--data pictures/a.csv"],
    );
    std::fs::remove_file(scene.path("pictures/a.csv")).unwrap();
    // One that is called manifest is meant: what is wrong with it is an error.
    scene.write("pictures/manifest.csv", b"path,label\nnowhere/1.png,x\n");
    scene.refused("data stats pictures", 1, &["none of the 1 files", "nowhere/1.png"]);
    scene.write("pictures/manifest.csv", b"path,label\nant/00.png\n");
    scene.refused("data stats pictures", 1, &["manifest.csv", "line 2 has 1 cells"]);
}

#[test]
fn a_table_a_part_and_metadata_in_the_folder_of_each_part() {
    let scene = Scene::new();
    flat(&scene, "kaggle");
    let rows = |range: std::ops::Range<usize>| -> String {
        range.map(|i| format!("im/{i}.png,{}\n", ["a", "b", "c"][i % 3])).collect()
    };
    scene.write("kaggle/train.csv", format!("image,label\n{}", rows(0..9)).as_bytes());
    scene.write("kaggle/test.csv", format!("image,label\n{}", rows(9..12)).as_bytes());
    let s = stats(&scene, "kaggle");
    assert_eq!(s["parts"], serde_json::json!({ "train": 9, "test": 3 }), "{s}");
    for (part, n) in [("train", 9), ("validation", 3)] {
        let mut table = String::from("file_name,label\n");
        for i in 0..n {
            picture(i % 3, i).save(scene.write(&format!("hf/{part}/{i}.png"), b"")).unwrap();
            table += &format!("{i}.png,{}\n", ["a", "b", "c"][i % 3]);
        }
        scene.write(&format!("hf/{part}/metadata.csv"), table.as_bytes());
    }
    let s = stats(&scene, "hf");
    assert_eq!(s["classes"], serde_json::json!({ "a": 4, "b": 4, "c": 4 }), "{s}");
    // Nothing but val is there to judge by.
    assert_eq!(s["parts"], serde_json::json!({ "train": 9, "test": 3 }), "{s}");
}

/// All that the verbs write, into the very folder that it is about.
#[test]
fn nothing_that_alike_wrote_is_read_back_as_data() {
    let scene = Scene::new();
    class_folders(&scene);
    let before = stats(&scene, "pictures");
    scene.ok("train --data pictures --out pictures/run --start whitened -q");
    let split = std::fs::read(scene.path("pictures/run/split.csv")).unwrap();
    for verb in [
        "embed pictures/run pictures -o pictures/e.npy",
        "classify pictures/run pictures/ant --csv pictures/ant/answers.csv",
        "anomaly pictures/run pictures/ant --csv pictures/bee/scores.csv -o pictures/bee/worst.png",
        "cluster pictures/run pictures -k 3 --csv pictures/clusters.csv -o pictures/clusters.png",
        "eval pictures/run --csv pictures/eval.csv",
        "search pictures/run pictures/ant/00.png -o pictures/cat/alike.png",
        "explain pictures/run pictures/ant/00.png pictures/bee/00.png -o pictures/why.png",
        "report pictures/run -o pictures/page.html",
        "health pictures/run -o pictures/health",
        "health pictures/run -o pictures/ant/health",
        "health pictures/run -o pictures/run/health",
        "map pictures/run -o pictures/map.html --method pca",
        "data show pictures -o pictures/sheet.png",
    ] {
        scene.ok(&format!("{verb} -q"));
        let s = stats(&scene, "pictures");
        assert_eq!(
            (&s["images"], &s["classes"]),
            (&before["images"], &before["classes"]),
            "after {verb}: {s}"
        );
        scene.ok("eval pictures/run");
    }
    // Renamed and moved, too.
    let rename = |a: &str, b: &str| std::fs::rename(scene.path(a), scene.path(b)).unwrap();
    rename("pictures/e.csv", "pictures/manifest.csv");
    rename("pictures/health/cleaned.csv", "pictures/metadata.csv");
    rename("pictures/clusters.csv", "pictures/cat/labels.csv");
    rename("pictures/clusters.png", "pictures/ant/x.png");
    rename("pictures/run", "pictures/bee/best one");
    let s = stats(&scene, "pictures");
    assert_eq!((&s["images"], &s["classes"]), (&before["images"], &before["classes"]), "{s}");
    let (found, left) = (s["found"].as_u64().unwrap(), s["left_out"].as_array().unwrap());
    let unread: u64 = s["unread"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(found, 36 + unread + left.iter().map(|l| l["count"].as_u64().unwrap()).sum::<u64>());
    let why: Vec<&str> = left.iter().map(|l| l["why"].as_str().unwrap()).collect();
    assert!(why.contains(&"drawn") && why.contains(&"in-run"), "{s}");
    assert!(notes(&s).contains("tables that Alike wrote"), "{s}");
    // The same in archives.
    let files = below(&scene, "pictures");
    scene.write("all.zip", &zip(&files));
    scene.write("all.tar", &tar(&files));
    for archive in ["all.zip", "all.tar"] {
        let s = stats(&scene, archive);
        assert_eq!((&s["images"], &s["classes"]), (&before["images"], &before["classes"]), "{archive}: {s}");
    }
    // Named, they are what they are.
    assert_eq!(stats(&scene, "pictures/metadata.csv")["unreadable"].as_array().unwrap().len(), 0);
    let run = scene.path("pictures/bee/best one");
    let named = scene.alike_with("search", |c| {
        c.arg(run).args(["pictures/ant/x.png", "--json"]);
    });
    assert_eq!(named.code, 0, "{}", named.stderr);
    assert!(std::fs::read(scene.path("pictures/bee/best one/split.csv")).unwrap() == split);
}

#[test]
fn a_column_tells_images_apart_whatever_table_it_stands_in() {
    let scene = Scene::new();
    let mut rows = String::new();
    for class in 0..4 {
        for i in 0..8 {
            let name = format!("{class}_{i}.png");
            picture(class % 3, 10 * class + i).save(scene.write(&format!("sets/s/{name}"), b"")).unwrap();
            let (part, pose) =
                (if i < 4 { "train" } else { "test" }, if i % 2 == 0 { "left" } else { "right" });
            rows += &format!(".\\{name};c{class};{part};{pose}\n");
        }
    }
    scene.write("sets/s/labels.csv", format!("\u{feff}File;Label;Split;Pose\n{rows}").as_bytes());
    let files: Vec<_> = below(&scene, "sets/s").into_iter().map(|(p, b)| (format!("in/{p}"), b)).collect();
    scene.write("s.zip", &zip(&files));
    for (run, data) in
        [("a", "sets/s"), ("b", "s.zip"), ("c", "sets/s/labels.csv"), ("d", "s --data-dir sets")]
    {
        scene.ok(&format!("train --data {data} --out {run} --start whitened -q"));
        let more = data.split_once(' ').map_or("", |d| d.1);
        let j = json(&scene.ok(&format!("eval verification {run} --by pose --json {more}")));
        let by: Vec<&String> = j["feature"]["by"].as_object().unwrap().keys().collect();
        assert_eq!(by, ["left", "left / right", "right"], "{data}");
    }
    scene.refused("eval verification a --by light", 1, &["no column 'light'", "Pose"]);
    class_folders(&scene);
    scene.ok("train --data pictures --out e --start whitened -q");
    scene.refused("eval verification e --by pose", 1, &["no table with columns", "'pose'"]);
}

#[test]
fn pairs_are_read_as_any_table_is() {
    let scene = Scene::new();
    class_folders(&scene);
    scene.ok("train --data pictures --out run --split image:test=0.5 --start whitened -q");
    let split = std::fs::read_to_string(scene.path("run/split.csv")).unwrap();
    let test = |class: &str| -> Vec<&str> {
        split.lines().filter(|l| l.starts_with(&format!("test,{class},"))).map(|l| &l[9..]).collect()
    };
    let (ant, bee) = (test("ant"), test("bee"));
    let rows = |d: &str, yes: &str, no: &str, path: &dyn Fn(&str) -> String| {
        format!("{}{d}{}{d}{yes}\n{}{d}{}{d}{no}\n", path(ant[0]), path(ant[1]), path(ant[0]), path(bee[0]))
    };
    let plain = |p: &str| p.to_owned();
    for table in [
        format!("a,b,same\n{}", rows(",", "TRUE", "FALSE", &plain)),
        format!("\u{feff}A;B;Same\n{}", rows(";", "1", "0", &plain)),
        format!("a\tb\tsame\n{}", rows("\t", "Yes", "No", &|p| format!("./{p}"))),
        format!("image1,image2,is_same\n{}", rows(",", "true", "false", &|p| p.replace('/', "\\"))),
    ] {
        scene.write("p.csv", table.as_bytes());
        let j = json(&scene.ok("eval verification run --pairs p.csv --json"));
        assert_eq!((&j["feature"]["genuine"], &j["feature"]["impostor"]), (&1.into(), &1.into()), "{table}");
    }
    scene.write("p.csv", format!("a,b,same\n{},{},perhaps\n", ant[0], ant[1]).as_bytes());
    scene.refused("eval verification run --pairs p.csv", 1, &["line 2", "true or false", "perhaps"]);
    scene.write("p.csv", b"a,c,same\nx,y,1\n");
    scene.refused("eval verification run --pairs p.csv", 1, &["no column 'b'"]);
}
