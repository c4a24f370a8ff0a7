//! Lays one picture over another, with brightness and contrast adjusted and edges cut, and measures what is left.
//!
//! `b(x, y) = gain * a(zoom_x * x + shift_x, zoom_y * y + shift_y) + offset` is fitted by Gauss-Newton steps, from small pictures to larger ones
//! (Lucas and Kanade, 1981; Baker and Matthews, "Lucas-Kanade 20 years on", 2004). Pixels that are black or white in either do not count, since what was
//! brightened beyond white is lost; nor do, at first, those of which one channel is.
//!
//! Two frames of a burst fit nearly as well. What tells them apart is the frame: who cuts edges off takes a part of a picture in its own
//! proportions, and a hand that moves shows on one side what was not there before.

use super::Relation;
use crate::data::{Picture, Preparation, Resize};
use crate::images::Shape;

/// Sides at which two pictures are laid over each other, one after another.
const SIDES: [usize; 3] = [32, 64, 128];
/// Steps at a size.
const STEPS: usize = 12;
/// What is darker or lighter counts as black or white.
const RANGE: std::ops::RangeInclusive<f64> = 6.0..=249.0;
/// The share of a pixel, of 255, that may be white in one channel, where such pixels are left out.
const CLIPPED: u8 = 6;
/// The share of pixels that must count.
const COUNTED: f64 = 0.12;
/// How far sides may be zoomed, or shifted as a share of the half side.
const ZOOM: f64 = 0.16;
/// Blocks a side, in each of which the rest is measured too.
const BLOCKS: usize = 8;
/// Grey levels of variation without which nothing can be said.
const FLAT: f64 = 3.0;

/// The correlation of copies, at least.
const COPY: f64 = 0.985;
/// What is left in the worst block of copies, as a share of the picture's variation.
const COPY_BLOCK: f64 = 0.35;
/// By how much of the half side one picture may reach beyond the other, where one is cut from the other.
const BEYOND: f64 = 0.004;
/// How much the proportions of what was cut out may differ from those of the other picture, beyond what rounding to whole pixels makes.
const PROPORTIONS: f64 = 0.006;
/// The same of pictures of one scene.
const SCENE: f64 = 0.97;
const SCENE_BLOCK: f64 = 0.6;

/// A grey picture, to be read between its pixels.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    h: usize,
    w: usize,
    pixels: Vec<f64>,
}

impl Plane {
    pub(super) fn new(h: usize, w: usize, pixels: Vec<u8>) -> Plane {
        Plane { h, w, pixels: pixels.into_iter().map(f64::from).collect() }
    }

    fn of(picture: &Picture, h: usize, w: usize) -> Option<Plane> {
        Some(Plane::new(h, w, squashed(picture, Shape { h, w, c: 1 })?))
    }

    /// The same without the pixels a part of which is white in one channel: these are no numbers then.
    fn unclipped(&self, picture: &Picture) -> Option<Plane> {
        let Shape { h, w, c } = picture.shape;
        let is_white = |pixel: &[u8]| u8::from(pixel.iter().any(|v| f64::from(*v) > *RANGE.end())) * 255;
        let white = picture.pixels.chunks_exact(c).map(is_white).collect();
        let white = Picture { shape: Shape { h, w, c: 1 }, pixels: white };
        let white = squashed(&white, Shape { h: self.h, w: self.w, c: 1 })?;
        let mut plane = self.clone();
        plane
            .pixels
            .iter_mut()
            .zip(white)
            .filter(|(_, white)| *white > CLIPPED)
            .for_each(|(v, _)| *v = f64::NAN);
        Some(plane)
    }

    /// The value, and its slope along both sides, at a place whose sides run from -1 to 1; nothing outside.
    fn at(&self, u: f64, v: f64) -> Option<[f64; 3]> {
        let place = |t: f64, n: usize| {
            let t = ((t + 1.0) * n as f64 - 1.0) / 2.0;
            // Half a pixel beyond the middle of the last is still the last.
            let t = if (-0.5..0.0).contains(&t) { 0.0 } else { t };
            let t = if t > (n - 1) as f64 && t <= n as f64 - 0.5 { (n - 1) as f64 } else { t };
            let i = (t.floor().max(0.0) as usize).min(n - 2);
            (t >= 0.0 && t <= (n - 1) as f64).then_some((i, t - i as f64))
        };
        let ((x, p), (y, q)) = (place(u, self.w)?, place(v, self.h)?);
        let [a, b] = [0, 1].map(|i| self.pixels[y * self.w + x + i]);
        let [c, d] = [0, 1].map(|i| self.pixels[(y + 1) * self.w + x + i]);
        let value = (a * (1.0 - p) + b * p) * (1.0 - q) + (c * (1.0 - p) + d * p) * q;
        let along = ((b - a) * (1.0 - q) + (d - c) * q) * self.w as f64 / 2.0;
        let down = ((c - a) * (1.0 - p) + (d - b) * p) * self.h as f64 / 2.0;
        Some([value, along, down])
    }
}

/// How two pictures lie over each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fit {
    /// `[zoom_x, shift_x, zoom_y, shift_y, gain, offset]`.
    how: [f64; 6],
    /// The correlation of what counts.
    pub(crate) correlation: f64,
    /// What is left in the worst block, as a share of the variation of the whole.
    pub(crate) worst: f64,
    /// Whether one lies within the other, in its own proportions.
    is_part: bool,
}

/// Lays `a` over `b`; nothing if they cannot be one.
pub(crate) fn fit(a: &Picture, b: &Picture) -> Option<Fit> {
    let sides = |p: &Picture| (p.shape.h as f64, p.shape.w as f64);
    let ((ah, aw), (bh, bw)) = (sides(a), sides(b));
    if ((ah / aw) / (bh / bw)).ln().abs() > ZOOM {
        return None;
    }
    let most = a.shape.h.min(b.shape.h).min(a.shape.w).min(b.shape.w);
    let mut sides: Vec<usize> = SIDES.into_iter().filter(|s| *s <= most).collect();
    if sides.is_empty() {
        sides.push(most.max(2));
    }
    let planes: Vec<(Plane, Plane)> =
        sides.into_iter().map(|s| Plane::of(a, s, s).zip(Plane::of(b, s, s))).collect::<Option<_>>()?;
    let in_proportion = |fit: Fit| {
        let [zoom_x, _, zoom_y, ..] = fit.how;
        let stretched = ((zoom_x * aw) / (zoom_y * ah) * (bh / bw)).ln().abs();
        Fit { is_part: fit.is_part && stretched <= PROPORTIONS + 0.5 / most as f64, ..fit }
    };
    let plain = Fit::of(&planes).map(in_proportion);
    if plain.is_some_and(|fit| fit.relation() == Some(Relation::Altered)) {
        return plain;
    }
    // A colour of which one channel was brightened beyond white is another one now.
    let unclipped: Vec<(Plane, Plane)> =
        planes.iter().map(|(x, y)| x.unclipped(a).zip(y.unclipped(b))).collect::<Option<_>>()?;
    let is_clipped = |plane: &Plane| plane.pixels.iter().any(|v| v.is_nan());
    if !unclipped.iter().any(|(x, y)| is_clipped(x) || is_clipped(y)) {
        return plain;
    }
    let without = Fit::of(&unclipped).map(in_proportion);
    without.filter(|fit| fit.relation().is_some()).or(plain)
}

/// A picture of another shape, all of it.
fn squashed(picture: &Picture, shape: Shape) -> Option<Vec<u8>> {
    let to = Preparation { resize: Resize::Squash, ..Preparation::exact(shape) };
    let mut out = vec![0; shape.len()];
    to.apply(picture, &mut out).ok()?;
    Some(out)
}

impl Fit {
    /// Lays pictures over each other, at each size from what the size before found.
    pub(super) fn of(sizes: &[(Plane, Plane)]) -> Option<Fit> {
        let mut how = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        for (a, b) in sizes {
            how = photometric(a, b, how)?;
            for _ in 0..STEPS {
                let Some(next) = step(a, b, how) else { break };
                let moved: f64 = (0..4).map(|i| (next[i] - how[i]).abs()).sum();
                how = next;
                if moved < 1e-4 {
                    break;
                }
            }
            let [zx, tx, zy, ty, ..] = how;
            if [zx - 1.0, tx, zy - 1.0, ty].iter().any(|v| v.abs() > ZOOM) {
                return None;
            }
        }
        let (a, b) = sizes.last()?;
        measure(a, b, photometric(a, b, how)?)
    }

    /// What `b` is of `a`.
    pub(crate) fn relation(&self) -> Option<Relation> {
        if self.is_part && self.correlation >= COPY && self.worst <= COPY_BLOCK {
            Some(Relation::Altered)
        } else {
            (self.correlation >= SCENE && self.worst <= SCENE_BLOCK).then_some(Relation::Scene)
        }
    }
}

/// Calls `see` with every pixel of `b` that counts: its number, its place, its value, and what `a` has there.
fn pairs(a: &Plane, b: &Plane, how: [f64; 6], mut see: impl FnMut(usize, [f64; 2], f64, [f64; 3])) -> usize {
    let [zx, tx, zy, ty, ..] = how;
    let middle = |i: usize, n: usize| (2.0 * i as f64 + 1.0) / n as f64 - 1.0;
    let mut n = 0;
    for y in 0..b.h {
        let v = middle(y, b.h);
        for x in 0..b.w {
            let u = middle(x, b.w);
            let value = b.pixels[y * b.w + x];
            let Some(there) = a.at(zx * u + tx, zy * v + ty) else { continue };
            if RANGE.contains(&value) && RANGE.contains(&there[0]) {
                see(y * b.w + x, [u, v], value, there);
                n += 1;
            }
        }
    }
    n
}

/// The gain and offset that fit best, over what counts; nothing where too little does, or it is flat.
fn photometric(a: &Plane, b: &Plane, how: [f64; 6]) -> Option<[f64; 6]> {
    let (mut sa, mut sb, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let n = pairs(a, b, how, |_, _, y, [x, ..]| {
        (sa, sb) = (sa + x, sb + y);
        (aa, bb, ab) = (aa + x * x, bb + y * y, ab + x * y);
    });
    if (n as f64) < COUNTED * b.pixels.len() as f64 {
        return None;
    }
    let n = n as f64;
    let (va, vb, cov) = (aa / n - (sa / n).powi(2), bb / n - (sb / n).powi(2), ab / n - sa * sb / (n * n));
    if va.min(vb) < FLAT * FLAT || cov <= 0.0 {
        return None;
    }
    let gain = cov / va;
    Some([how[0], how[1], how[2], how[3], gain, (sb - gain * sa) / n])
}

/// A Gauss-Newton step of all six numbers.
fn step(a: &Plane, b: &Plane, how: [f64; 6]) -> Option<[f64; 6]> {
    let (mut normal, mut right) = ([[0.0; 6]; 6], [0.0; 6]);
    let [.., gain, offset] = how;
    pairs(a, b, how, |_, [u, v], y, [x, along, down]| {
        let rest = y - gain * x - offset;
        let by = [gain * along * u, gain * along, gain * down * v, gain * down, x, 1.0];
        for i in 0..6 {
            right[i] += by[i] * rest;
            for j in 0..6 {
                normal[i][j] += by[i] * by[j];
            }
        }
    });
    // A touch of damping, for pictures that vary along one side alone.
    let trace: f64 = (0..4).map(|i| normal[i][i]).sum();
    (0..4).for_each(|i| normal[i][i] += 1e-4 * trace);
    let found =
        nalgebra::Matrix6::from_fn(|i, j| normal[i][j]).cholesky()?.solve(&nalgebra::Vector6::from(right));
    let next: [f64; 6] = std::array::from_fn(|i| how[i] + found[i]);
    next.iter().all(|v| v.is_finite()).then_some(next)
}

/// What is left once the pictures lie over each other.
fn measure(a: &Plane, b: &Plane, how: [f64; 6]) -> Option<Fit> {
    let [.., gain, offset] = how;
    let mut blocks = [(0usize, 0.0); BLOCKS * BLOCKS];
    let (mut sum, mut squares, mut left) = (0.0, 0.0, 0.0);
    let n = pairs(a, b, how, |at, _, y, [x, ..]| {
        let rest = y - gain * x - offset;
        (sum, squares, left) = (sum + y, squares + y * y, left + rest * rest);
        let block = &mut blocks[at / b.w * BLOCKS / b.h * BLOCKS + at % b.w * BLOCKS / b.w];
        *block = (block.0 + 1, block.1 + rest * rest);
    });
    // By how much `b` reaches beyond `a`, or `a` beyond `b`: one of them may not.
    let [zx, tx, zy, ty, ..] = how.map(f64::abs);
    let reach = (zx + tx).max(zy + ty).min(((1.0 + tx) / zx).max((1.0 + ty) / zy)) - 1.0;
    let variance = squares / n as f64 - (sum / n as f64).powi(2);
    let enough = b.pixels.len() / (BLOCKS * BLOCKS * 4);
    let worst =
        blocks.iter().filter(|(n, _)| *n > enough).map(|(n, rest)| rest / *n as f64).fold(0.0, f64::max);
    Some(Fit {
        how,
        correlation: (1.0 - left / n as f64 / variance).max(0.0).sqrt(),
        worst: (worst / variance).sqrt(),
        is_part: reach <= BEYOND,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::same_picture;
    use image::imageops::{FilterType, crop_imm, resize};
    use image::{Rgb, RgbImage};

    /// Shapes of many sizes, with another kind of noise in every frame.
    fn photo(scene: u32, frame: u32) -> RgbImage {
        RgbImage::from_fn(240, 180, |x, y| {
            let s = scene as f32 * 1.7;
            let (u, v) = (x as f32, y as f32);
            let wave = |f: f32| ((u * f + s).sin() * (v * f * 0.8 + 2.0 * s).cos()) * 35.0;
            let h = crate::rng::mix(u64::from(x) << 40 | u64::from(y) << 20 | u64::from(frame)) >> 56;
            let at = 110.0
                + wave(0.03)
                + wave(0.11)
                + f32::from((u * 0.04 + s).sin() > 0.3) * 40.0
                + h as f32 * 0.03;
            Rgb([1.0, 0.9, 0.75].map(|c| (at * c).clamp(0.0, 255.0) as u8))
        })
    }

    fn picture(image: &RgbImage) -> Picture {
        let shape = Shape { h: image.height() as usize, w: image.width() as usize, c: 3 };
        Picture { shape, pixels: image.as_raw().clone() }
    }

    fn relation(a: &RgbImage, b: &RgbImage) -> Option<Relation> {
        let (a, b) = (picture(a), picture(b));
        assert!(!same_picture(&a, &b, false));
        fit(&a, &b).and_then(|f| f.relation())
    }

    fn changed(image: &RgbImage, by: impl Fn(f32) -> f32) -> RgbImage {
        let mut out = image.clone();
        out.iter_mut().for_each(|v| *v = by(f32::from(*v)).clamp(0.0, 255.0) as u8);
        out
    }

    #[test]
    fn what_was_cut_or_brightened_is_an_altered_copy() {
        for scene in 0..6 {
            let a = photo(scene, 0);
            let cut = crop_imm(&a, 6, 4, 228, 171).to_image();
            let bright = changed(&a, |v| v * 1.3);
            let copies = [
                bright.clone(),
                changed(&a, |v| v * 0.7 + 10.0),
                cut.clone(),
                resize(&crop_imm(&bright, 6, 4, 228, 171).to_image(), 160, 120, FilterType::Triangle),
            ];
            for (i, copy) in copies.iter().enumerate() {
                assert_eq!(relation(&a, copy), Some(Relation::Altered), "scene {scene}, {i}");
                assert_eq!(relation(copy, &a), Some(Relation::Altered), "scene {scene}, {i}, the other way");
            }
            // The numbers of the fit are those of the cut, in half sides from the middle.
            let [zx, tx, zy, ty, gain, _] = fit(&picture(&a), &picture(&cut)).unwrap().how;
            let want = [228.0 / 240.0, 0.0, 171.0 / 180.0, (4.0 - 5.0) / 180.0, 1.0];
            for (got, want) in [zx, tx, zy, ty, gain].into_iter().zip(want) {
                assert!((got - want).abs() < 0.005, "{got}, not {want}");
            }
        }
    }

    #[test]
    fn what_shows_more_or_something_else_is_no_altered_copy() {
        for scene in 0..6 {
            let wide = photo(scene, 0);
            let view =
                |x, y, w, h| resize(&crop_imm(&wide, x, y, w, h).to_image(), 120, 90, FilterType::Triangle);
            let a = view(10, 10, 200, 150);
            assert_ne!(relation(&a, &view(16, 10, 200, 150)), Some(Relation::Altered), "the hand moved");
            assert_ne!(relation(&a, &view(10, 10, 200, 140)), Some(Relation::Altered), "other proportions");
            let mut before = a.clone();
            (50..80).for_each(|x| (30..60).for_each(|y| before.put_pixel(x, y, Rgb([30, 30, 30]))));
            assert_ne!(relation(&a, &before), Some(Relation::Altered), "something is before it");
            assert_eq!(relation(&a, &resize(&photo(scene + 1, 0), 120, 90, FilterType::Triangle)), None);
            assert_eq!(fit(&picture(&a), &picture(&changed(&a, |_| 90.0))), None, "flat");
        }
    }

    #[test]
    fn a_colour_of_which_one_channel_was_brightened_beyond_white_does_not_count() {
        // Half of it is so red that a quarter more light makes another colour of it.
        let red = |x: u32, grey: u8| {
            if x < 120 { [1.6, 0.5, 0.4] } else { [0.8; 3] }
                .map(|c: f32| (f32::from(grey) * c).min(255.0) as u8)
        };
        let plain = photo(1, 0);
        let original = RgbImage::from_fn(240, 180, |x, y| Rgb(red(x, plain.get_pixel(x, y)[0])));
        let brighter = RgbImage::from_fn(240, 180, |x, y| {
            Rgb(original.get_pixel(x, y).0.map(|c| (f32::from(c) * 1.25).min(255.0) as u8))
        });
        let (a, b) = (picture(&original), picture(&brighter));
        let grey = SIDES.map(|s| (Plane::of(&a, s, s).unwrap(), Plane::of(&b, s, s).unwrap()));
        assert_ne!(
            Fit::of(&grey).and_then(|fit| fit.relation()),
            Some(Relation::Altered),
            "by brightness alone"
        );
        assert_eq!(fit(&a, &b).and_then(|fit| fit.relation()), Some(Relation::Altered));
    }
}
