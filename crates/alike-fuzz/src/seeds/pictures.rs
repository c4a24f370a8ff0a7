//! Pictures of every format that is read.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use std::io::Cursor;
use std::sync::LazyLock;

fn colours() -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(9, 7, |x, y| {
        Rgb([(x * 28) as u8, (y * 36) as u8, (x * y) as u8])
    }))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap_or_else(|e| panic!("{format:?}: {e}"));
    bytes.into_inner()
}

/// Made once: targets lay it beside every input.
pub(crate) fn png() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| encoded(&colours(), ImageFormat::Png));
    &BYTES
}

/// As [`png`].
pub(crate) fn bmp() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| encoded(&colours(), ImageFormat::Bmp));
    &BYTES
}

/// A note of how a camera was held, as JPEG files have it: turned by a quarter.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let len = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &len, exif, &jpeg[2..]].concat()
}

/// A JPEG of several scans, grey: no encoder here makes one, so it is written by hand, all zeros.
fn progressive() -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    let mut segment = |kind: u8, content: &[u8]| {
        file.extend([0xff, kind]);
        file.extend((content.len() as u16 + 2).to_be_bytes());
        file.extend(content);
    };
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    segment(0xc2, &[8, 0, 16, 0, 24, 1, 1, 0x11, 0]);
    for class in [0x00, 0x10] {
        segment(0xc4, &[&[class, 1][..], &[0; 15], &[0]].concat());
    }
    segment(0xda, &[1, 1, 0, 0, 0, 0]);
    file.extend([0, 0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0, 0, 0xff, 0xd9]);
    file
}

fn tiff(tiles: bool) -> Vec<u8> {
    // Eight pixels by eight, grey, as one strip or one tile of sixteen by sixteen.
    let (w, side) = (8u32, if tiles { 16u32 } else { 8 });
    let mut entries = vec![(256u16, w), (257, w), (258, 8), (259, 1), (262, 1), (277, 1)];
    let data = (side * side) as usize;
    if tiles {
        entries.extend([(322, side), (323, side), (324, 8), (325, data as u32)]);
    } else {
        entries.extend([(273, 8), (278, w), (279, data as u32), (274, 6)]);
    }
    entries.sort_unstable();
    let mut file = b"II*\0".to_vec();
    file.extend((8 + data as u32).to_le_bytes());
    file.extend((0..data).map(|i| i as u8));
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend([4, 0, 1, 0, 0, 0]);
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

pub(crate) fn all() -> Vec<Vec<u8>> {
    let colours = colours();
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_fn(6, 5, |x, y| {
        Rgba([x as u8 * 40, y as u8 * 50, 9, (x * y) as u8 * 12])
    }));
    let mut all = Vec::new();
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ] {
        all.push(encoded(&colours, format));
    }
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Tiff] {
        all.push(encoded(&clear, format));
    }
    let grey = colours.to_luma8();
    all.push(encoded(&DynamicImage::ImageLuma8(grey.clone()), ImageFormat::Jpeg));
    all.push(encoded(&DynamicImage::ImageLuma8(grey), ImageFormat::Pnm));
    all.push(encoded(&DynamicImage::ImageLuma16(colours.to_luma16()), ImageFormat::Png));
    all.push(encoded(&DynamicImage::ImageRgb16(colours.to_rgb16()), ImageFormat::Tiff));
    all.push(turned(&encoded(&colours, ImageFormat::Jpeg)));
    all.extend([progressive(), tiff(false), tiff(true)]);
    all.push(b"P1 3 2 1 0 1 0 1 0".to_vec());
    all.push(b"P2 3 2 9 1 2 3 4 5 6".to_vec());
    all.push(
        b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n0123456789abcdef".to_vec(),
    );
    all
}
