//! Pictures: grey or colour pixels of 8 bits, as people see them.

use super::PictureError;
use crate::images::{Shape, turned};
use image::DynamicImage;
use image::metadata::Orientation;

/// Names that pictures have, after the dot.
const ENDINGS: [&str; 19] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "pjpeg", "mpo", "webp", "bmp", "dib", "gif", "tif", "tiff",
    "pgm", "ppm", "pbm", "pnm", "pam",
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

impl Picture {
    /// An image as people see it: turned as its orientation says, transparency over white, cut to 8 bits.
    pub(super) fn of(mut image: DynamicImage, orientation: Orientation, stretch: bool) -> Picture {
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
        Picture { shape: Shape { h, w, c }, pixels }
    }

    /// A part: `[left, top, right, bottom]`, right and bottom excluded.
    ///
    /// # Errors
    ///
    /// If it has no pixels of the picture.
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
        if quarters.is_multiple_of(4) {
            return self;
        }
        let (shape, pixels) = turned(&self.pixels, self.shape, quarters);
        Picture { shape, pixels }
    }
}

/// Whether width and height are exchanged.
pub(super) fn turns(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The height and width that a picture has once it fits into others.
pub(super) fn fitted([h, w]: [usize; 2], [most_h, most_w]: [usize; 2]) -> [usize; 2] {
    let zoom = (most_w as f64 / w as f64).min(most_h as f64 / h as f64);
    let side = |side: usize, most: usize| ((side as f64 * zoom).round() as usize).clamp(1, most);
    [side(h, most_h), side(w, most_w)]
}

/// Transparent pixels over white.
fn over_white(image: DynamicImage) -> DynamicImage {
    let grey = !image.color().has_color();
    let over = |v: u32, a: u32, white: u32| {
        let (v, a, white) = (u64::from(v), u64::from(a), u64::from(white));
        (v * a + white * (white - a) + white / 2) / white
    };
    match (grey, image) {
        (true, DynamicImage::ImageLumaA16(two)) => {
            DynamicImage::ImageLuma16(image::ImageBuffer::from_fn(two.width(), two.height(), |x, y| {
                let [v, a] = two.get_pixel(x, y).0;
                image::Luma([over(v.into(), a.into(), 65535) as u16])
            }))
        }
        (false, DynamicImage::ImageRgba16(four)) => {
            DynamicImage::ImageRgb16(image::ImageBuffer::from_fn(four.width(), four.height(), |x, y| {
                let [r, g, b, a] = four.get_pixel(x, y).0;
                image::Rgb([r, g, b].map(|v| over(v.into(), a.into(), 65535) as u16))
            }))
        }
        (grey, image) => {
            let mut all = image.into_rgba8();
            for pixel in all.pixels_mut() {
                let [r, g, b, a] = pixel.0;
                let [r, g, b] = [r, g, b].map(|v| over(v.into(), a.into(), 255) as u8);
                pixel.0 = [r, g, b, 255];
            }
            let flat = DynamicImage::ImageRgba8(all);
            if grey {
                DynamicImage::ImageLuma8(flat.into_luma8())
            } else {
                DynamicImage::ImageRgb8(flat.into_rgb8())
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
