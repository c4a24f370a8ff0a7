//! Images moved, turned, slanted, bent and enlarged: every pixel from where it lies in the original.

use super::Changes;
use super::paint::byte;
use crate::images::Shape;
use crate::rng::{Rng, RngExt};

/// Points of the grid that bends an image, along a side.
const GRID: usize = 4;

impl Changes {
    /// Whether any pixel comes from between others.
    pub(super) fn warps(&self) -> bool {
        let Changes { shift, rotate, scale, shear, elastic, crop, alternate, .. } = *self;
        let flip = if alternate { 0.0 } else { self.flip };
        [shift, rotate, scale, shear, elastic, crop, flip].iter().any(|s| *s > 0.0)
    }

    /// Every pixel from where it lies in the original, between four pixels; the edge goes on beyond the edge.
    pub(super) fn warp(&self, shape: Shape, rng: &mut Rng, from: &[u8], to: &mut [u8]) {
        let mut within = |strength: f64| (rng.random::<f64>() * 2.0 - 1.0) as f32 * strength as f32;
        let (sin, cos) = within(self.rotate.to_radians()).sin_cos();
        // Larger and smaller by the same factor are equally likely.
        let (zoom_y, zoom_x) =
            ((1.0 + self.scale as f32).powf(within(1.0)), (1.0 + self.scale as f32).powf(within(1.0)));
        let (shear, shift_y, shift_x) = (within(self.shear), within(self.shift), within(self.shift));
        let side = 1.0 - self.crop as f32 * within(1.0).abs();
        let (crop_y, crop_x) = (within(0.5) * (1.0 - side), within(0.5) * (1.0 - side));
        let mirror = self.flip > 0.0 && !self.alternate && f64::from(within(0.5) + 0.5) < self.flip;
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

#[cfg(test)]
mod tests {
    use crate::data::{Augment, Occasion};
    use crate::images::Shape;

    const FIRST: Occasion = Occasion { seed: 1, step: 2, epoch: 0, image: 3, view: 0 };

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
}
