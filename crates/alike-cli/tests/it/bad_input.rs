//! Bad input ends in one clear sentence, and nothing is half-written.

use crate::command::{Scene, idx};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::HashMap;

const IMAGES: &str = "data/train-images-idx3-ubyte";
const LABELS: &str = "data/train-labels-idx1-ubyte";

/// `data show` may look at a set that cannot be trained with.
#[track_caller]
fn refused_training(labels: Vec<u8>, words: &[&str]) {
    let scene = Scene::new();
    scene.write(LABELS, &idx(&[90], labels));
    let before = scene.files();
    scene.refused("train --data data --recipe seed --out run", 1, words);
    assert!(scene.files() == before, "something was written");
    scene.ok("data show data -o sheet.png");
}

#[track_caller]
fn refused_data(spoil: impl FnOnce(&Scene), words: &[&str]) {
    let scene = Scene::new();
    spoil(&scene);
    let before = scene.files();
    scene.refused("train --data data --recipe seed --out run", 1, words);
    scene.refused("data show data -o sheet.png", 1, words);
    assert!(scene.files() == before, "something was written");
}

#[test]
fn idx_files_that_are_missing_empty_cut_long_or_lying() {
    let train = "train-images-idx3-ubyte";
    refused_data(|s| std::fs::remove_file(s.path(IMAGES)).unwrap(), &[train, "is missing"]);
    refused_data(|s| drop(s.write(IMAGES, b"")), &[train, "usable IDX"]);
    refused_data(|s| drop(s.write(IMAGES, b"not an idx file at all")), &[train, "usable IDX"]);
    refused_data(|s| drop(s.write(IMAGES, &idx(&[90, 12, 10], vec![0; 100]))), &[train, "usable IDX"]);
    refused_data(
        |s| drop(s.write(IMAGES, &idx(&[90, 12, 10], vec![0; 90 * 120 + 1]))),
        &[train, "usable IDX"],
    );
    refused_data(
        |s| drop(s.write(IMAGES, &idx(&[1 << 31, 1 << 31, 1 << 31], vec![0; 8]))),
        &[train, "--limit array="],
    );
    refused_data(|s| drop(s.write(IMAGES, &idx(&[0, 12, 10], vec![]))), &[train, "no images"]);
    refused_data(|s| drop(s.write(LABELS, &idx(&[89], vec![0; 89]))), &["90 images, but 89 labels"]);
}

#[test]
fn one_class_and_one_image_of_a_class() {
    refused_training(vec![1; 90], &["two classes", "class '1'"]);
    let lonely = (0..90).map(|i| u8::from(i > 0)).collect();
    refused_training(lonely, &["class '0' has only one image", "--exclude-class 0"]);
}

#[test]
fn settings_that_cannot_be() {
    let scene = Scene::new();
    let before = scene.files();
    scene.refused("train --data data --recipe seed --out run --epochs 0", 1, &["epochs cannot be 0"]);
    scene.refused(
        "train --data data --recipe seed --out run --batch-size 91",
        1,
        &["--batch-size", "90 training images"],
    );
    scene.refused("train --data data --recipe seed --out run --batch-size 0", 1, &["batch-size cannot be 0"]);
    scene.refused("train --data data --recipe seed --out run --margin NaN", 1, &["margin=NaN"]);
    scene.refused("train --data data --recipe seed --out run --loss circel", 1, &["did you mean 'circle'"]);
    scene.refused(
        "train --data data --recipe seed --out run --loss circle:gama=3",
        1,
        &["did you mean 'gamma'"],
    );
    scene.refused(
        "train --data data --recipe seed --out run --miner semihard",
        1,
        &["did you mean 'semi-hard'"],
    );
    scene.refused("train --data data --recipe seed --out run --sampler pk:99x2", 1, &["99 classes"]);
    scene.refused(
        "train --data data --recipe seed --out run --distance cosin",
        2,
        &["did you mean 'cosine'"],
    );
    scene.refused(
        "train --data data --recipe seed --out run --loss circle --distance euclidean",
        1,
        &["cosine only"],
    );
    scene.refused("train --data data --recipe seed --out run --augment affine:shift=7", 1, &["shift"]);
    scene.refused("train --data data --recipe seed --out run --loss vicreg", 1, &["--self-supervised"]);
    scene.refused("losses cirle", 1, &["did you mean 'circle'"]);
    scene.refused(
        "train --data data --recipe seed --out run --exclude-class 7",
        1,
        &["no class '7'", "0, 1, 2"],
    );
    scene.refused("train --data data --recipe seed --out run --exclude-class 0,1", 1, &["two classes"]);
    scene.refused("train --data data --recipe seed --out run --network covn(3)", 1, &["did you mean 'conv'"]);
    scene.refused("train --data nowhere --out run", 1, &["no data set called 'nowhere'"]);
    scene.refused("train --data mnits --out run", 1, &["did you mean 'mnist'"]);
    scene.refused(
        "train --data mnist --offline --out run",
        1,
        &["'mnist' is not on this machine", "by hand"],
    );
    scene.refused("train --data digits:train=0 --out run", 1, &["train is from 1"]);
    scene.refused("train --data digits:trian=9 --out run", 1, &["did you mean 'train'"]);
    scene.refused("train --out run", 2, &["--data"]);
    scene.refused("train --data data --recipe seed --out run --epochs many", 2, &["many"]);
    scene.refused("trian --data data", 2, &["train"]);
    assert!(scene.files() == before, "something was written");
}

#[test]
fn folders_that_are_no_runs_and_runs_that_are_damaged() {
    let scene = Scene::new();
    for verb in ["eval", "report", "model show", "train --resume"] {
        scene.refused(&format!("{verb} data"), 1, &["data is not a run folder", "config.toml"]);
        scene.refused(&format!("{verb} nowhere"), 1, &["nowhere is not a run folder"]);
    }
    scene.train("");
    let weights = scene.path("run/last.safetensors");
    let whole = std::fs::read(&weights).unwrap();

    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    scene.refused("eval run", 1, &["last.safetensors"]);

    // NaN weights; a shape that is not the specification's; a version of the future.
    type Change = fn(&str, &mut Vec<u8>, &mut Vec<usize>);
    let rewrite = |change: Change, version: bool| {
        let tensors = SafeTensors::deserialize(&whole).unwrap();
        let (_, header) = SafeTensors::read_metadata(&whole).unwrap();
        let mut notes: HashMap<String, String> = header.metadata().clone().unwrap();
        if version {
            for text in notes.values_mut() {
                *text = text.replace("\"version\":1", "\"version\":99");
            }
        }
        let mut all: Vec<(String, Vec<u8>, Vec<usize>)> = tensors
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, view.data().to_vec(), view.shape().to_vec()))
            .collect();
        for (name, data, shape) in &mut all {
            change(name, data, shape);
        }
        let views = all.iter().map(|(name, data, shape)| {
            (name.clone(), TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
        });
        std::fs::write(&weights, safetensors::serialize(views, Some(notes)).unwrap()).unwrap();
    };
    rewrite(
        |name, data, _| {
            if name.ends_with("weight") {
                data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
            }
        },
        false,
    );
    scene.refused("eval run", 1, &["last.safetensors", "not a finite number"]);
    let shorter = |name: &str, data: &mut Vec<u8>, shape: &mut Vec<usize>| {
        if name.ends_with("bias") {
            data.truncate(4);
            *shape = vec![1];
        }
    };
    rewrite(shorter, false);
    scene.refused("eval run", 1, &["last.safetensors", "bias"]);
    rewrite(|_, _, _| {}, true);
    scene.refused("eval run", 1, &["last.safetensors", "format 99", "newer alike"]);

    std::fs::write(&weights, &whole).unwrap();
    scene.ok("eval run");
    std::fs::remove_file(&weights).unwrap();
    scene.refused("eval run", 1, &["stopped before the first checkpoint"]);
    scene.write("run/config.toml", b"[train]\nepocs = 3\n");
    scene.refused("eval run", 1, &["config.toml", "epocs"]);
}

#[test]
fn outputs_that_exist_are_left_alone_without_force() {
    let scene = Scene::new();
    scene.train("");
    scene.write("page.html", b"mine");
    scene.write("out.npy", b"mine");
    scene.write("sheet.png", b"mine");
    scene.write("full/notes.txt", b"mine");
    let before = scene.files();
    scene.refused("train --data data --recipe seed --out run", 1, &["run exists already", "--force"]);
    scene.refused("train --data data --recipe seed --out full --force", 1, &["full exists already"]);
    scene.refused("report run -o page.html", 1, &["page.html exists already", "--force"]);
    scene.refused("embed run nothing.png -o out.npy", 1, &["out.npy exists already", "--force"]);
    scene.refused("data show data -o sheet.png", 1, &["sheet.png exists already", "--force"]);
    assert!(scene.files() == before, "something was written");
    scene.ok("data show data -o sheet.png --force");
    scene.train("--force");
}

#[test]
fn questions_that_a_run_cannot_answer() {
    let scene = Scene::new();
    scene.train("");
    scene.refused("eval run --k 91", 1, &["k = 91", "90 images"]);
    scene.refused("eval run --k 0", 1, &["k = 0"]);
    scene.refused("report run --unseen run -o p.html", 1, &["excluded no class"]);
    scene.refused("data show data -o sheet.jpg", 1, &["sheet.jpg", ".png"]);
    scene.refused("embed run nothing.png -o out.npy", 1, &["nothing.png"]);
    scene.write("text.png", b"no picture");
    scene.refused("embed run text.png -o out.npy", 1, &["text.png"]);
    scene.write("empty/readme.txt", b"");
    scene.refused("embed run empty -o out.npy", 1, &["empty cannot be used: it holds no pictures"]);
    // The data changed under the run.
    for split in ["train", "t10k"] {
        let n = if split == "train" { 90 } else { 30 };
        scene.write(&format!("data/{split}-images-idx3-ubyte"), &idx(&[n, 5, 5], vec![7; n * 25]));
    }
    scene.refused("eval run", 1, &["5x5x1", "12x10x1"]);
    assert!(!scene.path("out.npy").exists() && !scene.path("p.html").exists());
}

#[test]
fn a_toml_file_with_a_wrong_name_is_refused_with_the_nearest_right_one() {
    let scene = Scene::new();
    scene.write("a.toml", b"[train]\nepocs = 3\n");
    scene.refused("train --data data --out run --config a.toml", 2, &["'epocs'", "did you mean 'epochs'"]);
    scene.write("a.toml", b"[trian]\nepochs = 3\n");
    scene.refused("train --data data --out run --config a.toml", 2, &["[trian]", "did you mean 'train'"]);
    scene.write("a.toml", b"[train\n");
    scene.refused("train --data data --out run --config a.toml", 2, &["a.toml is not TOML: line 1: "]);
    scene.refused("train --data data --out run --config b.toml", 2, &["cannot read b.toml"]);
}
