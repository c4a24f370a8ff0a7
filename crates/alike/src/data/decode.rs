//! From the bytes of a file to a picture.
//!
//! Whatever the file says of itself, decoding takes bounded memory: how much is found from its header, refused where it is too much,
//! and asked of [`limits::DECODING`] before any decoder takes it. A file that does not hold a whole picture is refused with its reason.

use super::foreign::{self, Foreign};
use super::need::{After, LEAST, beside, check_size, take};
use super::picture::{Picture, turns};
use super::{jpeg, tiff};
use crate::guard;
use crate::images::Shape;
use crate::limits::{Held, Limit, LimitError};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::ops::Deref;

/// The share of [`Limit::Memory`] that the beginning of a file may take in a thread, before its size is known and memory is asked for: the packed colour
/// profile of a PNG is unpacked there, and left out where it needs more. Real ones have at most some megabytes.
const OF_A_HEADER: u64 = 32;

/// A file is not a whole picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// No format's beginning.
    #[error("its content is not a picture of any format that is read (PNG, JPEG, WebP, BMP, GIF, TIFF, PNM)")]
    Unknown,
    /// A picture of a kind that this build does not read.
    #[error("{}", .0.sentence())]
    Foreign(Foreign),
    /// A format that is read, but not this kind of it.
    #[error("it is not supported: it is {0}")]
    NotSupported(String),
    /// Too large, or damaged in the place where the size stands.
    #[error(transparent)]
    TooLarge(#[from] LimitError),
    /// The end is missing.
    #[error("it is cut short: the end of the picture is missing")]
    Truncated,
    /// Anything else.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl PictureError {
    /// A decoder needs more than its header says.
    pub(super) fn too_much() -> PictureError {
        PictureError::TooLarge(Limit::Memory.exceeded("decoding it takes more memory than it may"))
    }

    fn of(error: &ImageError) -> PictureError {
        if let ImageError::IoError(e) = error
            && e.kind() == std::io::ErrorKind::UnexpectedEof
        {
            return PictureError::Truncated;
        }
        // One line, however many the decoder takes.
        let said = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        match error {
            ImageError::Unsupported(_) => {
                PictureError::NotSupported(format!("of a kind that is not read ({said})"))
            }
            ImageError::Limits(_) => PictureError::too_much(),
            _ => PictureError::Damaged(said),
        }
    }
}

/// How a picture is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoding {
    /// Height and width to which it will be scaled: where the format allows it, a far larger picture is decoded at a reduced
    /// scale, at which both of its sides are still several times as long. Nothing where every pixel counts.
    pub at_least: Option<[usize; 2]>,
    /// It is scaled until it fits into them, and what is left beside it gets the colour of its outermost pixels: where anything
    /// is left, they must be there.
    pub fit: bool,
    /// Spread brightness so that the darkest value is black and the brightest is white, before it is cut to 8 bits.
    pub stretch: bool,
}

/// What a file's beginning tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format's name.
    pub format: &'static str,
    /// Height and width as a person sees them; 1 channel or 3.
    pub shape: Shape,
    /// Bits of a channel.
    pub bits: u8,
}

/// What a picture is, read from the beginning of its file alone.
///
/// # Errors
///
/// If the file does not begin as a picture that is read.
pub fn header(bytes: &[u8]) -> Result<Header, PictureError> {
    guarded(|| {
        if is_tiff(bytes) {
            let file = tiff::open(bytes)?;
            let Shape { h, w, c } = file.shape;
            let (h, w) = if turns(file.orientation) { (w, h) } else { (h, w) };
            return Ok(Header { format: "TIFF", shape: Shape { h, w, c }, bits: file.bits });
        }
        let (format, mut decoder) = open(bytes)?;
        let (w, h) = decoder.dimensions();
        let turned = decoder.orientation().is_ok_and(turns);
        let colour = decoder.original_color_type();
        let c = if colour.channel_count() >= 3 { 3 } else { 1 };
        let (h, w) = if turned { (w, h) } else { (h, w) };
        let bits = (colour.bits_per_pixel() / u16::from(colour.channel_count())).min(255) as u8;
        Ok(Header { format: name(format), shape: Shape { h: h as usize, w: w as usize, c }, bits })
    })
}

/// A picture whose memory is accounted for. A thread that keeps one must not decode another.
#[derive(Debug)]
pub(super) struct Decoded {
    picture: Picture,
    held: Option<Held<'static>>,
}

impl Decoded {
    /// A picture whose memory nobody counts.
    pub(super) fn free(picture: Picture) -> Decoded {
        Decoded { picture, held: None }
    }

    /// Changes the picture; its memory stays accounted for.
    pub(super) fn map<E>(self, change: impl FnOnce(Picture) -> Result<Picture, E>) -> Result<Decoded, E> {
        Ok(Decoded { picture: change(self.picture)?, held: self.held })
    }

    /// The picture alone: its memory is no longer accounted for.
    pub(super) fn into_picture(self) -> Picture {
        self.picture
    }
}

impl Deref for Decoded {
    type Target = Picture;

    fn deref(&self) -> &Picture {
        &self.picture
    }
}

/// Decodes a whole file: turned as its orientation says, transparency over white.
///
/// # Errors
///
/// If it is no whole picture, of no kind that is read, or takes more memory than it may.
pub fn decode(bytes: &[u8], how: Decoding) -> Result<Picture, PictureError> {
    decode_held(bytes, how).map(Decoded::into_picture)
}

/// Decodes a whole file, as [`decode`] does, into a picture whose memory is accounted for.
pub(super) fn decode_held(bytes: &[u8], how: Decoding) -> Result<Decoded, PictureError> {
    guarded(|| {
        if is_tiff(bytes) {
            let file = tiff::open(bytes)?;
            let orientation = file.orientation;
            let held = take(bytes, file.needs(), file.decoded(), after(orientation, how))?;
            let picture = Picture::of(file.decode(how.stretch)?, orientation, how.stretch);
            return Ok(Decoded { picture, held: Some(held) });
        }
        let (format, mut decoder) = open(bytes)?;
        let (w, h) = decoder.dimensions();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let size = [h as usize, w as usize];
        let jpeg = format == ImageFormat::Jpeg;
        let kept = if jpeg { jpeg::kept(bytes) } else { 0 };
        if jpeg {
            jpeg::refuse_cut(bytes)?;
            jpeg::refuse_many_scans(bytes)?;
            if let Some(by) = jpeg::reduction(bytes, size, how, turns(orientation)) {
                let all = u64::from(w / by as u32) * u64::from(h / by as u32);
                // Its planes, and then its pixels.
                let beside = jpeg::kept_reduced(bytes) + 3 * all;
                // What would take too much memory so may take less as a whole.
                if let Ok(held) = take(bytes, beside, (all, decoder.color_type()), after(orientation, how))
                    && let Some(small) = jpeg::reduced(bytes, size, by)
                {
                    let picture = Picture::of(small, orientation, how.stretch);
                    return Ok(Decoded { picture, held: Some(held) });
                }
            }
        }
        let all = u64::from(w) * u64::from(h);
        let beside = kept + beside(format, bytes) * all;
        let held = take(bytes, beside, (all, decoder.color_type()), after(orientation, how))?;
        let mut most = Limits::no_limits();
        most.max_alloc = Some(held.bytes().max(LEAST));
        decoder.set_limits(most).map_err(|e| PictureError::of(&e))?;
        let image = DynamicImage::from_decoder(decoder).map_err(|e| PictureError::of(&e))?;
        let picture = Picture::of(image, orientation, how.stretch);
        Ok(Decoded { picture, held: Some(held) })
    })
}

/// A decoder that panics on a damaged file must not end the program.
fn guarded<T>(work: impl FnOnce() -> Result<T, PictureError>) -> Result<T, PictureError> {
    guard::guarded(work).unwrap_or_else(|| Err(PictureError::Damaged("its decoder gave up".into())))
}

fn open(bytes: &[u8]) -> Result<(ImageFormat, impl ImageDecoder + '_), PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    jpeg::refuse_other_kinds(bytes)?;
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| PictureError::Unknown)?;
    let mut most = Limits::no_limits();
    most.max_alloc = Some((Limit::Memory.most() / OF_A_HEADER).max(LEAST));
    reader.limits(most);
    let format = reader
        .format()
        .filter(|f| f.reading_enabled())
        .ok_or_else(|| foreign::sniff(bytes).map_or(PictureError::Unknown, PictureError::Foreign))?;
    let decoder = reader.into_decoder().map_err(|e| PictureError::of(&e))?;
    let (w, h) = decoder.dimensions();
    check_size(w, h)?;
    Ok((format, decoder))
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Pnm => "PNM",
        _ => "other",
    }
}

fn after(orientation: Orientation, how: Decoding) -> After {
    After { turned: turns(orientation), stretch: how.stretch }
}

fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|mark| bytes.starts_with(*mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageEncoder};

    fn noise(n: usize) -> Vec<u8> {
        let mut state = 1u32;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    fn encode(format: ImageFormat, w: u32, h: u32, colour: ExtendedColorType, data: &[u8]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::write_buffer_with_format(&mut bytes, data, w, h, colour, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_picture_without_pixels_is_refused_by_its_header_already() {
        let one = |format| encode(format, 1, 1, ExtendedColorType::Rgb8, &[0; 3]);
        // Where the width stands, then the height, in so many bytes.
        for (format, at, size) in [(ImageFormat::Bmp, 18, 4), (ImageFormat::Gif, 6, 2)] {
            let whole = one(format);
            assert!(header(&whole).is_ok(), "{format:?}");
            for side in [0, size] {
                let mut file = whole.clone();
                file[at + side..][..size].fill(0);
                assert!(header(&file).is_err(), "{format:?}");
                assert!(decode(&file, Decoding::default()).is_err(), "{format:?}");
            }
        }
        for size in ["0 1", "1 0", "0 0"] {
            let file = format!("P5 {size} 255\n\0");
            assert!(header(file.as_bytes()).is_err(), "{size}");
            assert!(decode(file.as_bytes(), Decoding::default()).is_err(), "{size}");
        }
    }

    #[test]
    fn every_format_without_loss_gives_back_its_pixels() {
        let grey = noise(20 * 30);
        let rgb = noise(20 * 30 * 3);
        for (format, shades) in [
            (ImageFormat::Png, true),
            (ImageFormat::Tiff, true),
            (ImageFormat::Bmp, true),
            (ImageFormat::WebP, false),
            (ImageFormat::Pnm, true),
        ] {
            let colour = decode(&encode(format, 30, 20, ExtendedColorType::Rgb8, &rgb), Decoding::default());
            assert_eq!(colour.unwrap(), Picture { shape: Shape { h: 20, w: 30, c: 3 }, pixels: rgb.clone() });
            if shades {
                let file = encode(format, 30, 20, ExtendedColorType::L8, &grey);
                let picture = decode(&file, Decoding::default()).unwrap();
                let every = picture.shape.c;
                assert!(picture.pixels.iter().step_by(every).eq(&grey), "{format:?}");
            }
        }
    }

    #[test]
    fn sixteen_bits_and_transparency_become_eight_over_white() {
        let wide: Vec<u8> = [0u16, 1000, 2000, 4095].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let file = encode(ImageFormat::Png, 4, 1, ExtendedColorType::L16, &wide);
        assert_eq!(decode(&file, Decoding::default()).unwrap().pixels, [0, 4, 8, 16]);
        let stretch = Decoding { stretch: true, ..Decoding::default() };
        assert_eq!(decode(&file, stretch).unwrap().pixels, [0, 62, 125, 255]);
        assert_eq!(header(&file).unwrap().bits, 16);
        let file = encode(ImageFormat::Png, 2, 1, ExtendedColorType::La8, &[0, 255, 0, 0]);
        assert_eq!(
            decode(&file, Decoding::default()).unwrap(),
            Picture { shape: Shape { h: 1, w: 2, c: 1 }, pixels: vec![0, 255] }
        );
    }

    #[test]
    fn a_large_jpeg_is_decoded_no_larger_than_needed() {
        let mut smooth = Vec::new();
        for y in 0..400u32 {
            smooth.extend((0..600u32).flat_map(|x| [(x / 3) as u8, (y / 2) as u8, 80]));
        }
        let mut file = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95);
        encoder.write_image(&smooth, 600, 400, ExtendedColorType::Rgb8).unwrap();
        let small = decode(&file, Decoding { at_least: Some([30, 30]), ..Decoding::default() }).unwrap();
        assert_eq!(small.shape, Shape { h: 100, w: 150, c: 3 });
        let middle = &small.pixels[(50 * 150 + 75) * 3..][..3];
        assert!(middle.iter().zip([100, 100, 80]).all(|(a, b)| a.abs_diff(b) < 8), "{middle:?}");
        assert_eq!(decode(&file, Decoding::default()).unwrap().shape, Shape { h: 400, w: 600, c: 3 });
    }

    #[test]
    fn what_is_not_a_whole_picture_is_refused_with_its_reason() {
        let refused = |bytes: &[u8]| decode(bytes, Decoding::default()).unwrap_err();
        assert_eq!(refused(b""), PictureError::Empty);
        assert_eq!(refused(b"not a picture at all"), PictureError::Unknown);
        let data = noise(64 * 64 * 3);
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Gif,
            ImageFormat::Tiff,
            ImageFormat::Pnm,
        ] {
            let whole = encode(format, 64, 64, ExtendedColorType::Rgb8, &data);
            assert!(decode(&whole, Decoding::default()).is_ok(), "{format:?}");
            for share in [1, 2, 3] {
                let error = refused(&whole[..whole.len() * share / 4]);
                assert!(
                    matches!(error, PictureError::Truncated | PictureError::Damaged(_)),
                    "{format:?}, {share}/4: {error:?}"
                );
            }
        }
    }

    /// A header of 60,000 x 60,000 pixels with nothing behind it.
    #[test]
    fn a_bomb_is_refused_before_it_takes_memory() {
        let mut png = encode(ImageFormat::Png, 1, 1, ExtendedColorType::L8, &[0]);
        png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let error = decode(&png, Decoding::default()).unwrap_err();
        assert!(
            error.to_string().contains("60000 x 60000") || error.to_string().contains("memory"),
            "{error}"
        );
        let pnm = b"P5 60000 60000 255\n".to_vec();
        let error = decode(&pnm, Decoding::default()).unwrap_err();
        assert!(error.to_string().contains("60000 x 60000"), "{error}");
    }

    /// Pictures and what Pillow sees in them: `fixtures/pictures.py`. Decoders of lossy formats may differ by a little.
    #[test]
    fn every_kind_of_file_is_seen_as_pillow_sees_it() {
        #[derive(serde::Deserialize)]
        struct Seen {
            h: usize,
            w: usize,
            c: usize,
            pixels: Vec<u8>,
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pictures");
        let text = std::fs::read_to_string(folder.join("pictures.json")).unwrap();
        let all: std::collections::BTreeMap<String, Seen> = serde_json::from_str(&text).unwrap();
        assert!(all.len() >= 40);
        for (name, seen) in all {
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            let picture = decode(&bytes, Decoding::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
            let (Shape { h, w, c }, head) = (picture.shape, header(&bytes).unwrap());
            assert_eq!((h, w), (seen.h, seen.w), "{name}");
            assert_eq!(head.shape, picture.shape, "{name}");
            // Black and white may come as colours.
            let of = |i: usize| seen.pixels[if seen.c == c { i } else { i / 3 }];
            let worst = (0..picture.pixels.len()).map(|i| picture.pixels[i].abs_diff(of(i))).max().unwrap();
            let most = if name.contains("cmyk") || name.contains("ycc") {
                6
            } else if name.ends_with("jpg") || name.contains("ycbcr") {
                3
            } else {
                1
            };
            assert!(worst <= most, "{name}: a value is off by {worst}");
        }
    }

    /// Files that Pillow opens, or that other programs do: nothing is wrong with them.
    #[test]
    fn what_is_not_supported_is_not_called_damaged() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pictures");
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        for (name, why) in [
            ("refused-range.tif", "floats from -"),
            ("refused-signed.tif", "signed"),
            ("refused-nan.tif", "NaN"),
            ("refused-twelve-bits.tif", "12"),
            ("refused-lab.tif", "Lab"),
            ("refused-preview.tif", "camera raw"),
        ] {
            let error = decode(&read(name), Decoding::default()).unwrap_err();
            assert!(
                matches!(error, PictureError::NotSupported(_) | PictureError::Foreign(_))
                    && error.to_string().contains(why),
                "{name}: {error}"
            );
        }
        // Where brightness is spread, a range of its own is no riddle.
        let stretch = Decoding { stretch: true, ..Decoding::default() };
        for name in ["refused-range.tif", "refused-signed.tif"] {
            let pixels = decode(&read(name), stretch).unwrap().pixels;
            assert_eq!((pixels.iter().min(), pixels.iter().max()), (Some(&0), Some(&255)), "{name}");
            let negative = decode(&read("white-is-zero.tif"), stretch).unwrap().pixels;
            assert!(pixels.iter().zip(&negative).all(|(a, b)| a.abs_diff(255 - b) <= 1), "{name}");
        }
        // A JPEG's frame tells its kind: this one of 12 bits, and these lossless and arithmetically coded.
        let jpeg = read("turned.jpg");
        let at = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        for (byte, value, why) in [(4, 12, "12 bits"), (1, 0xc3, "lossless"), (1, 0xc9, "arithmetic")] {
            let mut other = jpeg.clone();
            other[at + byte] = value;
            for error in
                [decode(&other, Decoding::default()).unwrap_err(), header(&other).map(|_| ()).unwrap_err()]
            {
                assert!(
                    matches!(&error, PictureError::NotSupported(said) if said.contains(why)),
                    "{why}: {error}"
                );
            }
        }
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and what it holds";
        let error = decode(heic, Decoding::default()).unwrap_err();
        assert!(matches!(error, PictureError::Foreign(_)), "{error}");
        assert!(
            error.to_string().contains("HEIC picture") && error.to_string().contains("heif-convert"),
            "{error}"
        );
    }
}
