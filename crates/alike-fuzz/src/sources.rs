//! Whatever holds images: tables, arrays, archives, pictures.

use crate::repair;
use crate::scratch::{Scratch, as_it_is, joined, parts, way};
use crate::seeds::pictures;
use alike::data::parquet::{Only, ParquetRows};
use alike::data::{
    DataPaths, Dataset, Decoding, Keep, OnError, Preparation, Quiet, Request, Table, column, decode, header,
    inspect, load, load_one_shot_runs, load_pictures, read_idx,
};
use alike::images::Shape;
use std::path::Path;

/// Where nothing is but what an input brings.
pub(crate) fn paths(scratch: &Scratch) -> DataPaths {
    DataPaths { cache: Some(scratch.at("cache")), offline: true, keep: Keep::Memory, ..DataPaths::default() }
}

/// What a data set of any bytes must hold.
fn sound(data: &Dataset) {
    for split in [&data.train, &data.test] {
        assert_eq!(split.images.len(), split.labels.len(), "a label for each image");
        assert!(
            split.labels.iter().all(|l| !data.labelled || (*l as usize) < data.classes.len()),
            "a label is of a class"
        );
        let mut scratch = Vec::new();
        for i in 0..split.len() {
            let image = split.images.image(i, &mut scratch);
            image.unwrap_or_else(|e| panic!("images of a set are there: {e}"));
        }
    }
    let _ = data.split_table();
}

/// One of the things that are done with a source before training, all of which read it whole.
fn used(scratch: &Scratch, path: &Path, bytes: &[u8]) {
    let request =
        Request { on_error: OnError::Skip, ..Request::from(path.to_string_lossy().into_owned().as_str()) };
    let paths = paths(scratch);
    let loaded = |request: &Request| {
        if let Ok(data) = load(request, &paths, &mut Quiet) {
            sound(&data);
        }
    };
    match way("use", bytes, 5) {
        0 | 1 => loaded(&request),
        2 => loaded(&Request { nested: true, split: "class".parse().ok(), ..request }),
        3 => {
            let _ = inspect(&request, &paths, &mut Quiet);
            let _ = column(&request, &paths, "group");
        }
        _ => {
            let small = Preparation::exact(Shape { h: 8, w: 8, c: 1 });
            let _ = load_pictures(&[path.to_owned()], &small, false, OnError::Skip, &paths, &mut Quiet);
        }
    }
}

pub(crate) fn manifest(bytes: &[u8]) {
    let scratch = Scratch::new();
    scratch.write("1.png", pictures::png());
    scratch.write("b/2.bmp", pictures::bmp());
    let ending = ["csv", "jsonl"][way("ending", bytes, 2) as usize];
    let path = scratch.write(&format!("pictures.{ending}"), bytes);
    let _ = Table::read(&path);
    let _ = Table::columns_of(&path, &bytes[..bytes.len().min(100)]);
    used(&scratch, &path, bytes);
}

pub(crate) fn idx(bytes: &[u8]) {
    let scratch = Scratch::new();
    let files: [&[u8]; 4] = parts(bytes);
    for (name, content) in alike::data::IDX_FILES.iter().zip(files) {
        let path = scratch.write(&format!("set/{name}"), content);
        if let Ok(idx) = read_idx(&path) {
            assert_eq!(idx.data.len(), idx.dims.iter().product::<usize>(), "as much as the header says");
        }
    }
    used(&scratch, &scratch.at("set"), bytes);
}

pub(crate) fn npy(bytes: &[u8]) {
    let scratch = Scratch::new();
    let [values, labels] = parts(bytes);
    let repaired = [values, labels].map(|file| repair::npy(file).unwrap_or_else(|| file.to_vec()));
    let path = scratch.at("x.npy");
    if as_it_is(bytes, &joined(&repaired)) {
        scratch.write("x.npy", values);
        used(&scratch, &path, bytes);
    }
    scratch.write("x.npy", &repaired[0]);
    scratch.write("x.labels.npy", &repaired[1]);
    used(&scratch, &path, bytes);
}

/// An archive, and where runs of one-shot classification may be.
fn archive(name: &str, bytes: &[u8]) {
    let scratch = Scratch::new();
    let path = scratch.write(name, bytes);
    if way("one-shot runs", bytes, 6) == 0 {
        let small = Preparation::exact(Shape { h: 8, w: 8, c: 1 });
        let _ = load_one_shot_runs(&path, &small, &paths(&scratch), &mut Quiet);
        return;
    }
    used(&scratch, &path, bytes);
}

/// Bytes as they are, and with sums and lengths put right.
fn archives([name, name_of_repaired]: [&str; 2], bytes: &[u8], repaired: &[u8]) {
    if as_it_is(bytes, repaired) {
        archive(name, bytes);
    }
    if repaired != bytes {
        archive(name_of_repaired, repaired);
    }
}

pub(crate) fn npz(bytes: &[u8]) {
    archives(["x.npz"; 2], bytes, &repair::zip(bytes));
}

pub(crate) fn zip(bytes: &[u8]) {
    archives(["x.zip"; 2], bytes, &repair::zip(bytes));
}

pub(crate) fn tar(bytes: &[u8]) {
    archives(["x.tar", "x.tar.gz"], bytes, &repair::tar(bytes));
}

pub(crate) fn cifar(bytes: &[u8]) {
    let scratch = Scratch::new();
    let [first, test, names, kinds] = parts(bytes);
    if way("kind", bytes, 2) == 0 {
        scratch.write("ten/data_batch_1.bin", first);
        scratch.write("ten/test_batch.bin", test);
        scratch.write("ten/batches.meta.txt", names);
        return used(&scratch, &scratch.at("ten"), bytes);
    }
    scratch.write("hundred/train.bin", first);
    scratch.write("hundred/test.bin", test);
    scratch.write("hundred/fine_label_names.txt", names);
    scratch.write("hundred/coarse_label_names.txt", kinds);
    used(&scratch, &scratch.at("hundred"), bytes);
}

pub(crate) fn parquet(bytes: &[u8]) {
    let scratch = Scratch::new();
    scratch.write("1.png", pictures::png());
    let path = scratch.write("pictures.parquet", bytes);
    if way("named columns", bytes, 4) > 0 {
        return used(&scratch, &path, bytes);
    }
    let named = ["path", "class", "vector"].map(str::to_owned).to_vec();
    let Ok(rows) = ParquetRows::open(&path, Only::Named(named)) else { return };
    let columns = rows.columns().len();
    // A file may claim any number of rows.
    for row in rows.take(10_000).map_while(Result::ok) {
        assert_eq!(row.len(), columns, "a cell a column");
    }
}

pub(crate) fn picture(bytes: &[u8]) {
    decoded(bytes);
    if let Some(repaired) = repair::png(bytes).filter(|r| r != bytes) {
        decoded(&repaired);
    }
}

fn decoded(bytes: &[u8]) {
    let head = header(bytes);
    let small: Preparation = "size=8x6,channels=3,resize=fit,crop=1,invert=true,stretch=true"
        .parse()
        .unwrap_or_else(|e| panic!("a preparation: {e}"));
    for how in [Decoding::default(), Decoding { stretch: true, ..Decoding::default() }, small.decoding()] {
        let Ok(picture) = decode(bytes, how) else { continue };
        let shape = picture.shape;
        assert_eq!(picture.pixels.len(), shape.len(), "as many pixels as the picture says");
        let said = head.as_ref().map(|h| (h.shape.h, h.shape.w));
        assert!(
            how.at_least.is_some() || said == Ok((shape.h, shape.w)),
            "its header says {said:?}, but it is {shape}"
        );
        let mut out = vec![0; small.shape.len()];
        let _ = small.apply(&picture, &mut out);
        let _ = picture.part([1, 1, 3, 3]).map(|part| part.turned(1));
    }
}
