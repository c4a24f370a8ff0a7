//! TIFF, which holds pictures of many kinds: grey, colour, palettes, inks, with transparency or without, of whole numbers or
//! floats. The first picture of a file counts.
//!
//! Floats are from 0, black, to 1, white. Whole numbers fill their type. Where values are something else - negative, or floats of
//! another range - nothing is guessed: the picture is refused, unless brightness is to be spread from its own darkest to its own
//! brightest value.

use super::decode::PictureError;
use super::foreign::RAW;
use super::need::check_size;
use crate::images::Shape;
use crate::limits;
use image::metadata::Orientation;
use image::{ColorType as Colour, DynamicImage, ImageBuffer, Luma, Pixel, Rgb};
use std::borrow::Cow;
use std::io::{self, Cursor};
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

const PALETTE: u16 = 3;
const BLACK_IS_ZERO: u16 = 1;
/// By how much floats may be beyond black and white; resizing goes a little beyond them.
const BEYOND: f64 = 0.1;
const DNG_VERSION: Tag = Tag::Unknown(50706);

/// What the samples of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Grey,
    Palette,
    Rgb,
    Cmyk,
    YCbCr,
}

/// What a second or fourth sample is, if it is transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alpha {
    None,
    Straight,
    /// Colours are multiplied by it already.
    Multiplied,
}

/// A file of which the beginning was read.
pub(super) struct Tiff<'a> {
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    kind: Kind,
    alpha: Alpha,
    /// Samples of a pixel as they are decoded.
    samples: usize,
    planar: bool,
    colours: Vec<u16>,
    pub(super) orientation: Orientation,
    pub(super) bits: u8,
    /// Before it is turned.
    pub(super) shape: Shape,
}

fn refusal(e: TiffError) -> PictureError {
    match e {
        TiffError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => PictureError::Truncated,
        TiffError::UnsupportedError(e) => PictureError::NotSupported(format!("a TIFF file ({e})")),
        TiffError::LimitsExceeded => PictureError::too_much(),
        e => PictureError::Damaged(e.to_string()),
    }
}

/// Values of a tag that the decoder reads, which takes 32 bytes for each: a strip a row is far less.
const MOST_VALUES: u64 = 1 << 20;
/// Tags from here on are notes that the decoder does not read.
const NOTES: u64 = 700;

/// Where the entries of a file's first directory lie, and how numbers are read.
struct Directory {
    little: bool,
    big: bool,
    first: usize,
    n: usize,
}

impl Directory {
    fn of(bytes: &[u8]) -> Option<Directory> {
        let mut found = Directory { little: bytes.starts_with(b"II"), big: false, first: 0, n: 0 };
        // A classic file, or one of more than four gigabytes.
        let (at, counts) = match found.number(bytes, 2, 2)? {
            42 => (found.number(bytes, 4, 4)?, 2),
            43 => (found.number(bytes, 8, 8)?, 8),
            _ => return None,
        };
        let at = usize::try_from(at).ok()?;
        (found.big, found.first) = (counts == 8, at.checked_add(counts)?);
        found.n = found.number(bytes, at, counts)?.min(1 << 16) as usize;
        Some(found)
    }

    fn number(&self, bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        let digits = bytes.get(at..at.checked_add(size)?)?;
        let push = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if self.little { digits.iter().rev().fold(0, push) } else { digits.iter().fold(0, push) })
    }

    fn entries(&self) -> impl Iterator<Item = usize> {
        let size = if self.big { 20 } else { 12 };
        (0..self.n).map(move |i| self.first.saturating_add(i * size))
    }

    /// Refuses tags of more values than the file has bytes for, or than anybody needs: the decoder makes room for all that are claimed.
    fn check(&self, bytes: &[u8]) -> Result<(), PictureError> {
        for at in self.entries() {
            let [tag, kind] = [at, at.saturating_add(2)].map(|at| self.number(bytes, at, 2));
            let count = self.number(bytes, at.saturating_add(4), if self.big { 8 } else { 4 });
            // A directory that is cut is told by the decoder.
            let (Some(tag), Some(kind), Some(count)) = (tag, kind, count) else { return Ok(()) };
            if tag >= NOTES && tag != u64::from(DNG_VERSION.to_u16()) {
                continue;
            }
            let size = match kind {
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 | 16 | 17 | 18 => 8,
                _ => 1,
            };
            if count.saturating_mul(size) > bytes.len() as u64 {
                return Err(PictureError::Truncated);
            }
            let text = 2;
            if count > MOST_VALUES && kind != text {
                return Err(PictureError::too_much());
            }
        }
        Ok(())
    }
}

/// Makes a palette's numbers readable as shades: the decoder does not know palettes.
fn as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let directory = Directory::of(&bytes)?;
    let wanted = u64::from(Tag::PhotometricInterpretation.to_u16());
    let found = directory.entries().find(|at| directory.number(&bytes, *at, 2) == Some(wanted))?;
    let value = bytes.get_mut(found.checked_add(if directory.big { 12 } else { 8 })?..)?.get_mut(..2)?;
    let one = if directory.little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    value.copy_from_slice(&one);
    Some(bytes)
}

fn decoder(bytes: Cow<'_, [u8]>) -> Result<Decoder<Cursor<Cow<'_, [u8]>>>, PictureError> {
    if let Some(directory) = Directory::of(&bytes) {
        directory.check(&bytes)?;
    }
    let most = limits::alone() as usize;
    let mut limits = Limits::default();
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (most, most);
    Ok(Decoder::new(Cursor::new(bytes)).map_err(refusal)?.with_limits(limits))
}

pub(super) fn open(bytes: &[u8]) -> Result<Tiff<'_>, PictureError> {
    let mut file = decoder(Cow::Borrowed(bytes))?;
    let one = |file: &mut Decoder<_>, tag| file.find_tag_unsigned::<u32>(tag).ok().flatten();
    if one(&mut file, Tag::NewSubfileType).unwrap_or(0) & 1 == 1
        || file.find_tag(DNG_VERSION).is_ok_and(|tag| tag.is_some())
    {
        // What comes first is a preview.
        return Err(PictureError::Foreign(RAW));
    }
    let mut colours = Vec::new();
    if one(&mut file, Tag::PhotometricInterpretation) == Some(u32::from(PALETTE)) {
        colours = file.get_tag_u16_vec(Tag::ColorMap).map_err(refusal)?;
        let grey = as_grey(bytes).ok_or_else(|| PictureError::Damaged("its palette is not there".into()))?;
        file = decoder(Cow::Owned(grey))?;
    }
    let extra: Option<Vec<u16>> = file.find_tag_unsigned_vec(Tag::ExtraSamples).ok().flatten();
    let alpha = match extra.as_deref() {
        Some([1, ..]) => Alpha::Multiplied,
        Some([2, ..]) => Alpha::Straight,
        _ => Alpha::None,
    };
    let colour = file.colortype().map_err(refusal)?;
    let unsupported = || Err(PictureError::NotSupported(format!("a TIFF file of {colour:?}")));
    let bits = colour.bit_depth();
    let wide = [8, 16, 32, 64].contains(&bits);
    let (kind, alpha) = match colour {
        ColorType::Gray(1 | 2 | 4 | 8 | 16) if !colours.is_empty() => (Kind::Palette, Alpha::None),
        _ if !colours.is_empty() => return unsupported(),
        ColorType::Gray(1 | 2 | 4) => (Kind::Grey, Alpha::None),
        ColorType::Gray(_) if wide => (Kind::Grey, Alpha::None),
        ColorType::Multiband { num_samples: 2, .. } if wide => (Kind::Grey, alpha),
        ColorType::RGB(_) if wide => (Kind::Rgb, Alpha::None),
        // Without a word on what the fourth sample is, it is transparency.
        ColorType::RGBA(_) if wide => (Kind::Rgb, if alpha == Alpha::None { Alpha::Straight } else { alpha }),
        ColorType::CMYK(8 | 16) => (Kind::Cmyk, Alpha::None),
        ColorType::YCbCr(8) => (Kind::YCbCr, Alpha::None),
        _ => return unsupported(),
    };
    let (w, h) = file.dimensions().map_err(refusal)?;
    let samples = usize::from(colour.num_samples());
    check_size(w, h)?;
    // Each sample as a picture of its own.
    let planar = one(&mut file, Tag::PlanarConfiguration) == Some(2);
    let orientation = one(&mut file, Tag::Orientation).and_then(|v| Orientation::from_exif(v.min(255) as u8));
    Ok(Tiff {
        decoder: file,
        kind,
        alpha,
        samples,
        planar,
        colours,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        bits,
        shape: Shape { h: h as usize, w: w as usize, c: if kind == Kind::Grey { 1 } else { 3 } },
    })
}

/// Values as they are made to pixels: of 8 or of 16 bits.
enum Values {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

impl Tiff<'_> {
    /// How many pixels it is decoded to, and what they are.
    pub(super) fn decoded(&self) -> (u64, Colour) {
        let colour = match (self.shape.c, self.bits > 8 && self.kind != Kind::Palette) {
            (1, false) => Colour::L8,
            (1, true) => Colour::L16,
            (_, false) => Colour::Rgb8,
            (_, true) => Colour::Rgb16,
        };
        (self.shape.h as u64 * self.shape.w as u64, colour)
    }

    /// Bytes that decoding takes beside the pixels: what the file holds, once more where planes are put together, and what that is
    /// made to.
    pub(super) fn needs(&self) -> u64 {
        let values = self.decoded().0 * self.samples as u64;
        let stored = values * u64::from(self.bits.div_ceil(8));
        let made = match self.bits {
            // They are unpacked without knowing how many there are.
            ..8 => 2,
            8 | 16 => 0,
            _ => 2,
        };
        stored * if self.planar { 2 } else { 1 } + values * made
    }

    /// All pixels, without transparency, not turned yet. `stretch`: see the module.
    pub(super) fn decode(mut self, stretch: bool) -> Result<DynamicImage, PictureError> {
        let mut result = DecodingResult::U8(Vec::new());
        let layout = self.decoder.read_image_to_buffer(&mut result).map_err(refusal)?;
        if result.as_buffer(0).as_bytes().len() < layout.complete_len {
            return Err(PictureError::too_much());
        }
        let planes = layout.planes;
        let values = match result {
            DecodingResult::U8(v) if self.bits < 8 => Values::Bytes(self.unpacked(&v)),
            DecodingResult::U8(v) => Values::Bytes(interleaved(v, planes)),
            DecodingResult::U16(v) => Values::Words(interleaved(v, planes)),
            DecodingResult::U32(v) => whole(interleaved(v, planes), f64::from(u32::MAX), stretch, f64::from)?,
            DecodingResult::U64(v) => whole(interleaved(v, planes), u64::MAX as f64, stretch, |v| v as f64)?,
            DecodingResult::F16(v) => self.floats(interleaved(v, planes), stretch, f64::from)?,
            DecodingResult::F32(v) => self.floats(interleaved(v, planes), stretch, f64::from)?,
            DecodingResult::F64(v) => self.floats(interleaved(v, planes), stretch, |v| v)?,
            DecodingResult::I8(v) => signed(interleaved(v, planes), stretch, f64::from)?,
            DecodingResult::I16(v) => signed(interleaved(v, planes), stretch, f64::from)?,
            DecodingResult::I32(v) => signed(interleaved(v, planes), stretch, f64::from)?,
            DecodingResult::I64(v) => signed(interleaved(v, planes), stretch, |v| v as f64)?,
        };
        let image = match values {
            Values::Bytes(v) => self.image(&v, 255, DynamicImage::ImageLuma8, DynamicImage::ImageRgb8),
            Values::Words(v) => self.image(&v, 65535, DynamicImage::ImageLuma16, DynamicImage::ImageRgb16),
        };
        image.ok_or_else(|| PictureError::Damaged("it does not hold as many pixels as it says".into()))
    }

    /// Samples of less than a byte, of which every row begins with a byte: shades from black to white, or numbers of colours.
    fn unpacked(&self, packed: &[u8]) -> Vec<u8> {
        let (bits, w) = (usize::from(self.bits), self.shape.w * self.samples);
        let most = (1u16 << bits) as u8 - 1;
        let scale = if self.kind == Kind::Palette { 1 } else { 255 / most };
        let row = (w * bits).div_ceil(8).max(1);
        let rows = packed.chunks_exact(row).take(self.shape.h);
        rows.flat_map(|row| {
            (0..w).map(move |x| (row[x * bits / 8] >> (8 - bits - x * bits % 8) & most) * scale)
        })
        .collect()
    }

    fn floats<T: Copy>(
        &self,
        values: Vec<T>,
        stretch: bool,
        f: impl Fn(T) -> f64,
    ) -> Result<Values, PictureError> {
        let [least, most] = range(&values, &f)?;
        if stretch {
            return Ok(spread(values, [least, most], f));
        }
        if least < -BEYOND || most > 1.0 + BEYOND {
            return Err(PictureError::NotSupported(format!(
                "a TIFF file whose values are floats from {least} to {most} (those from 0, black, to 1, white, are read, and \
                 all with stretch=true)"
            )));
        }
        Ok(spread(values, [0.0, 1.0], f))
    }

    /// Pixels of samples, transparency over white.
    fn image<T: Sample>(
        &self,
        values: &[T],
        white: u32,
        grey: impl Fn(ImageBuffer<Luma<T>, Vec<T>>) -> DynamicImage,
        colour: impl Fn(ImageBuffer<Rgb<T>, Vec<T>>) -> DynamicImage,
    ) -> Option<DynamicImage>
    where
        Luma<T>: Pixel<Subpixel = T>,
        Rgb<T>: Pixel<Subpixel = T>,
    {
        let (w, h) = (self.shape.w as u32, self.shape.h as u32);
        let pixels = values.chunks_exact(self.samples).take(self.shape.w * self.shape.h);
        // What is left of a sample over white paper.
        let over = |v: T, alpha: T| -> T {
            let (v, a, white) = (v.into() as u64, alpha.into() as u64, u64::from(white));
            let shown = if self.alpha == Alpha::Multiplied { v * white } else { v * a };
            T::of((((shown + white * (white - a) + white / 2) / white).min(white)) as u32)
        };
        let opaque = |p: &[T], n: usize| -> [T; 3] {
            std::array::from_fn(|k| {
                if self.alpha == Alpha::None { p[k.min(n - 1)] } else { over(p[k.min(n - 1)], p[n]) }
            })
        };
        let three = |f: &dyn Fn(&[T]) -> [T; 3]| {
            let mut all = Vec::with_capacity(3 * pixels.len());
            pixels.clone().for_each(|p| all.extend(f(p)));
            ImageBuffer::from_raw(w, h, all)
        };
        match self.kind {
            Kind::Grey => ImageBuffer::from_raw(w, h, pixels.map(|p| opaque(p, 1)[0]).collect()).map(grey),
            Kind::Rgb => three(&|p| opaque(p, 3)).map(colour),
            Kind::Cmyk => three(&|p| {
                let [c, m, y, k] = [p[0], p[1], p[2], p[3]].map(|v| u64::from(white - v.into()));
                [c, m, y].map(|v| T::of(((v * k + u64::from(white) / 2) / u64::from(white)) as u32))
            })
            .map(colour),
            Kind::YCbCr => three(&|p| {
                let [y, b, r] = [p[0], p[1], p[2]].map(|v| f64::from(v.into()));
                let (b, r) = (b - 128.0, r - 128.0);
                [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b]
                    .map(|v| T::of((v + 0.5).clamp(0.0, f64::from(white)) as u32))
            })
            .map(colour),
            Kind::Palette => {
                let n = self.colours.len() / 3;
                // Some programs write palettes of 8 bits into the 16 that there are.
                let small = self.colours.iter().all(|v| *v < 256);
                let byte = |v: u16| if small { v as u8 } else { (v >> 8) as u8 };
                let mut all = Vec::with_capacity(3 * pixels.len());
                for p in pixels {
                    let i = p[0].into() as usize;
                    all.extend((i < n).then(|| [0, 1, 2].map(|k| byte(self.colours[k * n + i])))?);
                }
                ImageBuffer::from_raw(w, h, all).map(DynamicImage::ImageRgb8)
            }
        }
    }
}

/// A sample of 8 or 16 bits.
trait Sample: Copy + Into<u32> {
    fn of(v: u32) -> Self;
}

impl Sample for u8 {
    fn of(v: u32) -> u8 {
        v as u8
    }
}

impl Sample for u16 {
    fn of(v: u32) -> u16 {
        v as u16
    }
}

/// Planes of one sample each, as pixels.
fn interleaved<T: Copy>(values: Vec<T>, planes: usize) -> Vec<T> {
    if planes < 2 {
        return values;
    }
    let each = values.len() / planes;
    (0..each).flat_map(|i| (0..planes).map(move |p| p * each + i)).map(|at| values[at]).collect()
}

fn range<T: Copy>(values: &[T], f: &impl Fn(T) -> f64) -> Result<[f64; 2], PictureError> {
    let mut range = [f64::INFINITY, f64::NEG_INFINITY];
    for v in values.iter().map(|v| f(*v)) {
        if !v.is_finite() {
            return Err(PictureError::NotSupported(format!(
                "a TIFF file with values that are no numbers ({v})"
            )));
        }
        range = [range[0].min(v), range[1].max(v)];
    }
    Ok(range)
}

/// From a range to all that 16 bits hold.
fn spread<T: Copy>(values: Vec<T>, [least, most]: [f64; 2], f: impl Fn(T) -> f64) -> Values {
    let span = if most > least { most - least } else { 1.0 };
    let word = |v: T| (((f(v) - least) / span).clamp(0.0, 1.0) * 65535.0).round() as u16;
    Values::Words(values.into_iter().map(word).collect())
}

fn whole<T: Copy>(
    values: Vec<T>,
    white: f64,
    stretch: bool,
    f: impl Fn(T) -> f64,
) -> Result<Values, PictureError> {
    let all = if stretch { range(&values, &f)? } else { [0.0, white] };
    Ok(spread(values, all, f))
}

fn signed<T: Copy>(values: Vec<T>, stretch: bool, f: impl Fn(T) -> f64) -> Result<Values, PictureError> {
    if !stretch {
        return Err(PictureError::NotSupported(
            "a TIFF file of signed numbers, which say nothing of black and white (read with stretch=true)"
                .into(),
        ));
    }
    let all = range(&values, &f)?;
    Ok(spread(values, all, f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decode::{Decoding, decode};

    /// Two grey pixels by two, with so many values of one kind for how they are stored, or a note of so many bytes.
    fn file(kind: u16, count: u32, note: u32) -> Vec<u8> {
        let mut file = b"II*\0\x08\0\0\0".to_vec();
        let entries: [(u16, u16, u32, u32); 9] = [
            (256, 4, 1, 2),
            (257, 4, 1, 2),
            (258, 3, 1, 8),
            (259, kind, count, 1),
            (262, 3, 1, 1),
            (273, 4, 1, 122),
            (278, 4, 1, 2),
            (279, 4, 1, 4),
            (37500, 7, note, 0),
        ];
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            file.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            file.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
        }
        file.extend([0; 4]);
        assert_eq!(file.len(), 122);
        file.extend([1, 2, 3, 4]);
        file
    }

    #[test]
    fn a_tag_of_many_values_takes_no_memory() {
        for note in [1, u32::MAX] {
            assert_eq!(decode(&file(3, 1, note), Decoding::default()).unwrap().pixels, [1, 2, 3, 4]);
        }
        for kind in [1, 2, 3, 4, 16] {
            for (count, more) in [(50_000_000, 0), (u32::MAX, 0), (2_000_000, 16_000_000)] {
                let mut bytes = file(kind, count, 1);
                bytes.resize(bytes.len() + more, 0);
                let mut refused = false;
                let taken = allocation_counter::measure(|| refused = open(&bytes).is_err()).bytes_max;
                assert!(refused && taken < 8 << 20, "{count} of type {kind}: {taken} bytes");
            }
        }
    }
}
