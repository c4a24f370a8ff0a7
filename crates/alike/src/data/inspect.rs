//! A data set's condition: counts, sizes, what cannot be read, what is there twice.

use super::decode::{Decoded, Decoding, header};
use super::listing::{Entry, LeftOut, Listing, Part};
use super::load::split;
use super::prepare::Resize;
use super::reader::{EntryError, Reader};
use super::source::{path_of, set_aside_classless};
use super::survey::Survey;
use super::{
    DataError, DataPaths, Dataset, Failure, Preparation, Progress, Request, Unit, list, same_picture,
};
use crate::files::FileError;
use crate::images::Shape;
use crate::limits::COMPARING;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Images of a class from which both training and judging can learn something.
const ENOUGH: usize = 5;
/// Bits by which the perceptual hashes of near duplicates differ, at most: then two agree in one quarter at least.
const BITS: u32 = 3;
/// By how much their thumbnails differ, as a share of what each differs from its own mean: those are looked at more closely.
const DIFFERENCE: f64 = 0.2;
/// Formats that lose something.
pub(super) const LOSSY: [&str; 2] = ["JPEG", "WebP"];
/// Side of a thumbnail.
const THUMB: usize = 16;
/// Images of one quarter of a hash that each is compared with: sets of blank pages must end some day.
const COMPARED: usize = 300;
/// Bytes of pictures that all threads together compare pixel by pixel; a larger pair is alone.
pub(super) const MOST_COMPARED: u64 = 128 << 20;

/// What `alike data stats` tells.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inspection {
    /// What the user called it.
    pub name: String,
    /// Pictures that were found: those that are images of the set, and those left out.
    pub found: usize,
    /// Images of the set, those that cannot be read among them.
    pub images: usize,
    /// Pictures that are no images of the set, by reason.
    pub left_out: Vec<LeftOut>,
    /// Files that are no pictures.
    pub ignored: usize,
    /// Pictures that this build cannot read, by kind.
    pub unread: BTreeMap<&'static str, usize>,
    /// Images by class; empty where there are no classes.
    pub classes: BTreeMap<String, usize>,
    /// Images by part, where the source says.
    pub parts: BTreeMap<&'static str, usize>,
    /// Images by format.
    pub formats: BTreeMap<String, usize>,
    /// Images by height x width.
    pub sizes: BTreeMap<String, usize>,
    /// Images by channels and bits.
    pub channels: BTreeMap<String, usize>,
    /// What cannot be read.
    pub unreadable: Vec<Failure>,
    /// Names of images with the very same pixels.
    pub identical: Vec<Vec<String>>,
    /// Names of images that look the same, beside those that are.
    pub near: Vec<[String; 2]>,
    /// Identical or near images that are of different classes.
    pub across_classes: usize,
    /// Identical or near images, one of which is trained on while another is judged.
    pub across_parts: usize,
    /// Classes of few images.
    pub few: Vec<String>,
    /// The preparation that pictures would get.
    pub preparation: Option<String>,
    /// Why, and what else a user should know.
    pub notes: Vec<String>,
}

struct Look {
    format: String,
    size: String,
    channels: String,
    pixels: [u8; 16],
    hash: u64,
    thumb: Vec<u8>,
    /// Bytes of its pixels.
    bytes: u64,
}

/// Decodes every image of a source and counts.
///
/// # Errors
///
/// If there is no such source, or it cannot be listed, or not be split as asked for.
pub fn inspect(
    request: &Request,
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<Inspection, DataError> {
    let mut listing = list(request, paths, progress)?;
    set_aside_classless(&mut listing);
    let mut notes = std::mem::take(&mut listing.notes);
    notes.extend(listing.unread.sentences());
    if request.split.is_some() || listing.entries.iter().any(|e| e.part.is_some_and(|p| p != Part::Train)) {
        let labelled = listing.entries.iter().all(|e| e.class.is_some());
        let path = path_of(request, paths);
        notes.extend(split(&mut listing, request, path.as_deref(), labelled)?.1);
    }
    let entries = &listing.entries;
    let looks = look_at_all(&listing, progress);
    let mut all = Inspection {
        name: request.what.clone(),
        found: entries.len()
            + listing.left.iter().map(|l| l.count).sum::<usize>()
            + listing.unread.counts().values().sum::<usize>(),
        images: entries.len(),
        left_out: listing.left.clone(),
        ignored: listing.ignored,
        unread: listing.unread.counts(),
        classes: count(entries.iter().filter_map(|e| e.class.clone())),
        parts: count(entries.iter().filter_map(|e| {
            Some(match e.part? {
                Part::Train => "train",
                Part::Validation => "val",
                Part::Test => "test",
            })
        })),
        formats: BTreeMap::new(),
        sizes: BTreeMap::new(),
        channels: BTreeMap::new(),
        unreadable: Vec::new(),
        identical: Vec::new(),
        near: Vec::new(),
        across_classes: 0,
        across_parts: 0,
        few: Vec::new(),
        preparation: None,
        notes,
    };
    for (i, look) in looks.iter().enumerate() {
        match look {
            Ok(look) => {
                *all.formats.entry(look.format.clone()).or_default() += 1;
                *all.sizes.entry(look.size.clone()).or_default() += 1;
                *all.channels.entry(look.channels.clone()).or_default() += 1;
            }
            Err(why) => all.unreadable.push(Failure::new(i, &entries[i], why)),
        }
    }
    twice(&listing, &looks, &mut all);
    all.few = all.classes.iter().filter(|(_, n)| **n < ENOUGH).map(|(c, _)| c.clone()).collect();
    if listing.rows.is_none()
        && let Some(survey) = Survey::of(&listing)
    {
        let (preparation, why) = survey.preparation();
        all.preparation = Some(request.prepare.over(preparation).to_string());
        all.notes.push(why.join(", "));
    }
    Ok(all)
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|k| *counts.entry(k).or_default() += 1);
    counts
}

fn look_at_all(listing: &Listing, progress: &mut dyn Progress) -> Vec<Result<Look, EntryError>> {
    let mut looks = Vec::with_capacity(listing.entries.len());
    progress.begin("looking at images", Some(listing.entries.len() as u64), Unit::Images);
    for entries in listing.entries.chunks(512) {
        looks.par_extend(
            entries.par_iter().map_init(|| listing.reader(), |reader, entry| look(listing, reader, entry)),
        );
        progress.advance(entries.len() as u64);
    }
    progress.end();
    looks
}

fn look(listing: &Listing, reader: &mut Reader<'_>, entry: &Entry) -> Result<Look, EntryError> {
    let (format, bits) = match &listing.rows {
        Some(rows) if rows.are_floats() => {
            let d = rows.shape().c;
            let (format, size, channels) = ("features".into(), format!("{d} numbers"), "floats".into());
            return Ok(Look {
                format,
                size,
                channels,
                pixels: [0; 16],
                hash: 0,
                thumb: Vec::new(),
                bytes: 0,
            });
        }
        Some(_) => ("array", 8),
        None => {
            let head = header(&reader.bytes(entry)?).map_err(|e| e.to_string())?;
            (head.format, head.bits)
        }
    };
    let picture = reader.picture(entry, Decoding::default())?;
    let Shape { h, w, c } = picture.shape;
    let small = |h, w| -> Result<Vec<u8>, String> {
        let to = Preparation { resize: Resize::Squash, ..Preparation::exact(Shape { h, w, c: 1 }) };
        let mut out = vec![0; h * w];
        to.apply(&picture, &mut out).map(|()| out)
    };
    // Of every row of nine shades, whether each is darker than the next ("difference hash").
    let rows = small(8, 9)?;
    let darker = rows.chunks_exact(9).flat_map(|row| row.windows(2).map(|p| u64::from(p[0] < p[1])));
    let hash = darker.fold(0, |hash, bit| hash << 1 | bit);
    let mut digest = md5::Context::new();
    digest.consume(format!("{}", picture.shape));
    digest.consume(&picture.pixels);
    Ok(Look {
        format: format.to_owned(),
        size: format!("{h} x {w}"),
        channels: format!("{}, {bits} bits", if c == 3 { "colour" } else { "grey" }),
        pixels: digest.finalize().0,
        hash,
        thumb: small(THUMB, THUMB)?,
        bytes: picture.pixels.len() as u64,
    })
}

/// Finds what is there twice.
fn twice(listing: &Listing, looks: &[Result<Look, EntryError>], all: &mut Inspection) {
    let entries = &listing.entries;
    let seen: Vec<(usize, &Look)> = looks
        .iter()
        .enumerate()
        .filter_map(|(i, l)| Some((i, l.as_ref().ok().filter(|l| !l.thumb.is_empty())?)))
        .collect();
    let mut same: HashMap<[u8; 16], Vec<usize>> = HashMap::new();
    seen.iter().for_each(|(i, look)| same.entry(look.pixels).or_default().push(*i));
    let mut pairs: Vec<[usize; 2]> = Vec::new();
    let mut groups: Vec<&Vec<usize>> = same.values().filter(|g| g.len() > 1).collect();
    groups.sort();
    for group in groups {
        all.identical.push(group.iter().map(|i| entries[*i].name.clone()).collect());
        pairs.extend(group.windows(2).map(|p| [p[0], p[1]]));
    }
    // Hashes that differ in three bits agree in one of four quarters.
    let mut near: Vec<[usize; 2]> = (0..4)
        .into_par_iter()
        .flat_map_iter(|quarter| {
            let key = |look: &Look| (look.hash >> (16 * quarter)) as u16;
            let mut order = seen.clone();
            order.sort_by_key(|(i, look)| (key(look), look.hash, *i));
            let mut found = Vec::new();
            for (at, (i, a)) in order.iter().enumerate() {
                for (j, b) in order[at + 1..].iter().take(COMPARED).take_while(|(_, b)| key(b) == key(a)) {
                    if (a.hash ^ b.hash).count_ones() <= BITS
                        && a.pixels != b.pixels
                        && look_alike(&a.thumb, &b.thumb)
                    {
                        found.push([*i.min(j), *i.max(j)]);
                    }
                }
            }
            found
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    // Thumbnails that look alike are looked at as they are: photographs of one thing are no copies.
    let mut near: Vec<[usize; 2]> = near
        .into_par_iter()
        .map_init(
            || listing.reader(),
            |reader, pair| {
                let lossless = pair
                    .iter()
                    .all(|i| looks[*i].as_ref().is_ok_and(|l| !LOSSY.contains(&l.format.as_str())));
                let bytes = pair.iter().filter_map(|i| looks[*i].as_ref().ok()).map(|l| l.bytes).sum();
                let _held = COMPARING.take(bytes, MOST_COMPARED);
                let mut picture = |i: usize| {
                    reader.picture(&entries[i], Decoding::default()).map(Decoded::into_picture).ok()
                };
                let (a, b) = (picture(pair[0])?, picture(pair[1])?);
                same_picture(&a, &b, lossless).then_some(pair)
            },
        )
        .flatten()
        .collect();
    near.sort_unstable();
    all.near = near.iter().map(|p| p.map(|i| entries[i].name.clone())).collect();
    pairs.extend(near);
    let test = |i: usize| entries[i].part == Some(Part::Test);
    all.across_classes = pairs.iter().filter(|[a, b]| entries[*a].class != entries[*b].class).count();
    all.across_parts = pairs.iter().filter(|[a, b]| test(*a) != test(*b)).count();
}

/// Whether two images of one size look the same at a glance: they differ by less than a fifth of what each differs from its own mean.
/// Copies do, and so do photographs of one thing: [`same_picture`] tells them apart.
pub fn look_alike(a: &[u8], b: &[u8]) -> bool {
    let spread = |t: &[u8]| {
        let mean = t.iter().map(|v| f64::from(*v)).sum::<f64>() / t.len() as f64;
        t.iter().map(|v| (f64::from(*v) - mean).abs()).sum::<f64>()
    };
    let apart: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(apart) <= DIFFERENCE * spread(a).min(spread(b)).max(a.len() as f64 / THUMB as f64)
}

/// Test images whose very pixels are trained on too: the test image's number and the training image's.
///
/// # Errors
///
/// If an image cannot be read.
pub fn leaks(data: &Dataset) -> Result<Vec<(usize, usize)>, FileError> {
    let digest = |split: &super::Split| -> Result<Vec<[u8; 16]>, FileError> {
        (0..split.len())
            .into_par_iter()
            .map_init(Vec::new, |scratch, i| Ok(md5::compute(split.images.image(i, scratch)?).0))
            .collect()
    };
    let trained: HashMap<[u8; 16], usize> =
        digest(&data.train)?.into_iter().enumerate().map(|(i, d)| (d, i)).collect();
    let test = digest(&data.test)?;
    Ok(test.iter().enumerate().filter_map(|(i, d)| Some((i, *trained.get(d)?))).collect())
}
