//! Images from wherever users have them: the same pictures give the same run, and what is wrong is told by name.

use crate::command::Scene;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// A picture of a class: a bar at a height of its own over some noise; colours differ a little by image.
pub(crate) fn picture(class: usize, i: usize) -> image::RgbImage {
    image::RgbImage::from_fn(16, 16, |x, y| {
        let bar = if y as usize / 5 == class { 170 } else { 30 };
        let noise =
            ((x as usize * 31 + y as usize * 17 + i * 101).wrapping_mul(2_654_435_761) >> 9) as u8 % 50;
        image::Rgb([bar + noise, bar, bar + (i % 20) as u8])
    })
}

const CLASSES: [&str; 3] = ["ant", "bee", "cat"];
const EACH: usize = 12;

/// `pictures/CLASS/N.png`, and a file that is no picture.
pub(crate) fn class_folders(scene: &Scene) {
    for (class, name) in CLASSES.iter().enumerate() {
        for i in 0..EACH {
            let path = scene.write(&format!("pictures/{name}/{i:02}.png"), b"");
            picture(class, i).save(path).unwrap();
        }
    }
    scene.write("pictures/readme.txt", b"about");
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Trains for an epoch; returns the weights.
#[track_caller]
fn weights(scene: &Scene, data: &str, run: &str) -> Vec<u8> {
    scene.ok(&format!("train --data {data} --out {run} --epochs 1 --seed 4 -q"));
    std::fs::read(scene.path(run).join("last.safetensors")).unwrap()
}

/// Every picture below a folder: its path within, and its bytes.
fn below(scene: &Scene) -> Vec<(String, Vec<u8>)> {
    let root = scene.path("pictures");
    let files = scene.files().into_iter().filter(|(p, _)| p.starts_with(&root));
    files.map(|(p, b)| (p.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"), b)).collect()
}

pub(crate) fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(crate) fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_folder_an_archive_and_a_table_of_the_same_pictures_give_the_same_run() {
    let scene = Scene::new();
    class_folders(&scene);
    let folder = weights(&scene, "pictures", "a");
    let files = below(&scene);
    scene.write("p.zip", &zip(&files));
    scene.write("p.tar", &tar(&files));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&tar(&files)).unwrap();
    scene.write("p.tar.gz", &packed.finish().unwrap());
    let rows: String = files
        .iter()
        .filter_map(|(name, _)| Some(format!("pictures/{name},{}\n", name.split_once('/')?.0)))
        .collect();
    scene.write("table.csv", format!("path,label\n{rows}").as_bytes());
    let within: String = rows.lines().map(|l| l.trim_start_matches("pictures/").to_owned() + "\n").collect();
    let table = ("manifest.csv".to_owned(), format!("path,label\n{within}").into_bytes());
    scene.write("t.zip", &zip(&[files.clone(), vec![table]].concat()));
    for source in ["p.zip", "p.tar", "p.tar.gz", "table.csv", "t.zip"] {
        assert!(weights(&scene, source, &format!("run-{source}")) == folder, "{source} gave other bits");
    }
    // Kept in memory, or found in the cache: the same.
    scene.ok("train --data pictures --out memory --epochs 1 --seed 4 -q --no-cache");
    assert!(std::fs::read(scene.path("memory/last.safetensors")).unwrap() == folder);
    let j = json(&scene.ok("eval a --json --k 1"));
    assert_eq!(j["n_query"], 6);
    assert_eq!(j["spaces"]["image"]["knn"]["1"]["accuracy"], 1.0);
    scene.ok("report a -o page.html -q");
}

#[test]
fn a_run_says_what_was_chosen_and_keeps_it() {
    let scene = Scene::new();
    class_folders(&scene);
    let said = scene.alike("train --data pictures --out run --epochs 1").stderr;
    for words in [
        "a file that is no picture is ignored",
        "a share of every class held back for judging: 6 of 36 images",
        "pictures in colour, all of 16 x 16",
        "auto: network",
        "auto: loss",
        "auto: augmentation",
    ] {
        assert!(said.contains(words), "no '{words}' in {said}");
    }
    let config = std::fs::read_to_string(scene.path("run/config.toml")).unwrap();
    for words in
        ["recipe = \"auto\"", "split = \"image:seed=0,test=0.2\"", "prepare = \"size=16x16,channels=3,"]
    {
        assert!(config.contains(words), "no '{words}' in {config}");
    }
    let split = std::fs::read_to_string(scene.path("run/split.csv")).unwrap();
    assert_eq!((split.lines().count(), split.matches("test,").count()), (37, 6));
    // A picture that vanishes, or comes, is noticed.
    std::fs::remove_file(scene.path("pictures/bee/03.png")).unwrap();
    scene.refused("eval run", 1, &["pictures has changed since the run began", "bee/03.png"]);
    scene.refused("train --resume run --epochs 2 -q", 1, &["bee/03.png"]);
}

/// What a flag overrode is not said as if it held, and images for validation are not counted as trained on.
#[test]
fn what_is_said_before_training_is_what_holds() {
    let scene = Scene::new();
    class_folders(&scene);
    let said = |flags: &str| scene.alike(&format!("train --data pictures --out run --force {flags}")).stderr;
    let all = said("--epochs 0");
    for words in [
        "auto: network residual-small",
        "auto: loss multi-similarity",
        "auto: sampler pk:3x8",
        "auto: augmentation",
    ] {
        assert!(all.contains(words), "no '{words}' in {all}");
    }
    assert!(!all.contains(" epochs:"), "{all}");
    assert!(all.contains("data: 30 images of 16x16x3 of 3 classes to train on, 6 to judge by"), "{all}");
    for (flags, gone) in [
        ("--network seed", "auto: network"),
        ("--loss contrastive", "auto: loss"),
        ("--sampler random", "auto: sampler"),
        ("--batch-size 12 --sampler random", "auto: sampler"),
        ("--augment none", "auto: augmentation"),
    ] {
        let said = said(&format!("--epochs 0 {flags}"));
        assert!(!said.contains(gone) && said.contains("auto: "), "{flags}: {said}");
    }
    // Ten images a class are trained on; two of them are held out.
    let held = said("--epochs 0 --validate=0.2");
    assert!(
        held.contains("data: 24 images of 16x16x3 of 3 classes to train on, 6 for validation, 6 to judge by"),
        "{held}"
    );
    assert!(
        held.contains("24 images of 16 x 16 are few") && held.contains("8 images a class are few"),
        "{held}"
    );
    let without = said("--epochs 0 --exclude-class ant");
    assert!(
        without.contains("data: 20 images of 16x16x3 of 2 classes to train on, 6 to judge by"),
        "{without}"
    );
    // The same of a run that goes on, and of what its source holds for validation.
    said("--epochs 1 --validate=0.2");
    let on = scene.alike("train --resume run --epochs 2").stderr;
    assert!(on.contains("24 images of 16x16x3 of 3 classes to train on, 6 for validation"), "{on}");
    for (part, range) in [("train", 0..6), ("val", 6..9), ("test", 9..12)] {
        for (class, name) in CLASSES.iter().enumerate() {
            for i in range.clone() {
                let path = scene.write(&format!("parts/{part}/{name}/{i}.png"), b"");
                picture(class, i).save(path).unwrap();
            }
        }
    }
    let parts = scene.alike("train --data parts --out other --epochs 1").stderr;
    assert!(
        parts.contains("18 images of 16x16x3 of 3 classes to train on, 9 for validation, 9 to judge by"),
        "{parts}"
    );
    assert!(parts.contains("18 images of 16 x 16 are few"), "{parts}");
    scene.ok("report other -o page.html -q");
    let page = std::fs::read_to_string(scene.path("page.html")).unwrap();
    assert!(page.contains("learned from 18 images of 3 classes"), "the page counts what was trained on");
}

#[test]
fn prepared_images_are_made_once_and_again_only_when_they_must_be() {
    let scene = Scene::new();
    class_folders(&scene);
    let said = |scene: &Scene| scene.alike("train --data pictures --out run --force --epochs 1").stderr;
    let warm = |text: &str| text.contains("images were prepared already");
    assert!(!warm(&said(&scene)) && warm(&said(&scene)));
    let cache =
        || -> Vec<_> { std::fs::read_dir(scene.path("cache/alike/images")).unwrap().flatten().collect() };
    assert_eq!(cache().len(), 1);
    // Whatever happened to it, it is made again.
    let file = cache()[0].path();
    let whole = std::fs::read(&file).unwrap();
    let spoil = |at: usize, by: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + by.len()].copy_from_slice(by);
        bytes
    };
    let n = whole.len();
    for (what, bytes) in [
        ("cut", whole[..n - 1].to_vec()),
        ("cut in the images", whole[..5000].to_vec()),
        ("empty", Vec::new()),
        ("zeros among the images", spoil(4096, &[0; 600])),
        ("one bit of the images", spoil(4500, &[whole[4500] ^ 1])),
        ("one bit of the footer", spoil(n - 60, &[whole[n - 60] ^ 1])),
        ("another sum", spoil(n - 16, &[0xff; 8])),
        ("a header of other images", spoil(20, b"9")),
        ("all zeros", vec![0; n]),
    ] {
        std::fs::write(&file, &bytes).unwrap();
        assert!(!warm(&said(&scene)), "{what}");
        assert!(std::fs::read(&file).unwrap() == whole, "{what}");
    }
    // A copy of the same content, size and time is the same picture.
    let [cat, dog] = ["pictures/cat/00.png", "pictures/cat/01.png"].map(|p| scene.path(p));
    let time = std::fs::metadata(&cat).unwrap().modified().unwrap();
    let put = |bytes: &[u8]| {
        let new = scene.path("pictures/new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::File::options().append(true).open(&new).unwrap().set_modified(time).unwrap();
        std::fs::rename(&new, &cat).unwrap();
    };
    let old = std::fs::read(&cat).unwrap();
    put(&old);
    assert!(warm(&said(&scene)));
    // Another picture of the same size and time is not: as `cp -p` and `rsync --times` may leave one. (PNG allows bytes behind its end.)
    let mut other = std::fs::read(&dog).unwrap();
    let mut padded = old.clone();
    let size = other.len().max(padded.len());
    other.resize(size, 0);
    padded.resize(size, 0);
    put(&padded);
    said(&scene);
    put(&other);
    assert!(!warm(&said(&scene)));
    assert!(warm(&said(&scene)));
    scene.ok("data cache --clear");
    put(&old);
    said(&scene);
    // A picture that changes makes other images.
    picture(2, 99).save(scene.path("pictures/cat/00.png")).unwrap();
    assert!(!warm(&said(&scene)));
    assert_eq!(cache().len(), 2);
    assert!(scene.ok("data cache").starts_with("2 sets"));
    scene.ok("data cache --clear");
    assert_eq!(cache().len(), 0);
    assert!(!warm(&said(&scene)));
    // With room for none, the longest unused go.
    scene.ok("train --data pictures --out other --prepare size=8 --epochs 1 -q --cache-limit 0");
    assert_eq!(cache().len(), 1);
}

/// One of every kind, none of which may be lost sight of.
fn break_some(scene: &Scene) -> Vec<&'static str> {
    let good = std::fs::read(scene.path("pictures/ant/00.png")).unwrap();
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90);
    picture(0, 0).write_with_encoder(encoder).unwrap();
    let mut bomb = good.clone();
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    scene.write("pictures/ant/cut.png", &good[..good.len() / 2]);
    scene.write("pictures/bee/cut.jpg", &jpeg[..jpeg.len() * 2 / 3]);
    scene.write("pictures/bee/empty.png", b"");
    scene.write("pictures/bee/text.png", b"this is no picture at all");
    scene.write("pictures/cat/bomb.png", &bomb);
    scene.write("pictures/cat/flipped.png", &flipped);
    scene.write("pictures/cat/huge.pgm", b"P5 60000 60000 255\n");
    vec![
        "ant/cut.png",
        "bee/cut.jpg",
        "bee/empty.png",
        "bee/text.png",
        "cat/bomb.png",
        "cat/flipped.png",
        "cat/huge.pgm",
    ]
}

#[test]
fn broken_pictures_are_named_each_with_its_reason_and_nothing_else_is_lost() {
    let scene = Scene::new();
    class_folders(&scene);
    let broken = break_some(&scene);
    // By its content a JPEG is one, whatever it is called.
    picture(1, 77).save_with_format(scene.path("pictures/bee/odd.png"), image::ImageFormat::Jpeg).unwrap();
    let failed = scene.alike("train --data pictures --out run --epochs 1 -q");
    assert_eq!(failed.code, 1);
    for words in ["7 of 44 images cannot be read", "the first is ant/cut.png", "--on-error skip"] {
        assert!(failed.stderr.contains(words), "no '{words}' in {}", failed.stderr);
    }
    assert!(!scene.path("run").exists());
    let said = scene.alike("train --data pictures --out run --epochs 1 --on-error skip");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let list = std::fs::read_to_string(scene.path("run/skipped.csv")).unwrap();
    for name in &broken {
        assert!(said.stderr.contains(&format!("left out: {name}: ")), "{name}: {}", said.stderr);
        assert!(list.contains(name), "{list}");
    }
    assert_eq!(list.lines().count(), 8);
    let split = std::fs::read_to_string(scene.path("run/split.csv")).unwrap();
    assert_eq!(split.lines().count(), 1 + 37, "36 good ones, and the misnamed JPEG");
    let stats = json(&scene.ok("data stats pictures --json"));
    assert_eq!(stats["unreadable"].as_array().unwrap().len(), 7);
    assert_eq!((&stats["formats"]["PNG"], &stats["formats"]["JPEG"]), (&36.into(), &1.into()));
    // The run can be judged without saying so again.
    scene.ok("eval run");
    scene.ok("embed run pictures -o all.npy -q --on-error skip");
    scene.refused("embed run pictures -o none.npy -q", 1, &["7 of 44", "ant/cut.png"]);
}

#[test]
fn nothing_but_broken_pictures_or_no_pictures_at_all() {
    let scene = Scene::new();
    scene.write("bad/a/1.png", b"no");
    scene.write("bad/b/2.png", b"no");
    scene.refused("train --data bad --out run", 1, &["2 of 2 images cannot be read", "a/1.png"]);
    scene.refused("train --data bad --out run --on-error skip", 1, &["2 of 2 images"]);
    scene.write("none/notes.txt", b"");
    scene.refused("train --data none --out run", 1, &["holds no pictures", "1 other files"]);
    std::fs::create_dir(scene.path("void")).unwrap();
    scene.refused("train --data void --out run", 1, &["holds no pictures"]);
    scene.refused("train --data gone/ --out run", 1, &["no such file or folder"]);
    scene.refused("train --data gone.zip --out run", 1, &["no such file or folder"]);
    scene.write("fake.zip", b"PK not a zip");
    scene.refused("train --data fake.zip --out run", 1, &["fake.zip", "no zip archive"]);
    scene.write("fake.tar", &[7; 2000]);
    scene.refused("train --data fake.tar --out run", 1, &["fake.tar", "no tar archive"]);
    scene.write("list.txt", b"");
    scene.refused("train --data list.txt --out run", 1, &["neither a folder nor a file"]);
    scene.write("t.parquet", b"PAR1");
    scene.refused("train --data t.parquet --out run", 1, &["t.parquet"]);
    scene.write("m.csv", b"path,label\nnowhere.png,a\nnorthere.png,b\n");
    scene.refused("train --data m.csv --out run", 1, &["northere.png", "not there"]);
    assert!(!scene.path("run").exists());
}

#[test]
fn pictures_without_classes_or_of_one_train_by_themselves() {
    let scene = Scene::new();
    for i in 0..30 {
        let path = scene.write(&format!("flat/{i}.png"), b"");
        picture(i % 3, i).save(path).unwrap();
        let path = scene.write(&format!("one/only/{i}.png"), b"");
        picture(i % 3, i).save(path).unwrap();
    }
    for data in ["flat", "one"] {
        let said = scene.alike(&format!("train --data {data} --out run-{data} --epochs 2"));
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert!(said.stderr.contains("self-supervised"), "{}", said.stderr);
        let said = scene.ok(&format!("eval run-{data}"));
        assert!(said.contains("two-view consistency") && said.contains("need images with classes"), "{said}");
        scene.ok(&format!("embed run-{data} {data} -o {data}.npy -q"));
        scene.refused(
            &format!("train --data {data} --recipe fast --out x -q"),
            1,
            &["nothing to tell apart"],
        );
    }
}

fn npy(dims: &[usize], kind: &str, data: &[u8]) -> Vec<u8> {
    let shape: String = dims.iter().map(|d| format!("{d}, ")).collect();
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// Features of three classes: apart in two numbers of eight, the others noise.
fn features(n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| {
            (0..8).flat_map(move |k| {
                let noise = ((i * 8 + k).wrapping_mul(2_654_435_761) >> 8) as u16 as f32 / 65_536.0 - 0.5;
                let centre = if k == i % 3 { 1.5 } else { 0.0 };
                (centre + if k < 2 { 0.5 } else { 3.0 } * noise).to_le_bytes()
            })
        })
        .collect()
}

#[test]
fn ready_made_features_and_arrays_of_images() {
    let scene = Scene::new();
    let labels: Vec<u8> = (0..300i64).flat_map(|i| (i % 3).to_le_bytes()).collect();
    let members = [
        ("x.npy".to_owned(), npy(&[300, 8], "<f4", &features(300))),
        ("y.npy".to_owned(), npy(&[300], "<i8", &labels)),
    ];
    scene.write("f.npz", &zip(&members));
    let said = scene.alike("train --data f.npz --out head --epochs 40");
    assert!(said.code == 0 && said.stderr.contains("ready-made numbers"), "{}", said.stderr);
    let j = json(&scene.ok("eval head --json"));
    let accuracy = |space: &str| j["spaces"][space]["knn"]["1"]["accuracy"].as_f64().unwrap();
    assert!(accuracy("feature") >= accuracy("image"), "{j}");
    scene.write("more.npy", &npy(&[5, 8], "<f4", &features(5)));
    scene.ok("embed head more.npy -o out.npy -q");
    scene.write("other.npy", &npy(&[5, 4], "<f4", &features(5)[..80]));
    scene.refused("embed head other.npy -o no.npy", 1, &["4 numbers a row", "1x1x8"]);
    scene.write("nan.npy", &npy(&[1, 4], "<f4", &[0xff; 16]));
    scene.refused("train --data nan.npy --out x", 1, &["row 0 holds NaN"]);
    scene.write("short.npy", &npy(&[9, 4], "<f4", &[0; 16]));
    scene.refused("train --data short.npy --out x", 1, &["ends before"]);
    let pixels: Vec<u8> = (0..60).flat_map(|i| picture(i % 3, i).into_raw()).collect();
    scene.write("images.npy", &npy(&[60, 16, 16, 3], "|u1", &pixels));
    scene.write("images.labels.npy", &npy(&[60], "<i8", &labels[..480]));
    assert!(scene.ok("data show images.npy --json").contains("16x16x3"));
    assert!(scene.ok("data show images.npy --prepare size=8,channels=1 --json").contains("8x8x1"));
}

#[test]
fn shards_whose_files_belong_together_by_their_keys() {
    let scene = Scene::new();
    for shard in 0..2 {
        let mut files = Vec::new();
        for i in 0..9 {
            let path = scene.path("x.png");
            picture(i % 3, i + 20 * shard).save(&path).unwrap();
            files.push((format!("{i:04}.png"), std::fs::read(&path).unwrap()));
            files.push((format!("{i:04}.cls"), format!("{}\n", i % 3).into_bytes()));
            files.push((format!("{i:04}.json"), b"{}".to_vec()));
        }
        scene.write(&format!("shards/s-{shard:02}.tar"), &tar(&files));
    }
    for data in ["shards", "shards/s-{00..01}.tar"] {
        let j = json(&scene.ok(&format!("data stats {data} --json")));
        assert_eq!((&j["images"], &j["classes"]["2"], &j["ignored"]), (&18.into(), &6.into(), &18.into()));
    }
}

#[test]
fn splits_by_class_and_group_keep_them_whole() {
    let scene = Scene::new();
    let mut rows = String::from("path,label,group\n");
    for i in 0..60 {
        let path = scene.write(&format!("all/{i}.png"), b"");
        picture(i % 3, i).save(path).unwrap();
        rows += &format!("all/{i}.png,c{},g{}\n", i % 6, i / 5);
    }
    scene.write("t.csv", rows.as_bytes());
    let parts = |run: &str| -> Vec<(String, String, usize)> {
        let text = std::fs::read_to_string(scene.path(run).join("split.csv")).unwrap();
        let row = |l: &str| {
            let cells: Vec<&str> = l.split(',').collect();
            let number = Path::new(cells[2]).file_stem().unwrap().to_str().unwrap().parse().unwrap();
            (cells[0].to_owned(), cells[1].to_owned(), number)
        };
        text.lines().skip(1).map(row).collect()
    };
    scene.ok("train --data t.csv --split class:test=0.5 --out a --epochs 1 -q");
    let a = parts("a");
    assert!(a.iter().all(|(p, c, _)| a.iter().all(|(q, d, _)| c != d || p == q)), "a class on both sides");
    assert_eq!(a.iter().filter(|r| r.0 == "test").count(), 30);
    assert!(scene.ok("eval a").contains("classes never trained on"));
    scene.ok("report a -o page.html -q");
    scene.ok("train --data t.csv --split group:test=0.3 --out b --epochs 1 -q --validate=0.3");
    let b = parts("b");
    assert!(
        b.iter().all(|(p, _, i)| b.iter().all(|(q, _, j)| i / 5 != j / 5 || p == q)),
        "a group on both sides"
    );
    scene.refused("train --data pictures --split group --out c", 1, &["pictures"]);
    scene.refused("train --data t.csv --split given --out c -q", 1, &["names no parts"]);
    scene.refused("train --data t.csv --split class:tset=1 --out c", 2, &["did you mean 'test'"]);
    scene.refused("train --data t.csv --prepare sise=4 --out c", 2, &["did you mean 'size'"]);
}

#[test]
fn cifar_and_omniglot_as_they_are_published() {
    let scene = Scene::new();
    let record = |i: usize| {
        let mut bytes = vec![(i % 4) as u8];
        bytes.extend((0..3072).map(|k| (i * 7 + k / 40) as u8));
        bytes
    };
    for file in 1..=5 {
        scene.write(&format!("cifar/data_batch_{file}.bin"), &(0..8).flat_map(record).collect::<Vec<_>>());
    }
    scene.write("cifar/test_batch.bin", &(0..4).flat_map(record).collect::<Vec<_>>());
    scene.write("cifar/batches.meta.txt", b"plane\ncar\nbird\ncat\n\n");
    let j = json(&scene.ok("data show cifar --json"));
    assert_eq!((&j["train"], &j["test"], &j["shape"]), (&40.into(), &4.into(), &"32x32x3".into()));
    assert_eq!(j["classes"][0]["class"], "bird");

    let drawing = |i: usize| {
        let path = scene.path("x.png");
        let ink = |x: u32, y: u32| if (x + y * i as u32).is_multiple_of(9) { 0 } else { 255 };
        image::GrayImage::from_fn(30, 30, |x, y| image::Luma([ink(x, y)])).save(&path).unwrap();
        std::fs::read(&path).unwrap()
    };
    let archive = |set: &str, alphabets: [&str; 2]| {
        let files: Vec<(String, Vec<u8>)> = (0..24)
            .map(|i| {
                let name =
                    format!("images_{set}/{}/character{:02}/{i:04}.png", alphabets[i / 12], 1 + i / 4 % 3);
                (name, drawing(i))
            })
            .collect();
        scene.write(&format!("omni/images_{set}.zip"), &zip(&files));
    };
    archive("background", ["Greek", "Latin"]);
    archive("evaluation", ["Tibetan", "Aurek"]);
    let j = json(&scene.ok("data show omni --json"));
    assert_eq!(
        (&j["train"], &j["test"], &j["classes"][0]["class"]),
        (&24.into(), &24.into(), &"Aurek/character01".into())
    );
    scene.write(
        "omni/lists/train.txt",
        b"Greek/character01/rot000\nGreek/character01/rot090\nLatin/character02/rot180\n",
    );
    scene.write("omni/lists/test.txt", b"Tibetan/character03/rot270\n");
    let j = json(&scene.ok("data show omni --split lists:folder=lists --json"));
    assert_eq!((&j["train"], &j["test"]), (&12.into(), &4.into()));
    scene.refused(
        "train --data omni --rotations --encoder lite0 --out run",
        2,
        &["--rotations", "--encoder"],
    );
    let j = json(&scene.ok("data stats omni --split lists:folder=lists --json"));
    assert_eq!((&j["parts"]["train"], &j["parts"]["test"]), (&12.into(), &4.into()));
    scene.ok(
        "train --data omni --sampler hierarchical:categories=2,classes=2,images=2 --out run --epochs 1 -q",
    );
    scene.write("omni/nothing/train.txt", b"\n");
    scene.refused("data show omni --split lists:folder=nothing", 1, &["name no class"]);
    scene.write("omni/lists/test.txt", b"Tibetan/character09/rot270\n");
    scene.refused(
        "data show omni --split lists:folder=lists",
        1,
        &["line 1", "no class 'Tibetan/character09'"],
    );
}

#[test]
fn a_whitened_start_is_a_model_and_can_be_learned_from() {
    let scene = Scene::new();
    class_folders(&scene);
    scene.ok("train --data pictures --start whitened --out run --threads 1 -q");
    scene.ok("train --data pictures --start whitened --out same --threads 2 -q");
    let read = |run: &str| std::fs::read(scene.path(run).join("last.safetensors")).unwrap();
    assert!(read("run") == read("same"), "threads changed the bits");
    let config = std::fs::read_to_string(scene.path("run/config.toml")).unwrap();
    assert!(config.contains("start = \"whitened\"") && config.contains("epochs = 0"), "{config}");
    let judged = json(&scene.ok("eval run --json -q"));
    assert_eq!(judged["spaces"]["feature"]["knn"]["1"]["accuracy"], 1.0, "{judged}");
    // No curve, for nothing was learned; all else is drawn.
    scene.ok("report run -o page.html -q");
    scene.ok("train --resume run --epochs 2 -q");
    assert!(read("run") != read("same"));
    // Ready-made features, and images without classes, which are alike to changed copies of themselves.
    let labels: Vec<u8> = (0..60i64).flat_map(|i| (i % 3).to_le_bytes()).collect();
    scene.write("features.npy", &npy(&[60, 8], "<f4", &features(60)));
    scene.write("features.labels.npy", &npy(&[60], "<i8", &labels));
    scene.ok("train --data features.npy --start whitened --out of-features -q");
    std::fs::create_dir(scene.path("flat")).unwrap();
    for i in 0..12 {
        picture(i % 3, i).save(scene.path(&format!("flat/{i}.png"))).unwrap();
    }
    scene.ok("train --data flat --start whitened --out of-none -q");
    scene.refused(
        "train --data pictures --start whitened --network plain --out x -q",
        1,
        &["linear(N)", "--network shallow"],
    );
    scene.refused(
        "train --data pictures --start whitened --embedding 4096 --out x -q",
        1,
        &["4096", "linear("],
    );
}
