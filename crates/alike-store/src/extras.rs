//! What a picture's file tells beside its pixels, and a small picture to show.

use alike::data::{Listing, Picture};
use alike::guard::guarded;
use exif::{In, Tag, Value as Field};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, RgbImage};
use serde_json::{Map, Value};
use std::io::Cursor;

/// Bytes of a file in which EXIF is looked for: it stands at the beginning, and takes 64 KiB of a JPEG at most.
const HEAD: usize = 256 << 10;
/// The quality of a thumbnail, of 100.
const QUALITY: u8 = 80;

/// When and by which camera a picture was taken, as its EXIF says: `taken` (`2024-05-01T12:00:00`, without a zone) and `camera`.
///
/// A file without EXIF, or with one that cannot be read, tells nothing.
pub(crate) fn exif_facts(listing: &Listing, i: usize) -> Map<String, Value> {
    let Some(head) = listing.head(i, HEAD) else { return Map::new() };
    let read = || exif::Reader::new().read_from_container(&mut Cursor::new(&head)).ok();
    // What others wrote must not end the program.
    let Some(found) = guarded(read).flatten() else { return Map::new() };
    let field = |tag: Tag| found.get_field(tag, In::PRIMARY).map(|field| &field.value);
    let mut facts = Map::new();
    let taken = [Tag::DateTimeOriginal, Tag::DateTimeDigitized, Tag::DateTime];
    if let Some(taken) = taken.into_iter().find_map(|tag| date(field(tag)?)) {
        facts.insert("taken".into(), taken.into());
    }
    let [make, model] = [Tag::Make, Tag::Model].map(|tag| field(tag).and_then(text).unwrap_or_default());
    let camera = if model.starts_with(&make) { model } else { format!("{make} {model}") };
    if !camera.trim().is_empty() {
        facts.insert("camera".into(), camera.trim().into());
    }
    facts
}

/// A text of ASCII, without what pads it.
fn text(field: &Field) -> Option<String> {
    let Field::Ascii(parts) = field else { return None };
    let text = String::from_utf8_lossy(parts.first()?);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// `2024:05:01 12:00:00` as conditions have dates; nothing where a camera wrote none, as in `0000:00:00 00:00:00`.
fn date(field: &Field) -> Option<String> {
    let Field::Ascii(parts) = field else { return None };
    let found = exif::DateTime::from_ascii(parts.first()?).ok()?;
    let exif::DateTime { year, month, day, hour, minute, second, .. } = found;
    let is_one =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    (is_one && year > 0).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// A picture whose longer side has `side` pixels, as JPEG; nothing where it cannot be read. A smaller one is not enlarged.
pub(crate) fn thumbnail(listing: &Listing, i: usize, side: usize) -> Option<Vec<u8>> {
    let Picture { shape, pixels } = listing.picture(i, Some([side, side]))?;
    let (w, h) = (u32::try_from(shape.w).ok()?, u32::try_from(shape.h).ok()?);
    let whole = match shape.c {
        1 => DynamicImage::ImageLuma8(GrayImage::from_raw(w, h, pixels)?),
        _ => DynamicImage::ImageRgb8(RgbImage::from_raw(w, h, pixels)?),
    };
    let side = u32::try_from(side).ok()?;
    let small = if w.max(h) > side { whole.thumbnail(side, side) } else { whole };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).ok()?;
    Some(jpeg)
}
