//! Whether two pictures are one: the same file, or encoded or scaled anew; not two that are merely alike.

use crate::data::Picture;
use crate::data::{Preparation, Resize};
use crate::images::Shape;

/// The larger of two pictures is scaled to the smaller, and both to no more than this.
const SIDE: usize = 512;
/// The side at which colours are compared.
const COLOURS: usize = 8;
/// Grey levels by which two encodings of a picture differ in the mean, at most. JPEG of quality 30 differs by 7, two photographs of one
/// face by 8 or more.
const DIFFERENCE: f64 = 6.5;
/// Grey levels by which two pictures differ in the mean, at most, where neither encoding loses anything.
const LOSSLESS: f64 = 1.0;
/// Grey levels by which their means differ: another exposure is another picture.
const MEANS: f64 = 1.5;
/// The share of the variance that they do not have in common.
const APART: f64 = 0.04;
/// How much what they differ by looks like one of them moved a little (a correlation with the gradients): encoders move nothing, hands do.
const MOVED: f64 = 0.3;
/// Levels below which all differences are rounding.
const ROUNDING: f64 = 0.5;
/// How much the sides' proportions may differ beyond what rounding them to whole pixels makes.
const PROPORTIONS: f64 = 0.01;

/// Whether two pictures are the same, encoded anew, scaled, or in grey. `lossless`: both are kept without loss, so that a copy of the
/// same size has the same pixels.
pub fn same_picture(a: &Picture, b: &Picture, lossless: bool) -> bool {
    if a == b {
        return true;
    }
    let (one, two) = (a.shape, b.shape);
    let stretch = |x: usize, y: usize| x as f64 / y as f64;
    // By how much a side of so many pixels is off if it was rounded.
    let rounding = 1.0 / one.h.min(one.w).min(two.h.min(two.w)) as f64;
    let by = stretch(one.h, two.h) / stretch(one.w, two.w);
    if (by - 1.0).abs() > PROPORTIONS + rounding {
        return false;
    }
    let (h, w) = (one.h.min(two.h).min(SIDE), one.w.min(two.w).min(SIDE));
    let grey = |p: &Picture| -> Option<Vec<u8>> {
        let to = Preparation { resize: Resize::Squash, ..Preparation::exact(Shape { h, w, c: 1 }) };
        let mut out = vec![0; h * w];
        to.apply(p, &mut out).ok().map(|()| out)
    };
    let (Some(x), Some(y)) = (grey(a), grey(b)) else { return false };
    if lossless && one == two {
        return mean_difference(&a.pixels, &b.pixels) <= LOSSLESS;
    }
    let same_size = (one.h, one.w) == (two.h, two.w);
    let most = if lossless && same_size { LOSSLESS } else { DIFFERENCE };
    alike(&x, &y, (h, w), most) && (one.c != two.c || one.c == 1 || colours(a, b))
}

fn mean_difference(x: &[u8], y: &[u8]) -> f64 {
    x.iter().zip(y).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / x.len().max(1) as f64
}

/// Whether two pictures have the same colours, which encoders keep at a lower resolution.
fn colours(a: &Picture, b: &Picture) -> bool {
    let side = |x: usize, y: usize| x.min(y).min(COLOURS);
    let shape = Shape { h: side(a.shape.h, b.shape.h), w: side(a.shape.w, b.shape.w), c: a.shape.c };
    let small = |p: &Picture| -> Option<Vec<u8>> {
        let to = Preparation { resize: Resize::Squash, ..Preparation::exact(shape) };
        let mut out = vec![0; shape.len()];
        to.apply(p, &mut out).ok().map(|()| out)
    };
    small(a).zip(small(b)).is_some_and(|(x, y)| {
        let of = |v: &[u8], c: usize| v.iter().skip(c).step_by(shape.c).copied().collect::<Vec<u8>>();
        (0..shape.c).all(|c| mean_difference(&of(&x, c), &of(&y, c)) <= DIFFERENCE)
    })
}

/// Compares two grey images of one size in the same way.
fn alike(x: &[u8], y: &[u8], (h, w): (usize, usize), most: f64) -> bool {
    let n = x.len() as f64;
    let mean = |v: &[u8]| v.iter().map(|p| f64::from(*p)).sum::<f64>() / n;
    let (mx, my) = (mean(x), mean(y));
    let apart = mean_difference(x, y);
    if apart > most || (mx - my).abs() > MEANS {
        return false;
    }
    if apart <= ROUNDING {
        return true;
    }
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (f64::from(*a) - mx, f64::from(*b) - my);
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    if xx * yy == 0.0 || 1.0 - xy / (xx * yy).sqrt() > APART {
        return false;
    }
    // What one differs from the other by, beside their common gradients along each side.
    let (mut rr, mut by_side) = (0.0, [(0.0, 0.0); 2]);
    let common = |i: usize| f64::from(x[i]) + f64::from(y[i]);
    for at in 0..x.len() {
        let (row, column) = (at / w, at % w);
        let r = (f64::from(x[at]) - mx) - (f64::from(y[at]) - my);
        rr += r * r;
        let steps = [(column > 0 && column + 1 < w, 1), (row > 0 && row + 1 < h, w)];
        for ((rg, gg), (inside, step)) in by_side.iter_mut().zip(steps) {
            if inside {
                let gradient = common(at + step) - common(at - step);
                *rg += r * gradient;
                *gg += gradient * gradient;
            }
        }
    }
    by_side.iter().all(|(rg, gg)| rg.abs() <= MOVED * (rr * gg).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::imageops::{FilterType, resize};
    use image::{Rgb, RgbImage};

    /// A photograph of a kind: shapes of many sizes, light from one side, and a sensor's noise.
    fn photo(scene: u32, frame: u32, moved: f32, light: f32) -> RgbImage {
        let noise = |x: u32, y: u32| {
            let h = crate::rng::mix(u64::from(x) << 40 | u64::from(y) << 20 | u64::from(frame)) >> 40;
            (h as f32 / (1u32 << 24) as f32 - 0.5) * 16.0
        };
        RgbImage::from_fn(120, 90, |x, y| {
            let (u, v) = (x as f32 + moved, y as f32);
            let s = scene as f32 * 1.7;
            let wave = |f: f32, p: f32| ((u * f + s).sin() * (v * f * 0.8 + p + s).cos()) * 38.0;
            let box_in = ((u * 0.07 + s).sin() > 0.3) as u8 as f32 * 45.0;
            let at = 105.0 + wave(0.06, 1.0) + wave(0.21, 2.0) + box_in + u * 0.2;
            let c = |k: f32| ((at * k * light) + noise(x, y)).clamp(0.0, 255.0) as u8;
            Rgb([c(1.0), c(0.9), c(0.75)])
        })
    }

    fn picture(image: &RgbImage) -> Picture {
        let shape = Shape { h: image.height() as usize, w: image.width() as usize, c: 3 };
        Picture { shape, pixels: image.as_raw().clone() }
    }

    fn jpeg(image: &RgbImage, quality: u8) -> RgbImage {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image).unwrap();
        image::load_from_memory(&bytes).unwrap().to_rgb8()
    }

    fn same(a: &RgbImage, b: &RgbImage, lossless: bool) -> bool {
        same_picture(&picture(a), &picture(b), lossless)
    }

    #[test]
    fn a_picture_encoded_anew_is_the_same() {
        for scene in 0..6 {
            let a = photo(scene, 0, 0.0, 1.0);
            assert!(same(&a, &a.clone(), true));
            for quality in [40, 60, 75, 90] {
                assert!(same(&a, &jpeg(&a, quality), false), "scene {scene}, quality {quality}");
                assert!(same(&jpeg(&a, 90), &jpeg(&a, quality), false));
            }
            for (w, h) in [(60, 45), (40, 30), (240, 180), (97, 73)] {
                assert!(same(&a, &resize(&a, w, h, FilterType::CatmullRom), true), "{w} x {h}");
                assert!(same(&a, &jpeg(&resize(&a, w, h, FilterType::Triangle), 80), false), "{w} x {h}");
            }
            let grey = image::DynamicImage::ImageRgb8(a.clone()).to_luma8();
            let grey = Picture { shape: Shape { h: 90, w: 120, c: 1 }, pixels: grey.into_raw() };
            assert!(same_picture(&picture(&a), &grey, true), "in grey");
        }
    }

    #[test]
    fn pictures_that_are_merely_alike_are_two() {
        for scene in 0..6 {
            let a = photo(scene, 0, 0.0, 1.0);
            assert!(!same(&a, &photo(scene, 1, 0.0, 1.0), true), "another frame: other noise");
            assert!(!same(&a, &photo(scene, 1, 1.0, 1.0), false), "the hand moved");
            assert!(
                !same(&jpeg(&a, 90), &jpeg(&photo(scene, 1, 0.6, 1.0), 90), false),
                "the hand moved a little"
            );
            assert!(!same(&a, &photo(scene, 0, 0.0, 1.05), false), "another exposure");
            assert!(!same(&a, &photo(scene + 1, 0, 0.0, 1.0), false));
            let mut blink = a.clone();
            (30..60).for_each(|x| (20..50).for_each(|y| blink.put_pixel(x, y, Rgb([20, 20, 20]))));
            assert!(!same(&a, &blink, false), "something is before it");
            let mut blue = a.clone();
            blue.pixels_mut().for_each(|p| p.0 = [p.0[2], p.0[1], p.0[0].saturating_add(3)]);
            assert!(!same(&a, &blue, false) && !same(&a, &blue, true), "in other colours");
            let mirrored = image::imageops::flip_horizontal(&a);
            assert!(!same(&a, &mirrored, false));
            let crop = image::imageops::crop_imm(&a, 0, 0, 60, 90).to_image();
            assert!(!same(&a, &crop, false), "a part of it");
        }
    }

    #[test]
    fn photographs_of_one_face_are_not_one_picture() {
        let Some(data) = std::env::var_os("ALIKE_DATA") else {
            eprintln!("skipped: ALIKE_DATA is not set, so there are no ORL faces");
            return;
        };
        let folder = std::path::Path::new(&data).join("orl-faces");
        let face = |person: u32, i: u32| {
            let bytes = std::fs::read(folder.join(format!("s{person}/{i}.pgm"))).unwrap();
            crate::data::decode(&bytes, crate::data::Decoding::default()).unwrap()
        };
        for person in 1..=40 {
            let all: Vec<Picture> = (1..=10).map(|i| face(person, i)).collect();
            for (i, a) in all.iter().enumerate() {
                assert!(all[..i].iter().all(|b| !same_picture(a, b, false)), "person {person}, {}", i + 1);
            }
            let Shape { h, w, .. } = all[0].shape;
            let grey = image::GrayImage::from_raw(w as u32, h as u32, all[0].pixels.clone()).unwrap();
            let anew = jpeg(&image::DynamicImage::ImageLuma8(grey).to_rgb8(), 60);
            assert!(same_picture(&all[0], &picture(&anew), false), "person {person}");
        }
    }
}
