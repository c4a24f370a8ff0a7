//! NumPy arrays: images, or ready-made features.
//!
//! An `.npz` holds `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`. An `.npy` holds images or features, and its
//! labels lie beside it in `NAME.labels.npy` or in a `labels.npy`, if there are any. Bytes of `n x h x w`, `n x h x w x c` or
//! `n x c x h x w` are images; `n x d` floats are features.

use super::wrong;
use crate::data::DataError;
use crate::data::listing::{Content, Entry, Listing, Part, Place};
use crate::files;
use crate::images::{Images, Shape};
use npyz::{DType, NpyFile};
use std::io::Read;
use std::path::Path;

const IMAGES: [&str; 6] = ["x", "images", "features", "embeddings", "data", "arr_0"];
const LABELS: [&str; 5] = ["y", "labels", "targets", "label", "arr_1"];

enum Array {
    Bytes { dims: Vec<usize>, data: Vec<u8> },
    Floats { dims: Vec<usize>, data: Vec<f32> },
    Whole { dims: Vec<usize>, data: Vec<i64> },
}

/// No array is larger.
const MOST: u64 = 1 << 36;

fn parse(path: &Path, name: &str, bytes: &[u8]) -> Result<Array, DataError> {
    let refuse = |why: String| Err(wrong(path, format!("{name} {why}")));
    let npy = match NpyFile::new(bytes) {
        Ok(npy) => npy,
        Err(e) => return refuse(format!("is damaged or no NumPy array ({e})")),
    };
    if npy.order() != npyz::Order::C && npy.shape().len() > 1 {
        return refuse("is stored column by column; save it with numpy.ascontiguousarray".into());
    }
    let dims: Vec<usize> = npy.shape().iter().map(|d| *d as usize).collect();
    let size = match npy.dtype() {
        DType::Plain(t) => t.num_bytes().unwrap_or(0) as u64,
        _ => 0,
    };
    // The header is believed as far as the bytes bear it out.
    let claimed = npy.shape().iter().try_fold(size, |n, d| n.checked_mul(*d)).unwrap_or(u64::MAX);
    if claimed > MOST || claimed > bytes.len() as u64 {
        return refuse("ends before its own header says".into());
    }
    let kind = match npy.dtype() {
        DType::Plain(t) => t.to_string().trim_start_matches(['<', '>', '|', '=']).to_owned(),
        _ => "records".to_owned(),
    };
    macro_rules! read {
        ($t:ty) => {
            npy.into_vec::<$t>().map_err(|e| match e.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    wrong(path, format!("{name} ends before its own header says"))
                }
                _ => wrong(path, format!("{name} cannot be read ({e})")),
            })?
        };
    }
    Ok(match kind.as_str() {
        "u1" => Array::Bytes { dims, data: read!(u8) },
        "f4" => Array::Floats { dims, data: read!(f32) },
        "f8" => Array::Floats { dims, data: read!(f64).into_iter().map(|v| v as f32).collect() },
        "i8" => Array::Whole { dims, data: read!(i64) },
        "u8" => Array::Whole { dims, data: read!(u64).into_iter().map(|v| v as i64).collect() },
        "i4" => Array::Whole { dims, data: read!(i32).into_iter().map(i64::from).collect() },
        "u4" => Array::Whole { dims, data: read!(u32).into_iter().map(i64::from).collect() },
        "i2" => Array::Whole { dims, data: read!(i16).into_iter().map(i64::from).collect() },
        "u2" => Array::Whole { dims, data: read!(u16).into_iter().map(i64::from).collect() },
        "i1" => Array::Whole { dims, data: read!(i8).into_iter().map(i64::from).collect() },
        other => {
            return refuse(format!("holds values of type {other}; bytes, whole numbers and floats are read"));
        }
    })
}

pub(super) fn open(path: &Path) -> Result<Listing, DataError> {
    let npz = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    let mut parts = Vec::new();
    if npz {
        let (archive, members) = super::archive::zip_members(path, 0)?;
        let Content::Zip(mut zip) = archive.content else { return Err(wrong(path, "it is no zip archive")) };
        let names: Vec<String> =
            members.iter().filter_map(|m| m.name.strip_suffix(".npy")).map(str::to_owned).collect();
        let mut get = |name: &str| -> Result<Array, DataError> {
            let mut bytes = Vec::new();
            let file =
                zip.by_name(&format!("{name}.npy")).map_err(|e| wrong(path, format!("{name}: {e}")))?;
            file.take(MOST).read_to_end(&mut bytes).map_err(|e| wrong(path, format!("{name}: {e}")))?;
            parse(path, name, &bytes)
        };
        for (suffix, part) in [
            ("_train", Some(Part::Train)),
            ("_val", Some(Part::Validation)),
            ("_test", Some(Part::Test)),
            ("", None),
        ] {
            let find = |list: &[&str]| {
                let mut full = list.iter().map(|n| format!("{n}{suffix}"));
                full.find(|n| names.contains(n))
            };
            if suffix.is_empty() && !parts.is_empty() {
                break;
            }
            if let Some(x) = find(&IMAGES) {
                let labels = find(&LABELS).map(|y| get(&y)).transpose()?;
                parts.push((part, x.clone(), get(&x)?, labels));
            }
        }
        if parts.is_empty() {
            return Err(wrong(
                path,
                format!("it has no array called {} (it has: {})", IMAGES.join(", "), names.join(", ")),
            ));
        }
    } else {
        let array = parse(path, "it", &files::read(path)?)?;
        let own = path.with_extension("labels.npy");
        let beside = path.with_file_name("labels.npy");
        let labels = [own, beside].into_iter().find(|p| p.is_file() && p != path);
        let labels =
            labels.map(|p| files::read(&p).map_err(DataError::from).and_then(|b| parse(&p, "it", &b)));
        parts.push((None, String::new(), array, labels.transpose()?));
    }
    gather(path, parts)
}

fn gather(
    path: &Path,
    parts: Vec<(Option<Part>, String, Array, Option<Array>)>,
) -> Result<Listing, DataError> {
    let mut listing = Listing::default();
    let (mut bytes, mut floats) = (Vec::new(), Vec::new());
    let mut found: Option<(Shape, bool)> = None;
    for (part, name, array, labels) in parts {
        let called = if name.is_empty() { "it" } else { &name };
        let (shape, float, n) = match array {
            Array::Bytes { dims, data } => {
                let (shape, data) = picture(&dims, data).ok_or_else(|| {
                    wrong(
                        path,
                        format!("{called} has the shape {dims:?}, which is not n x h x w or n x h x w x c"),
                    )
                })?;
                bytes.extend(data);
                (shape, false, dims[0])
            }
            Array::Floats { dims, data } => {
                let [n, d] = dims[..] else {
                    let why = format!(
                        "{called} has the shape {dims:?} of floats: features are n x d, and images are bytes \
                         (numpy.uint8, from 0 to 255)"
                    );
                    return Err(wrong(path, why));
                };
                if d == 0 || d > 1 << 14 {
                    return Err(wrong(path, format!("{called} has {d} numbers a row; 1 to 16384 are read")));
                }
                if let Some(i) = data.iter().position(|v| !v.is_finite()) {
                    return Err(wrong(path, format!("{called}: row {} holds {}", i / d, data[i])));
                }
                floats.extend(data);
                (Shape { h: 1, w: 1, c: d }, true, n)
            }
            Array::Whole { .. } => {
                let why = format!(
                    "{called} holds whole numbers; images are bytes (numpy.uint8) and features floats"
                );
                return Err(wrong(path, why));
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
        let classes: Option<Vec<String>> = match labels {
            None => None,
            Some(Array::Whole { dims, data }) if dims.len() == 1 => {
                Some(data.iter().map(i64::to_string).collect())
            }
            Some(Array::Bytes { dims, data }) if dims.len() == 1 => {
                Some(data.iter().map(u8::to_string).collect())
            }
            Some(_) => return Err(wrong(path, "labels are one dimension of whole numbers")),
        };
        if let Some(classes) = classes.as_ref().filter(|c| c.len() != n) {
            return Err(wrong(path, format!("{called} has {n} images, but {} labels", classes.len())));
        }
        for i in 0..n {
            let row = listing.entries.len() as u32;
            let entry = Entry::new(
                if name.is_empty() { i.to_string() } else { format!("{name}/{i}") },
                Place::Row(row),
            );
            listing.entries.push(Entry { class: classes.as_ref().map(|c| c[i].clone()), part, ..entry });
        }
    }
    listing.rows =
        found.map(
            |(shape, float)| {
                if float { Images::from_features(shape.c, &floats) } else { Images::new(shape, bytes) }
            },
        );
    Ok(listing)
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
