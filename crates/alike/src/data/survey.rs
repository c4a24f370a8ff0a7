//! A look at some of a listing's pictures, and the preparation that suits them.

use super::Preparation;
use super::decode::{Decoding, header};
use super::listing::Listing;
use super::prepare::Resize;
use crate::files::FileError;
use crate::identity::Identities;
use crate::images::{Images, Shape};
use crate::sample;
use rayon::prelude::*;

/// Pictures whose size is looked at, at most.
const SIZES: usize = 2000;
/// Pictures that are decoded, at most.
const DECODED: usize = 64;
/// The longer side that pictures are brought to, and that of drawings, whose strokes need less.
const SIDE: usize = 64;
const DRAWN_SIDE: usize = 40;

/// What pictures are like.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Height and width that all have which were looked at.
    pub common: Option<[usize; 2]>,
    /// The median height and width.
    pub median: [usize; 2],
    /// Whether any has colours.
    pub colour: bool,
    /// Whether pixels are mostly as dark or as bright as can be: drawings, characters.
    pub drawn: bool,
    /// The longer sides of those that were looked at.
    pub sides: Vec<usize>,
}

/// Pictures that are so many times larger lose much.
const SHRUNK: usize = 10;

/// Whether pixels are mostly black or white.
///
/// # Errors
///
/// If an image cannot be read.
pub fn drawn(images: &Images) -> Result<bool, FileError> {
    if images.are_floats() {
        return Ok(false);
    }
    let n = images.len().min(DECODED);
    let mut scratch = Vec::new();
    let some = sample::some(Identities::numbered(images.len()).keys(), n, 0);
    let mut shares = 0.0;
    for i in some {
        shares += extreme(images.image(i, &mut scratch)?);
    }
    Ok(shares > 0.7 * n as f64)
}

/// The share of values near black or white.
fn extreme(pixels: &[u8]) -> f64 {
    pixels.iter().filter(|v| !(24..=231).contains(*v)).count() as f64 / pixels.len().max(1) as f64
}

impl Survey {
    /// Looks at some pictures of a listing. Those that cannot be read say nothing; if none can, nothing is
    /// known.
    pub fn of(listing: &Listing) -> Option<Survey> {
        let entries = &listing.entries;
        let keys: Vec<u64> = entries.iter().map(|e| e.key).collect();
        let mut sizes: Vec<[usize; 2]> = sample::some(&keys, SIZES, 0)
            .par_iter()
            .map_init(
                || listing.reader(),
                |reader, &i| {
                    let entry = &entries[i];
                    if let Some([x1, y1, x2, y2]) = entry.area {
                        return Some([(y2 - y1) as usize, (x2 - x1) as usize]);
                    }
                    let Shape { h, w, .. } = match &listing.rows {
                        Some(rows) => rows.shape(),
                        None => header(&reader.bytes(entry).ok()?).ok()?.shape,
                    };
                    Some(if entry.quarters % 2 == 1 { [w, h] } else { [h, w] })
                },
            )
            .flatten()
            .collect();
        let looks: Vec<(bool, f64)> = sample::some(&keys, DECODED, 0)
            .par_iter()
            .map_init(
                || listing.reader(),
                |reader, &i| {
                    // Colours and shades are the same at a reduced scale.
                    let how = Decoding { at_least: Some([SIDE, SIDE]), ..Decoding::default() };
                    let picture = reader.picture(&entries[i], how).ok()?;
                    let colours = |p: &[u8]| {
                        let (least, most) = (p.iter().min(), p.iter().max());
                        least.zip(most).is_some_and(|(a, b)| b - a > 8)
                    };
                    // Grey is often stored as three channels.
                    let coloured = picture.shape.c == 3
                        && picture.pixels.chunks_exact(3).filter(|p| colours(p)).count()
                            > picture.pixels.len() / 3 / 200;
                    Some((coloured, extreme(&picture.pixels)))
                },
            )
            .flatten()
            .collect();
        let first = *sizes.first()?;
        let common = sizes.iter().all(|s| *s == first).then_some(first);
        let middle = sizes.len() / 2;
        let mut median = |side: usize| {
            sizes.sort_unstable_by_key(|s| s[side]);
            sizes[middle][side]
        };
        let share = looks.iter().map(|l| l.1).sum::<f64>() / looks.len().max(1) as f64;
        Some(Survey {
            common,
            median: [median(0), median(1)],
            colour: looks.iter().any(|l| l.0),
            drawn: share > 0.7,
            sides: sizes.iter().map(|[h, w]| *h.max(w)).collect(),
        })
    }

    /// What a user should know where pictures shrink to less than a tenth of their size.
    pub fn shrunk(&self, to: Shape) -> Option<String> {
        let large = self.sides.iter().filter(|side| **side > SHRUNK * to.h.max(to.w)).count();
        (large > 0).then(|| {
            format!(
                "{large} of {} pictures are over ten times larger than {} x {}, so what is small in them is lost; --prepare size=HxW \
                 keeps more",
                self.sides.len(),
                to.h,
                to.w
            )
        })
    }

    /// A preparation for such pictures; what they are, and what it does to them.
    pub fn preparation(&self) -> (Preparation, [String; 2]) {
        let most = if self.drawn { DRAWN_SIDE } else { SIDE };
        let c = if self.colour { 3 } else { 1 };
        let kind = match (self.colour, self.drawn) {
            (true, false) => "pictures in colour",
            (false, false) => "pictures in grey",
            (true, true) => "drawings in colour",
            (false, true) => "drawings in black and white",
        };
        let usual = |h, w| Preparation { resize: Resize::Fit, ..Preparation::exact(Shape { h, w, c }) };
        match self.common {
            Some([h, w]) if h.max(w) <= most => {
                (usual(h, w), [format!("{kind}, all of {h} x {w}"), "which is kept".to_owned()])
            }
            Some([h, w]) => {
                let by = h.max(w).div_ceil(most);
                let side = |n: usize| ((n + by / 2) / by).max(1);
                (
                    usual(side(h), side(w)),
                    [format!("{kind}, all of {h} x {w}"), format!("scaled to {} of it", one_of(by))],
                )
            }
            None => {
                let [h, w] = self.median;
                let side = h.max(w).next_multiple_of(4).clamp(8, most);
                (
                    usual(side, side),
                    [
                        format!("{kind} of many sizes ({h} x {w} in the middle)"),
                        format!("fitted into {side} x {side}"),
                    ],
                )
            }
        }
    }
}

/// One of `n` equal parts.
fn one_of(n: usize) -> String {
    match n {
        2 => "half".to_owned(),
        3 => "a third".to_owned(),
        4 => "a quarter".to_owned(),
        n => format!("1/{n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_kept_divided_or_fitted() {
        let survey =
            |common, median, drawn| Survey { common, median, colour: false, drawn, sides: Vec::new() };
        let size = |s: Survey| (s.preparation().0.shape.h, s.preparation().0.shape.w);
        assert_eq!(size(survey(Some([28, 28]), [28, 28], true)), (28, 28));
        assert_eq!(size(survey(Some([105, 105]), [105, 105], true)), (35, 35));
        assert_eq!(size(survey(Some([112, 92]), [112, 92], false)), (56, 46));
        assert_eq!(size(survey(None, [30, 50], false)), (52, 52));
        assert_eq!(size(survey(None, [3000, 2000], false)), (64, 64));
    }

    #[test]
    fn what_shrinks_much_is_told() {
        let sides = [vec![400; 40], vec![300; 60]].concat();
        let survey = Survey { common: None, median: [300, 300], colour: true, drawn: false, sides };
        let to = |side| Shape { h: side, w: side, c: 3 };
        assert!(
            survey
                .shrunk(to(32))
                .unwrap()
                .starts_with("40 of 100 pictures are over ten times larger than 32 x 32")
        );
        assert_eq!(survey.shrunk(to(64)), None);
    }
}
