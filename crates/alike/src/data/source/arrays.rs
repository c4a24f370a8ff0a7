//! NumPy arrays: images, or ready-made features.
//!
//! An `.npz` holds `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test` (`train_images`, `train_labels`...). An `.npy`
//! holds images or features, and its labels lie beside it in `NAME.labels.npy` or in a `labels.npy`, if there are any. Bytes
//! of `n x h x w`, `n x h x w x c` or `n x c x h x w` are images, and so are truths; `n x d` floats of any size are features.
//! Labels are whole numbers, floats that are whole, truths or text, one a row. An `.npz` may also hold `paths` and `groups` (`paths_train`...), one a row;
//! other arrays are named as not used. A table beside the file says more of its rows: see [`super::described`].

use super::described::described;
use super::npy::Array;
use super::{Asked, Found, Kind, Wish, wrong};
use crate::data::listing::{Content, Entry, Listing, Part, Place};
use crate::data::{DataError, Progress};
use crate::files;
use crate::images::{Images, Shape};
use crate::limits::{Limit, LimitError};
use std::io::Read;
use std::path::Path;

const IMAGES: [&str; 7] = ["x", "images", "features", "embeddings", "data", "imgs", "arr_0"];
const LABELS: [&str; 5] = ["y", "labels", "targets", "label", "arr_1"];
const PATHS: [&str; 4] = ["paths", "path", "files", "names"];
const GROUPS: [&str; 2] = ["groups", "group"];
/// The most numbers of a feature.
const LONGEST: usize = 1 << 14;

/// An array, or an archive of several.
pub(super) struct Arrays;

impl Kind for Arrays {
    fn endings(&self) -> &'static [&'static str] {
        &[".npy", ".npz"]
    }

    fn list(&self, asked: &Asked<'_>, wish: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        described(asked.path, open(asked.path)?, &wish).map(Found::from)
    }
}

/// An array of images or features with its labels.
struct Rows {
    part: Option<Part>,
    /// The array's name in an archive.
    name: String,
    array: Array,
    labels: Option<Vec<String>>,
    paths: Option<Vec<String>>,
    groups: Option<Vec<String>>,
}

fn parse(path: &Path, name: &str, bytes: Vec<u8>) -> Result<Array, DataError> {
    Array::parse(bytes).map_err(|why| wrong(path, format!("{name} {why}")))
}

fn labels(path: &Path, name: &str, array: &Array) -> Result<Vec<String>, DataError> {
    array.labels().map_err(|why| wrong(path, format!("{name} {why}")))
}

fn open(path: &Path) -> Result<Listing, DataError> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz")) {
        return archive(path);
    }
    let array = parse(path, "it", files::read(path, Limit::Array)?)?;
    let own = path.with_extension("labels.npy");
    let beside = path.with_file_name("labels.npy");
    let given = [own, beside].into_iter().find(|p| p.is_file() && p != path);
    let labels =
        given.map(|p| labels(&p, "it", &parse(&p, "it", files::read(&p, Limit::Array)?)?)).transpose()?;
    gather(path, vec![Rows { part: None, name: String::new(), array, labels, paths: None, groups: None }])
}

/// The name of an array without its part, in small letters: `X_train` and `train_x` are `x` of the training part.
fn apart(name: &str) -> (String, Option<Part>) {
    let name = name.to_ascii_lowercase();
    let pieces = [name.rsplit_once('_'), name.split_once('_').map(|(part, rest)| (rest, part))];
    let found =
        pieces.into_iter().flatten().find_map(|(rest, part)| Some((rest, super::arrange::part(part)?)));
    match found {
        Some((rest, part)) => (rest.to_owned(), Some(part)),
        None => (name, None),
    }
}

fn archive(path: &Path) -> Result<Listing, DataError> {
    let (archive, members) = super::archive::zip_members(path, 0)?;
    let Content::Zip(mut zip) = archive.content else { return Err(wrong(path, "it is no zip archive")) };
    let names: Vec<&str> = members.iter().filter_map(|m| m.name.strip_suffix(".npy")).collect();
    let mut get = |name: &str| -> Result<Array, DataError> {
        let file = zip.by_name(&format!("{name}.npy")).map_err(|e| wrong(path, format!("{name}: {e}")))?;
        let len = file.size();
        let limited = |error: LimitError| DataError::Limit { path: path.to_owned(), error };
        Limit::Member.check(len, || format!("{name} is too large")).map_err(limited)?;
        let mut bytes = Vec::with_capacity(len as usize);
        file.take(len).read_to_end(&mut bytes).map_err(|e| wrong(path, format!("{name}: {e}")))?;
        parse(path, name, bytes)
    };
    let find = |list: &[&str], part: Option<Part>| {
        let called = |wanted: &&str| {
            names.iter().copied().find(|n| {
                let (rest, of) = apart(n);
                rest == **wanted && of == part
            })
        };
        list.iter().find_map(called)
    };
    let (mut parts, mut used) = (Vec::new(), Vec::new());
    for part in [Some(Part::Train), Some(Part::Validation), Some(Part::Test), None] {
        if part.is_none() && !parts.is_empty() {
            break;
        }
        if let Some(x) = find(&IMAGES, part) {
            let texts = [&LABELS[..], &PATHS, &GROUPS].map(|names| find(names, part));
            used.extend([Some(x)].into_iter().chain(texts).flatten());
            let mut read = |at: Option<&str>| at.map(|name| labels(path, name, &get(name)?)).transpose();
            let [labels, paths, groups] = [read(texts[0])?, read(texts[1])?, read(texts[2])?];
            parts.push(Rows { part, name: x.to_owned(), array: get(x)?, labels, paths, groups });
        }
    }
    if parts.is_empty() {
        return Err(wrong(
            path,
            format!("it has no array called {} (it has: {})", IMAGES.join(", "), names.join(", ")),
        ));
    }
    let mut notes = Vec::new();
    if parts.iter().any(|p| p.labels.is_some()) {
        notes
            .extend(parts.iter().filter(|p| p.labels.is_none()).map(|p| format!("{} has no labels", p.name)));
    }
    let others: Vec<&str> = names.iter().copied().filter(|n| !used.contains(n)).collect();
    if !others.is_empty() {
        notes.push(format!("arrays that are not used: {}", others.join(", ")));
    }
    Ok(Listing { notes, ..gather(path, parts)? })
}

fn gather(path: &Path, parts: Vec<Rows>) -> Result<Listing, DataError> {
    let mut listing = Listing::default();
    let (mut bytes, mut floats) = (Vec::new(), Vec::new());
    let mut found: Option<(Shape, bool)> = None;
    let named = parts.iter().any(|rows| rows.paths.is_some());
    for Rows { part, name, array, labels, paths, groups } in parts {
        let called = if name.is_empty() { "it" } else { &name };
        let refuse = |why: String| wrong(path, format!("{called} {why}"));
        let (shape, float, n) = match array.pixels() {
            Ok((dims, data)) => {
                let (shape, data) = picture(&dims, data).ok_or_else(|| {
                    refuse(format!("has the shape {dims:?}, which is not n x h x w or n x h x w x c"))
                })?;
                append(&mut bytes, data);
                (shape, false, dims[0])
            }
            Err(array) => {
                let (d, data) = features(&array).map_err(refuse)?;
                append(&mut floats, data);
                (Shape { h: 1, w: 1, c: d }, true, array.dims[0])
            }
        };
        match found {
            Some(before) if before != (shape, float) => {
                return Err(wrong(
                    path,
                    format!("{called} has images of {shape}, another part of {}", before.0),
                ));
            }
            _ => found = Some((shape, float)),
        }
        for (what, list) in [("labels", &labels), ("paths", &paths), ("groups", &groups)] {
            if let Some(list) = list.as_ref().filter(|list| list.len() != n) {
                return Err(wrong(path, format!("{called} has {n} images, but {} {what}", list.len())));
            }
        }
        for i in 0..n {
            let row = listing.entries.len() as u32;
            let numbered = || if name.is_empty() { i.to_string() } else { format!("{name}/{i}") };
            let of = |list: &Option<Vec<String>>| list.as_ref().map(|list| list[i].clone());
            let entry = Entry::new(of(&paths).unwrap_or_else(numbered), Place::Row(row));
            listing.entries.push(Entry { class: of(&labels), group: of(&groups), part, ..entry });
        }
    }
    if named {
        listing.number_repeated();
    }
    listing.rows =
        found.map(
            |(shape, float)| {
                if float { Images::from_features(shape.c, &floats) } else { Images::new(shape, bytes) }
            },
        );
    Ok(listing)
}

/// Adds values; the first ones are not copied.
fn append<T>(all: &mut Vec<T>, mut more: Vec<T>) {
    if all.is_empty() { *all = more } else { all.append(&mut more) }
}

/// Numbers of features by row, or why the array holds none.
fn features(array: &Array) -> Result<(usize, Vec<f32>), String> {
    let (dims, kind) = (&array.dims, array.type_name());
    let [n, d] = dims[..] else {
        let advice = match array.range() {
            Some([least, most]) if least >= 0.0 && most <= 1.0 && array.is_float() => {
                "; of values from 0 to 1, save (255 * x).round().astype('uint8')".to_owned()
            }
            Some([least, most]) if least >= 0.0 && most <= 255.0 => {
                "; of values from 0 to 255, save x.round().astype('uint8')".to_owned()
            }
            Some([least, most]) => format!("; these values are from {least} to {most}"),
            None => String::new(),
        };
        return Err(format!(
            "has the shape {dims:?} of {kind}: features are n x d floats, and images are bytes (numpy.uint8, from 0 \
             to 255){advice}"
        ));
    };
    if !array.is_float() {
        let advice = if array.is_whole() { "; of features, save x.astype('float32')" } else { "" };
        return Err(format!("holds {kind}; images are bytes (numpy.uint8) and features floats{advice}"));
    }
    if d == 0 || d > LONGEST {
        return Err(format!("has {d} numbers a row; 1 to {LONGEST} are read"));
    }
    let data = array.floats();
    debug_assert_eq!(data.len(), n * d);
    match data.iter().position(|v| !v.is_finite()) {
        None => Ok((d, data)),
        Some(i) => Err(format!("is not finite in 32 bits: row {} holds {}", i / d, array.shown(i))),
    }
}

/// Channels last, whatever they were.
fn picture(dims: &[usize], data: Vec<u8>) -> Option<(Shape, Vec<u8>)> {
    let (shape, planar) = match *dims {
        [_, h, w] => (Shape { h, w, c: 1 }, false),
        [_, h, w, c @ (1 | 3)] => (Shape { h, w, c }, false),
        [_, c @ (1 | 3), h, w] => (Shape { h, w, c }, true),
        _ => return None,
    };
    if shape.is_empty() {
        return None;
    }
    if !planar {
        return Some((shape, data));
    }
    let plane = shape.h * shape.w;
    let turned = data
        .chunks_exact(shape.len())
        .flat_map(|image| (0..plane).flat_map(move |i| (0..shape.c).map(move |c| image[c * plane + i])))
        .collect();
    Some((shape, turned))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What NumPy wrote: `fixtures/arrays.py`.
    fn fixture(name: &str) -> Result<Listing, DataError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/arrays");
        open(&folder.join(format!("{name}.npz")))
    }

    fn classes(listing: &Listing) -> String {
        listing.entries.iter().map(|e| e.class.as_deref().unwrap_or("-")).collect()
    }

    fn rows(listing: &Listing) -> Vec<Vec<u8>> {
        let rows = listing.rows.as_ref().unwrap();
        (0..rows.len()).map(|i| rows.image(i, &mut Vec::new()).unwrap().to_vec()).collect()
    }

    /// Features `i + k / 4`, six rows of three, as they are kept.
    fn features() -> Vec<Vec<u8>> {
        let row = |i: usize| (0..3).flat_map(move |k| (i as f32 + k as f32 / 4.0).to_ne_bytes()).collect();
        (0..6).map(row).collect()
    }

    #[test]
    fn features_of_every_type_and_order_are_the_same() {
        for order in ["little", "big"] {
            for size in [2, 4, 8] {
                let listing = fixture(&format!("features-{order}{size}")).unwrap();
                assert_eq!(rows(&listing), features(), "{order} {size}");
                assert_eq!(classes(&listing), "010101");
            }
        }
        assert_eq!(rows(&fixture("features-fortran").unwrap()), features());
    }

    #[test]
    fn labels_of_every_type_are_the_same() {
        for kind in ["i1", "u1", "big-i2", "u2", "i4", "big-u4", "big-i8", "u8", "f2", "f4", "big-f8"] {
            assert_eq!(classes(&fixture(&format!("labels-{kind}")).unwrap()), "010101", "{kind}");
        }
        assert_eq!(classes(&fixture("labels-column").unwrap()), "010101");
        assert_eq!(classes(&fixture("labels-truth").unwrap()), "falsetrue".repeat(3));
        for kind in ["text", "text-big", "bytes"] {
            assert_eq!(classes(&fixture(&format!("labels-{kind}")).unwrap()), "ababab", "{kind}");
        }
    }

    #[test]
    fn images_of_every_layout_are_the_same() {
        let right: Vec<Vec<u8>> = (0..6u8).map(|i| (0..8).map(|at| 10 * i + at).collect()).collect();
        for name in ["images", "images-fortran", "images-channel", "images-planes"] {
            let listing = fixture(name).unwrap();
            assert_eq!(rows(&listing), right, "{name}");
            assert_eq!(listing.rows.unwrap().shape(), Shape { h: 2, w: 4, c: 1 }, "{name}");
        }
        let truth = |v: &u8| if v % 2 == 1 { 255 } else { 0 };
        let right: Vec<Vec<u8>> = right.iter().map(|r| r.iter().map(truth).collect()).collect();
        assert_eq!(rows(&fixture("images-truth").unwrap()), right);
    }

    #[test]
    fn parts_are_told_by_name_and_what_is_not_used_is_said() {
        let parts = |listing: &Listing| listing.entries.iter().map(|e| e.part).collect::<Vec<_>>();
        let (train, val, test) = (Some(Part::Train), Some(Part::Validation), Some(Part::Test));
        let listing = fixture("parts").unwrap();
        assert_eq!(parts(&listing), [train, train, train, train, test, test]);
        assert_eq!((classes(&listing).as_str(), rows(&listing)), ("010101", features()));
        assert_eq!(listing.notes, ["arrays that are not used: more"]);
        let listing = fixture("parts-first").unwrap();
        assert_eq!(parts(&listing), [train, train, train, val, test, test]);
        assert_eq!(classes(&listing), "010101");
    }

    #[test]
    fn rows_have_paths_and_groups_where_they_are_given() {
        let texts = |each: &[&str; 2]| npy("|S3", "2,", each.concat().as_bytes());
        let numbers = npy("<f4", "2, 2", &[0; 16]);
        let path = npz(&[
            ("x.npy", numbers.clone()),
            ("paths.npy", texts(&["a/1", "a/2"])),
            ("groups.npy", texts(&["one", "two"])),
        ]);
        let listing = open(&path).unwrap();
        let told: Vec<(&str, Option<&str>)> =
            listing.entries.iter().map(|e| (e.name.as_str(), e.group.as_deref())).collect();
        assert_eq!(told, [("a/1", Some("one")), ("a/2", Some("two"))]);
        assert!(listing.notes.is_empty(), "{:?}", listing.notes);
        let short = npz(&[("x.npy", numbers), ("paths.npy", npy("|S3", "1,", b"a/1"))]);
        assert!(open(&short).unwrap_err().to_string().contains("has 2 images, but 1 paths"));
    }

    #[test]
    fn what_is_neither_images_nor_features_is_refused_with_what_to_do() {
        for (name, why) in [
            ("nan", "row 3 holds NaN"),
            ("large", "row 3 holds 1000"),
            ("object", "Python objects"),
            ("half-labels", "row 1 holds 0.5"),
            ("one-of-two", "numpy.argmax"),
            ("float-images", "(255 * x).round().astype('uint8')"),
            ("wide-images", "x.round().astype('uint8')"),
            ("whole-features", "x.astype('float32')"),
            ("complex", "<c8"),
        ] {
            let error = fixture(&format!("refused-{name}")).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let len = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &len[..], header.as_bytes(), data].concat()
    }

    fn npz(arrays: &[(&str, Vec<u8>)]) -> tempfile::TempPath {
        let path = tempfile::Builder::new().suffix(".npz").tempfile().unwrap().into_temp_path();
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (name, bytes) in arrays {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn load(path: &Path) -> Result<crate::data::Dataset, DataError> {
        let paths =
            crate::data::DataPaths { keep: crate::data::Keep::Memory, offline: true, ..Default::default() };
        let request = path.to_str().unwrap().into();
        crate::data::load(&request, &paths, &mut crate::data::Quiet)
    }

    #[test]
    fn rows_without_a_class_do_not_shift_the_others() {
        let x = |from: u8| npy("|u1", "2, 1, 2", &[from, from + 1, from + 2, from + 3]);
        let path =
            npz(&[("x_train.npy", x(10)), ("x_test.npy", x(50)), ("y_test.npy", npy("|u1", "2,", &[0, 1]))]);
        let data = load(&path).unwrap();
        let image = |i: usize| data.test.images.image(i, &mut Vec::new()).unwrap().to_vec();
        assert_eq!((data.train.len(), data.test.len()), (0, 2));
        assert_eq!([image(0), image(1)], [[50, 51], [52, 53]]);
    }
}
