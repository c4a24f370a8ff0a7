//! Changing images as training sees them: shifted, turned, blurred, lit otherwise.
//!
//! How an image is changed depends on the seed, the epoch, the image and its view, and on nothing else. Nothing is flipped
//! unless asked for: a flipped letter is another letter.

use crate::files::FileError;
use crate::images::{Images, Shape};
use crate::rng::{Purpose, Rng, RngExt, stream};
use crate::text::{self, Choice};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How images are changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Augment {
    /// Not at all.
    None,
    /// As the values say, none of which is set.
    Custom(Changes),
    /// Small shifts, turns and shears: for characters and other drawings.
    Affine(Affine),
}

/// Strengths; zero leaves a kind of change out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Moved down by up to this share of the height and across by up to this share of the width, either way.
    pub shift: f64,
    /// Turned by up to so many degrees.
    pub rotate: f64,
    /// Larger or smaller by up to this share.
    pub scale: f64,
    /// Slanted: rows rise or fall by up to so many pixels for every pixel across.
    pub shear: f64,
    /// Bent: points of a coarse grid move by up to this share of the shorter side.
    pub elastic: f64,
    /// A random part of at least `1 - crop` of the side is enlarged to the whole.
    pub crop: f64,
    /// The probability of a mirror image.
    pub flip: f64,
    /// Brighter or darker by up to this share of white.
    pub brightness: f64,
    /// More or less contrast by up to this share.
    pub contrast: f64,
    /// Each channel stronger or weaker by up to this share.
    pub colour: f64,
    /// Noise of this share of white, as a standard deviation.
    pub noise: f64,
    /// The probability of a blur over 3 x 3 pixels.
    pub blur: f64,
    /// The probability that a rectangle of up to a third of each side is filled with one random value.
    pub erase: f64,
}

/// See [`Augment::Affine`]: strengths as in [`Changes`], with defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Affine {
    /// See [`Changes::shift`].
    pub shift: f64,
    /// See [`Changes::rotate`].
    pub rotate: f64,
    /// See [`Changes::scale`].
    pub scale: f64,
    /// See [`Changes::shear`].
    pub shear: f64,
    /// See [`Changes::elastic`].
    pub elastic: f64,
}

impl Default for Affine {
    fn default() -> Affine {
        Affine { shift: 0.07, rotate: 12.0, scale: 0.1, shear: 0.1, elastic: 0.0 }
    }
}

impl Choice for Augment {
    const WHAT: &'static str = "augmentation";

    fn all() -> Vec<Augment> {
        vec![Augment::None, Augment::Affine(Affine::default()), Augment::Custom(Changes::default())]
    }
}

impl std::str::FromStr for Augment {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Augment, text::ChoiceError> {
        text::parse(s)
    }
}

impl Augment {
    /// The strengths, if there are any.
    pub fn changes(&self) -> Option<Changes> {
        match *self {
            Augment::None => None,
            Augment::Custom(changes) => Some(changes),
            Augment::Affine(Affine { shift, rotate, scale, shear, elastic }) => {
                Some(Changes { shift, rotate, scale, shear, elastic, ..Changes::default() })
            }
        }
    }

    /// Every image, changed as in a first epoch.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn changed(&self, images: &Images, seed: u64) -> Result<Images, FileError> {
        let Some(changes) = self.changes() else { return Ok(images.clone()) };
        let shape = images.shape();
        let mut data = vec![0; images.len() * shape.len()];
        data.par_chunks_mut(shape.len()).enumerate().try_for_each_init(Vec::new, |scratch, (i, to)| {
            let occasion = Occasion { seed, epoch: 0, image: i as u64, view: 0 };
            changes.apply(shape, occasion, images.image(i, scratch)?, to);
            Ok(())
        })?;
        Ok(Images::new(shape, data))
    }

    /// Why a strength is impossible, if one is.
    pub fn refusal(&self) -> Option<String> {
        for (key, value) in self.values() {
            let most = if key == "rotate" { 180.0 } else { 1.0 };
            if !value.as_f64().is_some_and(|v| (0.0..=most).contains(&v)) {
                return Some(format!("augmentation: {key} is a number from 0 to {most}, not {value}"));
            }
        }
        None
    }
}

/// Points of the grid that bends an image, along a side.
const GRID: usize = 4;

/// Which change of which image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// The run's seed.
    pub seed: u64,
    /// The epoch.
    pub epoch: u64,
    /// The image.
    pub image: u64,
    /// Which of its views.
    pub view: u64,
}

impl Changes {
    /// Writes a changed image.
    ///
    /// # Panics
    ///
    /// If the bytes are not those of one image of this shape.
    pub fn apply(&self, shape: Shape, occasion: Occasion, from: &[u8], to: &mut [u8]) {
        assert!(from.len() == shape.len() && to.len() == shape.len(), "augment: one image");
        let Occasion { seed, epoch, image, view } = occasion;
        let mut rng = stream(seed, Purpose::Augment, epoch, image * 8 + view);
        if self.moves() {
            self.warp(shape, &mut rng, from, to);
        } else {
            to.copy_from_slice(from);
        }
        if self.blur > 0.0 && rng.random::<f64>() < self.blur {
            blur(shape, to);
        }
        if self.brightness > 0.0 || self.contrast > 0.0 || self.colour > 0.0 {
            self.light(shape, &mut rng, to);
        }
        if self.noise > 0.0 {
            for v in to.iter_mut() {
                // Twelve uniform numbers are near enough to normal; four are, for noise.
                let normal = ((0..4).map(|_| rng.random::<f32>()).sum::<f32>() - 2.0) * 1.732;
                *v = byte(f32::from(*v) + 255.0 * self.noise as f32 * normal);
            }
        }
        if self.erase > 0.0 && rng.random::<f64>() < self.erase {
            erase(shape, &mut rng, to);
        }
    }

    fn moves(&self) -> bool {
        let Changes { shift, rotate, scale, shear, elastic, crop, flip, .. } = *self;
        [shift, rotate, scale, shear, elastic, crop, flip].iter().any(|s| *s > 0.0)
    }

    /// Every pixel from where it lies in the original, between four pixels; the edge goes on beyond the edge.
    fn warp(&self, shape: Shape, rng: &mut Rng, from: &[u8], to: &mut [u8]) {
        let mut within = |strength: f64| (rng.random::<f64>() * 2.0 - 1.0) as f32 * strength as f32;
        let (sin, cos) = within(self.rotate.to_radians()).sin_cos();
        // Larger and smaller by the same factor are equally likely.
        let (zoom_y, zoom_x) =
            ((1.0 + self.scale as f32).powf(within(1.0)), (1.0 + self.scale as f32).powf(within(1.0)));
        let (shear, shift_y, shift_x) = (within(self.shear), within(self.shift), within(self.shift));
        let side = 1.0 - self.crop as f32 * within(1.0).abs();
        let (crop_y, crop_x) = (within(0.5) * (1.0 - side), within(0.5) * (1.0 - side));
        let mirror = self.flip > 0.0 && f64::from(within(0.5) + 0.5) < self.flip;
        let mut bends = [[0.0f32; 2]; GRID * GRID];
        if self.elastic > 0.0 {
            bends.iter_mut().flatten().for_each(|b| *b = within(self.elastic));
        }
        let (h, w, c) = (shape.h, shape.w, shape.c);
        // Pixels are square: an angle is one between pixels, whatever the sides are. Places are shares of the sides here,
        // so what leads from one axis to the other is converted; where the sides are equal, the factors are exactly 1.
        let (rows, columns, shorter) = (h as f32, w as f32, h.min(w) as f32);
        // From the target's pixel, in sides from the centre, to the original's.
        let turn = [
            cos * zoom_y * side,
            (sin + shear) * zoom_x * side * (columns / rows),
            -sin * zoom_y * side * (rows / columns),
            cos * zoom_x * side,
        ];
        let (half_y, half_x) = ((h as f32 - 1.0) / 2.0, (w as f32 - 1.0) / 2.0);
        for y in 0..h {
            for x in 0..w {
                let v = (y as f32 - half_y) / h as f32;
                let u = (x as f32 - half_x) / w as f32 * if mirror { -1.0 } else { 1.0 };
                let mut sy = turn[0] * v + turn[1] * u + shift_y + crop_y;
                let mut sx = turn[2] * v + turn[3] * u + shift_x + crop_x;
                if self.elastic > 0.0 {
                    let [by, bx] = bend(&bends, (y as f32 + 0.5) / h as f32, (x as f32 + 0.5) / w as f32);
                    (sy, sx) = (sy + by * (shorter / rows), sx + bx * (shorter / columns));
                }
                let sy = (sy * h as f32 + half_y).clamp(0.0, h as f32 - 1.0);
                let sx = (sx * w as f32 + half_x).clamp(0.0, w as f32 - 1.0);
                let (y0, x0) = (sy as usize, sx as usize);
                let (y1, x1) = ((y0 + 1).min(h - 1), (x0 + 1).min(w - 1));
                let (fy, fx) = (sy - y0 as f32, sx - x0 as f32);
                for channel in 0..c {
                    let at = |y: usize, x: usize| f32::from(from[(y * w + x) * c + channel]);
                    let top = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0));
                    let bottom = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0));
                    to[(y * w + x) * c + channel] = byte(top + fy * (bottom - top));
                }
            }
        }
    }

    fn light(&self, shape: Shape, rng: &mut Rng, to: &mut [u8]) {
        let mut within = |strength: f64| (rng.random::<f64>() * 2.0 - 1.0) as f32 * strength as f32;
        let (lift, gain) = (255.0 * within(self.brightness), 1.0 + within(self.contrast));
        let mean = to.iter().map(|v| f32::from(*v)).sum::<f32>() / to.len() as f32;
        let channels: Vec<f32> = (0..shape.c).map(|_| 1.0 + within(self.colour)).collect();
        for pixel in to.chunks_exact_mut(shape.c) {
            for (v, channel) in pixel.iter_mut().zip(&channels) {
                *v = byte(((f32::from(*v) - mean) * gain + mean + lift) * channel);
            }
        }
    }
}

fn byte(v: f32) -> u8 {
    (v + 0.5).clamp(0.0, 255.0) as u8
}

/// The grid's bend at a point of the unit square.
fn bend(bends: &[[f32; 2]; GRID * GRID], y: f32, x: f32) -> [f32; 2] {
    let place = |v: f32| {
        let at = v * (GRID - 1) as f32;
        let low = (at as usize).min(GRID - 2);
        let t = at - low as f32;
        // Smooth at the grid's lines.
        (low, t * t * (3.0 - 2.0 * t))
    };
    let ((iy, fy), (ix, fx)) = (place(y), place(x));
    std::array::from_fn(|k| {
        let at = |dy: usize, dx: usize| bends[(iy + dy) * GRID + ix + dx][k];
        let top = at(0, 0) + fx * (at(0, 1) - at(0, 0));
        let bottom = at(1, 0) + fx * (at(1, 1) - at(1, 0));
        top + fy * (bottom - top)
    })
}

/// Twice the pixel and once each neighbour, down and across.
fn blur(shape: Shape, to: &mut [u8]) {
    let Shape { h, w, c } = shape;
    let old = to.to_vec();
    for y in 0..h {
        for x in 0..w {
            for channel in 0..c {
                let mut sum = 0u32;
                for (dy, weight_y) in [(0, 1), (1, 2), (2, 1)] {
                    for (dx, weight_x) in [(0, 1), (1, 2), (2, 1)] {
                        let (sy, sx) =
                            ((y + dy).saturating_sub(1).min(h - 1), (x + dx).saturating_sub(1).min(w - 1));
                        sum += weight_y * weight_x * u32::from(old[(sy * w + sx) * c + channel]);
                    }
                }
                to[(y * w + x) * c + channel] = ((sum + 8) / 16) as u8;
            }
        }
    }
}

fn erase(shape: Shape, rng: &mut Rng, to: &mut [u8]) {
    let Shape { h, w, c } = shape;
    let (eh, ew) = (rng.random_range(1..=h.div_ceil(3)), rng.random_range(1..=w.div_ceil(3)));
    let (y0, x0) = (rng.random_range(0..=h - eh), rng.random_range(0..=w - ew));
    let value: u8 = rng.random();
    for y in y0..y0 + eh {
        to[(y * w + x0) * c..(y * w + x0 + ew) * c].fill(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { h: 9, w: 7, c: 2 };

    fn picture() -> Vec<u8> {
        (0..SHAPE.len()).map(|i| (i * 37 % 251) as u8).collect()
    }

    fn changed(text: &str, occasion: Occasion) -> Vec<u8> {
        let augment: Augment = text.parse().unwrap();
        let mut to = vec![0; SHAPE.len()];
        augment.changes().unwrap().apply(SHAPE, occasion, &picture(), &mut to);
        to
    }

    const FIRST: Occasion = Occasion { seed: 1, epoch: 2, image: 3, view: 0 };

    #[test]
    fn every_kind_of_change_changes_and_repeats_itself_by_occasion_alone() {
        for key in [
            "shift=0.3",
            "rotate=30",
            "scale=0.4",
            "shear=0.4",
            "elastic=0.2",
            "crop=0.5",
            "flip=1",
            "brightness=0.4",
            "contrast=0.6",
            "colour=0.5",
            "noise=0.2",
            "blur=1",
            "erase=1",
        ] {
            let text = format!("custom:{key}");
            let once = changed(&text, FIRST);
            assert_ne!(once, picture(), "{key}");
            assert_eq!(once, changed(&text, FIRST), "{key}");
            let others = [
                Occasion { seed: 9, ..FIRST },
                Occasion { epoch: 9, ..FIRST },
                Occasion { image: 9, ..FIRST },
                Occasion { view: 1, ..FIRST },
            ];
            let same = others.iter().filter(|o| changed(&text, **o) == once).count();
            let always = ["flip=1", "blur=1"].contains(&key);
            assert_eq!(same, if always { 4 } else { 0 }, "{key}");
        }
    }

    #[test]
    fn a_mirror_image_is_the_image_mirrored() {
        let mirrored = changed("custom:flip=1", FIRST);
        for y in 0..SHAPE.h {
            for x in 0..SHAPE.w {
                let at = |x: usize| (y * SHAPE.w + x) * SHAPE.c;
                assert_eq!(mirrored[at(x)..at(x) + 2], picture()[at(SHAPE.w - 1 - x)..][..2]);
            }
        }
    }

    /// Where a pixel of a changed image was in the original: down and across, found from images whose shades are the places
    /// themselves. Pixels that came from beyond the edge are not asked for.
    struct Origin {
        shape: Shape,
        down: Vec<u8>,
        across: Vec<u8>,
    }

    /// Shades between two neighbouring pixels, so that rounding hides little.
    const STEP: usize = 2;

    impl Origin {
        fn of(text: &str, [h, w]: [usize; 2], image: u64) -> Origin {
            let shape = Shape { h, w, c: 1 };
            let changes = text.parse::<Augment>().unwrap().changes().unwrap();
            let seen = |place: &dyn Fn(usize) -> usize| {
                let from: Vec<u8> = (0..h * w).map(|i| (place(i) * STEP) as u8).collect();
                let mut to = vec![0; h * w];
                changes.apply(shape, Occasion { image, ..FIRST }, &from, &mut to);
                to
            };
            Origin { shape, down: seen(&|i| i / w), across: seen(&|i| i % w) }
        }

        fn at(&self, y: usize, x: usize) -> [f64; 2] {
            [&self.down, &self.across].map(|v| f64::from(v[y * self.shape.w + x]) / STEP as f64)
        }

        /// How the original's place changes, down and across, with a pixel down and with a pixel across, about the middle.
        fn slopes(&self, reach: usize) -> [[f64; 2]; 2] {
            let (y, x) = (self.shape.h / 2, self.shape.w / 2);
            let by = |from: [f64; 2], to: [f64; 2]| [0, 1].map(|k| (to[k] - from[k]) / (2 * reach) as f64);
            [
                by(self.at(y - reach, x), self.at(y + reach, x)),
                by(self.at(y, x - reach), self.at(y, x + reach)),
            ]
        }
    }

    const SIDES: [[usize; 2]; 4] = [[51, 101], [101, 51], [31, 121], [64, 64]];

    /// A rotation keeps lengths and right angles, whatever the sides are: its matrix is [[cos, -sin], [sin, cos]].
    #[test]
    fn a_turn_is_one_between_pixels_in_pictures_of_any_sides() {
        let reach = 10;
        // A shade is rounded to half of one, at both ends.
        let rounding = 1.0 / (STEP * 2 * reach) as f64 + 1e-3;
        let mut widest = 0.0f64;
        for sides in SIDES {
            for image in 0..40 {
                let [down, across] = Origin::of("custom:rotate=30", sides, image).slopes(reach);
                let angle = across[0].atan2(across[1]);
                let (sin, cos) = angle.sin_cos();
                for (got, right) in [(down[0], cos), (down[1], -sin), (across[0], sin), (across[1], cos)] {
                    assert!((got - right).abs() < 2.0 * rounding, "{sides:?}: {down:?} {across:?}");
                }
                assert!(angle.to_degrees().abs() < 30.0 + 2.0, "{sides:?}: turned by {}", angle.to_degrees());
                widest = widest.max(angle.to_degrees().abs());
            }
        }
        assert!(widest > 25.0, "{widest}");
    }

    #[test]
    fn slants_zooms_and_crops_are_between_pixels_too() {
        let reach = 10;
        let near = |a: f64, b: f64| (a - b).abs() < 0.06;
        for sides in SIDES {
            for image in 0..20 {
                // Rows slant, columns stay upright.
                let [down, across] = Origin::of("custom:shear=0.4", sides, image).slopes(reach);
                assert!(
                    near(down[0], 1.0) && near(down[1], 0.0) && near(across[1], 1.0),
                    "{sides:?}: {down:?}"
                );
                assert!(across[0].abs() < 0.4 + 0.06, "{sides:?}: {across:?}");
                // A part is of the picture's own proportions.
                let [down, across] = Origin::of("custom:crop=0.5", sides, image).slopes(reach);
                assert!(near(down[0], across[1]) && near(down[1], 0.0) && near(across[0], 0.0), "{sides:?}");
                let [down, across] = Origin::of("custom:scale=0.3", sides, image).slopes(reach);
                for zoom in [down[0], across[1]] {
                    assert!((1.0 / 1.3 - 0.06..1.3 + 0.06).contains(&zoom), "{sides:?}: {zoom}");
                }
                assert!(near(down[1], 0.0) && near(across[0], 0.0), "{sides:?}");
            }
        }
    }

    /// A point moves by as many pixels down as across; otherwise a long strip would be sheared.
    #[test]
    fn a_bend_is_as_far_down_as_across() {
        for sides in SIDES {
            let shorter = sides[0].min(sides[1]) as f64;
            let mut furthest = [0.0f64; 2];
            for image in 0..40 {
                let origin = Origin::of("custom:elastic=0.1", sides, image);
                for y in 0..sides[0] {
                    for x in 0..sides[1] {
                        let [sy, sx] = origin.at(y, x);
                        furthest[0] = furthest[0].max((sy - y as f64).abs());
                        furthest[1] = furthest[1].max((sx - x as f64).abs());
                    }
                }
            }
            for far in furthest {
                assert!(far <= 0.1 * shorter + 0.5 && far > 0.06 * shorter, "{sides:?}: {furthest:?}");
            }
        }
    }

    #[test]
    fn a_shift_moves_by_shares_of_both_sides() {
        for sides in SIDES {
            let mut furthest = [0.0f64; 2];
            for image in 0..60 {
                let origin = Origin::of("custom:shift=0.1", sides, image);
                let (y, x) = (sides[0] / 2, sides[1] / 2);
                let [sy, sx] = origin.at(y, x);
                furthest = [furthest[0].max((sy - y as f64).abs()), furthest[1].max((sx - x as f64).abs())];
            }
            for (far, side) in furthest.into_iter().zip(sides) {
                let most = 0.1 * side as f64;
                assert!(far <= most + 0.3 && far > 0.8 * most, "{sides:?}: {furthest:?}");
            }
        }
    }

    #[test]
    fn no_strength_is_no_change_and_impossible_ones_are_refused() {
        assert_eq!(changed("custom", FIRST), picture());
        assert_eq!("none".parse::<Augment>().unwrap().changes(), None);
        assert!("affine:shift=2".parse::<Augment>().unwrap().refusal().unwrap().contains("shift"));
        assert!("affine".parse::<Augment>().unwrap().refusal().is_none());
        assert!("afine".parse::<Augment>().unwrap_err().to_string().contains("did you mean 'affine'"));
    }
}
