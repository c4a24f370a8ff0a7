//! One picture: from the bytes of a file to pixels.
//!
//! Whatever the file says of itself, decoding takes bounded memory, and a file that does not hold a whole picture is
//! refused with its reason.

use crate::images::Shape;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes that a decoded picture may take: 89 million pixels of colour in 16 bits.
const MOST_BYTES: u64 = 512 << 20;

/// Names that pictures have, after the dot.
const ENDINGS: [&str; 15] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff", "pgm", "ppm", "pbm",
    "pnm",
];

/// Whether a file's name is a picture's.
pub fn is_picture(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, e)| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Grey or colour pixels of 8 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its size; 1 channel or 3.
    pub shape: Shape,
    /// Row-major, channels fastest.
    pub pixels: Vec<u8>,
}

/// A file is not a whole picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// No format's beginning.
    #[error("its content is not a picture of any format that is read (PNG, JPEG, WebP, BMP, GIF, TIFF, PNM)")]
    Unknown,
    /// Too large, or damaged in the place where the size stands.
    #[error("it claims {w} x {h} pixels, which would take {megabytes} MB; {} MB is the most", MOST_BYTES >> 20)]
    TooLarge {
        /// Pixels across.
        w: u32,
        /// Pixels down.
        h: u32,
        /// What they would take.
        megabytes: u64,
    },
    /// The end is missing.
    #[error("it is cut short: the end of the picture is missing")]
    Truncated,
    /// Anything else.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl PictureError {
    fn of(error: &ImageError) -> PictureError {
        if let ImageError::IoError(e) = error
            && e.kind() == std::io::ErrorKind::UnexpectedEof
        {
            return PictureError::Truncated;
        }
        // One line, however many the decoder takes.
        PictureError::Damaged(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// How a picture is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoding {
    /// Height and width that will be needed: where the format allows it, a larger picture is decoded at a reduced scale
    /// that is not below them.
    pub at_least: Option<[usize; 2]>,
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

/// Reads the beginning alone.
pub fn header(bytes: &[u8]) -> Result<Header, PictureError> {
    guarded(|| {
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

/// Decodes a whole file: turned as its orientation says, transparency over white.
pub fn decode(bytes: &[u8], how: Decoding) -> Result<Picture, PictureError> {
    guarded(|| {
        let (format, mut decoder) = open(bytes)?;
        let (w, h) = decoder.dimensions();
        if w == 0 || h == 0 {
            return Err(PictureError::Damaged("it has no pixels".into()));
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        if format == ImageFormat::Jpeg {
            whole_jpeg(bytes)?;
            if let Some(least) = how.at_least
                && let Some(small) = reduced_jpeg(bytes, [h, w], least, turns(orientation))
            {
                return pixels(small, orientation, how.stretch);
            }
        }
        let megabytes = decoder.total_bytes() >> 20;
        if decoder.total_bytes() > MOST_BYTES {
            return Err(PictureError::TooLarge { w, h, megabytes });
        }
        let image = DynamicImage::from_decoder(decoder).map_err(|e| PictureError::of(&e))?;
        pixels(image, orientation, how.stretch)
    })
}

/// A decoder that panics on a damaged file must not end the program.
fn guarded<T>(work: impl FnOnce() -> Result<T, PictureError>) -> Result<T, PictureError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(PictureError::Damaged("its decoder gave up".into())))
}

fn open(bytes: &[u8]) -> Result<(ImageFormat, impl ImageDecoder + '_), PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| PictureError::Unknown)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let format = reader.format().filter(|f| f.reading_enabled()).ok_or(PictureError::Unknown)?;
    let decoder = reader.into_decoder().map_err(|e| match e {
        ImageError::Limits(_) => PictureError::Damaged(format!("{e}; it would take too much memory")),
        e => PictureError::of(&e),
    })?;
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

fn turns(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Decoders fill what is missing of a JPEG with grey; whether anything is missing shows by its end marker alone.
fn whole_jpeg(bytes: &[u8]) -> Result<(), PictureError> {
    // Segments up to the first scan: a thumbnail inside one has an end marker of its own.
    let mut at = 2;
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4) {
        if kind == 0xff {
            at += 1;
            continue;
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
        if kind == 0xda {
            let scan = bytes.get(at..).unwrap_or_default();
            let ends = scan.windows(2).rev().any(|w| w == [0xff, 0xd9]);
            return if ends { Ok(()) } else { Err(PictureError::Truncated) };
        }
    }
    Err(PictureError::Truncated)
}

/// A JPEG at an eighth, a quarter or half of its size, if that is enough. Nothing if it is not, or if it cannot be done.
fn reduced_jpeg(bytes: &[u8], [h, w]: [u32; 2], least: [usize; 2], turned: bool) -> Option<DynamicImage> {
    let [least_h, least_w] = if turned { [least[1], least[0]] } else { least };
    // Half is the least that is worth it.
    if (h as usize) < 2 * least_h || (w as usize) < 2 * least_w {
        return None;
    }
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MOST_BYTES as usize);
    decoder.read_info().ok()?;
    let (w, h) = decoder.scale(u16::try_from(least_w).ok()?, u16::try_from(least_h).ok()?).ok()?;
    let format = decoder.info()?.pixel_format;
    let (w, h) = (u32::from(w), u32::from(h));
    match format {
        jpeg_decoder::PixelFormat::L8 => {
            image::GrayImage::from_raw(w, h, decoder.decode().ok()?).map(DynamicImage::ImageLuma8)
        }
        jpeg_decoder::PixelFormat::RGB24 => {
            image::RgbImage::from_raw(w, h, decoder.decode().ok()?).map(DynamicImage::ImageRgb8)
        }
        _ => None,
    }
}

fn pixels(mut image: DynamicImage, orientation: Orientation, stretch: bool) -> Result<Picture, PictureError> {
    image.apply_orientation(orientation);
    if image.color().has_alpha() {
        image = over_white(image);
    }
    if stretch {
        image = stretched(image);
    }
    let (w, h) = (image.width() as usize, image.height() as usize);
    let (c, pixels) = match image {
        DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
        DynamicImage::ImageLuma16(_) => (1, image.into_luma8().into_raw()),
        _ => (3, image.into_rgb8().into_raw()),
    };
    Ok(Picture { shape: Shape { h, w, c }, pixels })
}

/// Transparency shows what lies behind: paper.
fn over_white(image: DynamicImage) -> DynamicImage {
    let grey = !image.color().has_color();
    let mut all = image.into_rgba8();
    for pixel in all.pixels_mut() {
        let [r, g, b, a] = pixel.0.map(u32::from);
        let over = |v: u32| ((v * a + 255 * (255 - a) + 127) / 255) as u8;
        pixel.0 = [over(r), over(g), over(b), 255];
    }
    let flat = DynamicImage::ImageRgba8(all);
    if grey { DynamicImage::ImageLuma8(flat.into_luma8()) } else { DynamicImage::ImageRgb8(flat.into_rgb8()) }
}

/// From black to white, over all channels together so that colours stay.
fn stretched(image: DynamicImage) -> DynamicImage {
    let wide = matches!(image, DynamicImage::ImageLuma16(_) | DynamicImage::ImageRgb16(_));
    let grey = !image.color().has_color();
    let scale = |values: &[u16]| -> Vec<u8> {
        let least = values.iter().min().copied().unwrap_or(0);
        let span = u32::from(values.iter().max().copied().unwrap_or(0) - least).max(1);
        values.iter().map(|v| ((u32::from(v - least) * 255 + span / 2) / span) as u8).collect()
    };
    let (w, h) = (image.width(), image.height());
    let values = match (grey, wide) {
        (true, true) => scale(&image.into_luma16()),
        (true, false) => scale(&image.into_luma8().iter().map(|v| u16::from(*v)).collect::<Vec<_>>()),
        (false, true) => scale(&image.into_rgb16()),
        (false, false) => scale(&image.into_rgb8().iter().map(|v| u16::from(*v)).collect::<Vec<_>>()),
    };
    // As many values as there were.
    if grey {
        DynamicImage::ImageLuma8(image::GrayImage::from_raw(w, h, values).unwrap_or_default())
    } else {
        DynamicImage::ImageRgb8(image::RgbImage::from_raw(w, h, values).unwrap_or_default())
    }
}

impl Picture {
    /// A part: `[left, top, right, bottom]`, right and bottom excluded.
    pub fn part(&self, [x1, y1, x2, y2]: [u32; 4]) -> Result<Picture, PictureError> {
        let Shape { h, w, c } = self.shape;
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|v| v as usize);
        let (x2, y2) = (x2.min(w), y2.min(h));
        if x1 >= x2 || y1 >= y2 {
            let why = format!("its part from ({x1}, {y1}) to ({x2}, {y2}) has no pixels in {w} x {h}");
            return Err(PictureError::Damaged(why));
        }
        let rows = (y1..y2).flat_map(|y| &self.pixels[(y * w + x1) * c..(y * w + x2) * c]);
        Ok(Picture { shape: Shape { h: y2 - y1, w: x2 - x1, c }, pixels: rows.copied().collect() })
    }

    /// Turned counter-clockwise by so many quarters.
    pub fn turned(self, quarters: u8) -> Picture {
        (0..quarters % 4).fold(self, |p, _| {
            let Shape { h, w, c } = p.shape;
            let mut pixels = Vec::with_capacity(p.pixels.len());
            for x in (0..w).rev() {
                for y in 0..h {
                    pixels.extend_from_slice(&p.pixels[(y * w + x) * c..][..c]);
                }
            }
            Picture { shape: Shape { h: w, w: h, c }, pixels }
        })
    }
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
        let small = decode(&file, Decoding { at_least: Some([90, 90]), stretch: false }).unwrap();
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
        assert!(all.len() >= 9);
        for (name, seen) in all {
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            let picture = decode(&bytes, Decoding::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
            let (Shape { h, w, c }, head) = (picture.shape, header(&bytes).unwrap());
            assert_eq!((h, w), (seen.h, seen.w), "{name}");
            assert_eq!((head.shape.h, head.shape.w), (h, w), "{name}");
            // Black and white may come as colours.
            let of = |i: usize| seen.pixels[if seen.c == c { i } else { i / 3 }];
            let worst = (0..picture.pixels.len()).map(|i| picture.pixels[i].abs_diff(of(i))).max().unwrap();
            let most = if name.contains("cmyk") {
                6
            } else if name.ends_with("jpg") {
                3
            } else {
                1
            };
            assert!(worst <= most, "{name}: a value is off by {worst}");
        }
    }

    #[test]
    fn parts_and_turns() {
        let p = Picture { shape: Shape { h: 2, w: 3, c: 1 }, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(p.part([1, 0, 9, 1]).unwrap().pixels, [2, 3]);
        assert!(p.part([3, 0, 9, 1]).is_err());
        assert_eq!(p.clone().turned(1).pixels, [3, 6, 2, 5, 1, 4]);
        assert_eq!(p.clone().turned(2).pixels, [6, 5, 4, 3, 2, 1]);
        assert_eq!(p.clone().turned(4), p);
    }
}
