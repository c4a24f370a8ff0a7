//! Digits that the program draws: handwritten-looking, seeded, any number of them, no file needed.
//!
//! Each digit has several prototypes: strokes through a few points of the unit square. An image jitters the points,
//! bends the plane smoothly, turns, shears, scales and shifts it, and draws with a pen of its own width and ink.

use super::{Asked, Found, Kind, Wish};
use crate::data::{DataError, Dataset, Progress, Split};
use crate::images::{Images, Shape};
use crate::rng::{Purpose, Rng, RngExt, stream};
use crate::suggest::did_you_mean;
use rayon::prelude::*;

/// The name of this set.
pub const DIGITS: &str = "digits";

const SIDE: usize = 28;

/// Digits that are asked for by name, with how many and which after a colon.
pub(super) struct Digits;

impl Kind for Digits {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        asked.what.split(':').next() == Some(DIGITS)
    }

    fn has_table(&self) -> bool {
        false
    }

    fn list(&self, asked: &Asked<'_>, _: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        let (counts, seed) = DigitCounts::parse(asked.what)?.unwrap_or_default();
        Ok(digits(counts, seed).into())
    }
}

/// How many digits to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigitCounts {
    /// For training.
    pub train: usize,
    /// For testing.
    pub test: usize,
}

impl Default for DigitCounts {
    fn default() -> Self {
        DigitCounts { train: 20_000, test: 4_000 }
    }
}

/// Half a gigabyte of pixels.
const MOST: usize = 700_000;

impl DigitCounts {
    /// The counts and the seed of a set written as `digits` or `digits:train=N,test=N,seed=N`; nothing for other names.
    ///
    /// # Errors
    ///
    /// If a part is not of that form, or asks for too many.
    pub fn parse(text: &str) -> Result<Option<(DigitCounts, u64)>, DataError> {
        let refuse = |why: String| DataError::Digits { asked: text.to_owned(), why };
        let (mut counts, mut seed) = (DigitCounts::default(), 0);
        let parts = match text.split_once(':') {
            Some((DIGITS, parts)) => parts,
            None if text == DIGITS => return Ok(Some((counts, seed))),
            _ => return Ok(None),
        };
        for part in parts.split(',') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let number: u64 = value.parse().map_err(|_| refuse(format!("'{part}' is not KEY=NUMBER")))?;
            match key {
                "seed" => seed = number,
                "train" | "test" => {
                    let count = usize::try_from(number).ok().filter(|n| (1..=MOST).contains(n));
                    let count = count.ok_or_else(|| refuse(format!("{key} is from 1 to {MOST}")))?;
                    *(if key == "train" { &mut counts.train } else { &mut counts.test }) = count;
                }
                _ => {
                    return Err(refuse(format!(
                        "there is no '{key}'{}",
                        did_you_mean(key, ["train", "test", "seed"])
                    )));
                }
            }
        }
        Ok(Some((counts, seed)))
    }
}

/// Draws a set. Image `i` of a split depends on the seed, the split and `i` alone, so a larger set begins with the
/// smaller one; training and test images come from different streams.
pub fn digits(counts: DigitCounts, seed: u64) -> Dataset {
    let split = |which: u64, n: usize| {
        let mut data = vec![0; n * SIDE * SIDE];
        data.par_chunks_exact_mut(SIDE * SIDE).enumerate().for_each(|(i, pixels)| {
            draw(label(i), &mut stream(seed, Purpose::Digit, which, i as u64), pixels);
        });
        let labels = (0..n).map(|i| label(i) as u32).collect();
        Split::new(Images::new(Shape { h: SIDE, w: SIDE, c: 1 }, data), labels)
    };
    let classes = (0..10).map(|d| d.to_string()).collect();
    let origin = format!("drawn by the program with seed {seed}");
    Dataset::new(DIGITS, origin, classes, split(0, counts.train), split(1, counts.test))
}

/// Classes take turns, so that every prefix of a split is balanced.
fn label(i: usize) -> usize {
    i % 10
}

type Point = [f32; 2];
/// A stroke: the points that the pen passes through, x to the right and y down, in the unit square.
type Stroke = &'static [Point];
type Prototype = &'static [Stroke];

const OVAL: Stroke = &[
    [0.52, 0.04],
    [0.25, 0.18],
    [0.16, 0.5],
    [0.27, 0.84],
    [0.52, 0.96],
    [0.77, 0.82],
    [0.85, 0.5],
    [0.75, 0.17],
    [0.5, 0.04],
];
const NARROW: Stroke = &[
    [0.6, 0.03],
    [0.4, 0.2],
    [0.3, 0.55],
    [0.36, 0.88],
    [0.5, 0.96],
    [0.66, 0.8],
    [0.7, 0.45],
    [0.62, 0.12],
    [0.46, 0.06],
];
const OPEN_OVAL: Stroke = &[
    [0.7, 0.14],
    [0.45, 0.06],
    [0.2, 0.3],
    [0.18, 0.66],
    [0.42, 0.95],
    [0.72, 0.84],
    [0.86, 0.5],
    [0.74, 0.2],
    [0.55, 0.0],
];

/// Prototypes by digit.
const PROTOTYPES: [&[Prototype]; 10] = [
    &[&[OVAL], &[NARROW], &[OPEN_OVAL], &[OVAL, &[[0.72, 0.2], [0.3, 0.82]]]],
    &[
        &[&[[0.5, 0.03], [0.5, 0.5], [0.5, 0.97]]],
        &[&[[0.3, 0.25], [0.42, 0.16], [0.55, 0.03]], &[[0.55, 0.03], [0.54, 0.5], [0.53, 0.97]]],
        &[
            &[[0.32, 0.22], [0.52, 0.04], [0.52, 0.5], [0.52, 0.95]],
            &[[0.28, 0.96], [0.52, 0.95], [0.78, 0.96]],
        ],
        &[&[[0.58, 0.03], [0.52, 0.5], [0.42, 0.97]]],
    ],
    &[
        &[
            &[[0.2, 0.26], [0.32, 0.08], [0.55, 0.04], [0.76, 0.18], [0.72, 0.42], [0.48, 0.68], [0.2, 0.94]],
            &[[0.2, 0.94], [0.5, 0.93], [0.84, 0.92]],
        ],
        &[&[
            [0.22, 0.22],
            [0.45, 0.05],
            [0.72, 0.14],
            [0.74, 0.38],
            [0.5, 0.7],
            [0.26, 0.9],
            [0.18, 0.78],
            [0.36, 0.76],
            [0.6, 0.92],
            [0.86, 0.88],
        ]],
        &[
            &[[0.16, 0.12], [0.46, 0.06], [0.76, 0.12], [0.74, 0.32], [0.46, 0.64], [0.18, 0.92]],
            &[[0.18, 0.92], [0.52, 0.88], [0.86, 0.95]],
        ],
    ],
    &[
        &[
            &[[0.22, 0.16], [0.46, 0.04], [0.74, 0.16], [0.7, 0.38], [0.44, 0.48]],
            &[[0.44, 0.48], [0.76, 0.58], [0.78, 0.82], [0.5, 0.97], [0.18, 0.86]],
        ],
        &[
            &[[0.2, 0.06], [0.5, 0.06], [0.8, 0.06]],
            &[[0.8, 0.06], [0.6, 0.26], [0.42, 0.42]],
            &[[0.42, 0.42], [0.74, 0.5], [0.8, 0.76], [0.52, 0.96], [0.18, 0.88]],
        ],
        &[&[
            [0.24, 0.1],
            [0.54, 0.04],
            [0.72, 0.22],
            [0.56, 0.42],
            [0.38, 0.46],
            [0.6, 0.5],
            [0.78, 0.7],
            [0.56, 0.95],
            [0.2, 0.92],
        ]],
    ],
    &[
        &[
            &[[0.26, 0.05], [0.2, 0.34], [0.2, 0.58]],
            &[[0.2, 0.58], [0.5, 0.58], [0.86, 0.56]],
            &[[0.68, 0.08], [0.66, 0.5], [0.64, 0.97]],
        ],
        &[
            &[[0.64, 0.03], [0.4, 0.34], [0.14, 0.66]],
            &[[0.14, 0.66], [0.5, 0.66], [0.9, 0.66]],
            &[[0.64, 0.03], [0.64, 0.5], [0.64, 0.97]],
        ],
        &[
            &[[0.3, 0.06], [0.16, 0.36], [0.24, 0.56], [0.5, 0.54], [0.74, 0.4]],
            &[[0.76, 0.06], [0.7, 0.5], [0.6, 0.97]],
        ],
    ],
    &[
        &[
            &[[0.8, 0.05], [0.52, 0.06], [0.28, 0.07]],
            &[[0.28, 0.07], [0.25, 0.26], [0.24, 0.46]],
            &[[0.24, 0.46], [0.52, 0.38], [0.8, 0.56], [0.76, 0.84], [0.48, 0.97], [0.18, 0.87]],
        ],
        &[&[
            [0.78, 0.06],
            [0.46, 0.08],
            [0.3, 0.22],
            [0.28, 0.42],
            [0.5, 0.46],
            [0.74, 0.6],
            [0.7, 0.86],
            [0.44, 0.96],
            [0.18, 0.88],
        ]],
        &[
            &[[0.32, 0.1], [0.28, 0.3], [0.26, 0.48]],
            &[[0.26, 0.48], [0.58, 0.44], [0.76, 0.66], [0.6, 0.92], [0.22, 0.95]],
            &[[0.32, 0.1], [0.56, 0.08], [0.84, 0.04]],
        ],
    ],
    &[
        &[&[
            [0.7, 0.05],
            [0.42, 0.24],
            [0.24, 0.56],
            [0.3, 0.86],
            [0.54, 0.96],
            [0.76, 0.8],
            [0.7, 0.56],
            [0.48, 0.5],
            [0.26, 0.66],
        ]],
        &[&[
            [0.5, 0.03],
            [0.34, 0.3],
            [0.24, 0.64],
            [0.34, 0.92],
            [0.6, 0.95],
            [0.74, 0.76],
            [0.58, 0.6],
            [0.36, 0.68],
            [0.28, 0.8],
        ]],
        &[&[
            [0.78, 0.12],
            [0.56, 0.04],
            [0.3, 0.24],
            [0.2, 0.58],
            [0.28, 0.88],
            [0.56, 0.97],
            [0.8, 0.78],
            [0.68, 0.52],
            [0.4, 0.5],
            [0.22, 0.66],
        ]],
    ],
    &[
        &[&[[0.16, 0.08], [0.5, 0.07], [0.84, 0.06]], &[[0.84, 0.06], [0.62, 0.46], [0.44, 0.97]]],
        &[
            &[[0.18, 0.08], [0.5, 0.07], [0.82, 0.08]],
            &[[0.82, 0.08], [0.6, 0.5], [0.42, 0.96]],
            &[[0.34, 0.52], [0.54, 0.5], [0.76, 0.48]],
        ],
        &[&[[0.18, 0.24], [0.2, 0.1], [0.5, 0.1], [0.8, 0.08], [0.66, 0.36], [0.54, 0.66], [0.5, 0.97]]],
    ],
    &[
        &[&[
            [0.5, 0.48],
            [0.28, 0.32],
            [0.32, 0.1],
            [0.52, 0.04],
            [0.74, 0.14],
            [0.72, 0.34],
            [0.5, 0.48],
            [0.24, 0.66],
            [0.26, 0.9],
            [0.52, 0.97],
            [0.78, 0.88],
            [0.76, 0.66],
            [0.5, 0.48],
        ]],
        &[&[
            [0.74, 0.14],
            [0.52, 0.04],
            [0.3, 0.16],
            [0.36, 0.36],
            [0.62, 0.56],
            [0.76, 0.78],
            [0.56, 0.96],
            [0.3, 0.88],
            [0.3, 0.68],
            [0.54, 0.46],
            [0.74, 0.28],
            [0.72, 0.12],
        ]],
        &[
            &[[0.5, 0.46], [0.34, 0.28], [0.4, 0.08], [0.6, 0.08], [0.66, 0.28], [0.5, 0.46]],
            &[[0.5, 0.46], [0.26, 0.62], [0.24, 0.86], [0.5, 0.96], [0.74, 0.86], [0.74, 0.62], [0.5, 0.46]],
        ],
    ],
    &[
        &[
            &[[0.74, 0.3], [0.62, 0.08], [0.36, 0.08], [0.24, 0.3], [0.38, 0.48], [0.62, 0.44], [0.74, 0.26]],
            &[[0.74, 0.26], [0.7, 0.6], [0.62, 0.97]],
        ],
        &[&[
            [0.7, 0.2],
            [0.48, 0.04],
            [0.26, 0.2],
            [0.3, 0.44],
            [0.54, 0.48],
            [0.72, 0.24],
            [0.74, 0.5],
            [0.66, 0.84],
            [0.42, 0.96],
            [0.22, 0.86],
        ]],
        &[
            &[[0.68, 0.1], [0.42, 0.06], [0.24, 0.24], [0.34, 0.46], [0.62, 0.4], [0.7, 0.14]],
            &[[0.7, 0.1], [0.7, 0.5], [0.7, 0.97]],
        ],
    ],
];

/// A smooth bend of the unit square: two slow waves each way.
struct Bend([[f32; 4]; 4]);

impl Bend {
    fn new(rng: &mut Rng, strength: f32) -> Bend {
        Bend(std::array::from_fn(|_| {
            [
                strength * symmetric(rng),
                rng.random_range(1.5..5.0),
                rng.random_range(1.5..5.0),
                rng.random_range(0.0..std::f32::consts::TAU),
            ]
        }))
    }

    fn apply(&self, [x, y]: Point) -> Point {
        let wave = |[a, fx, fy, phase]: [f32; 4]| a * (fx * x + fy * y + phase).sin();
        [x + wave(self.0[0]) + wave(self.0[1]), y + wave(self.0[2]) + wave(self.0[3])]
    }
}

/// A number from -1 to 1, small ones likelier.
fn symmetric(rng: &mut Rng) -> f32 {
    (rng.random_range(-1.0f32..1.0) + rng.random_range(-1.0f32..1.0)) * 0.5
}

fn draw(digit: usize, rng: &mut Rng, pixels: &mut [u8]) {
    let prototypes = PROTOTYPES[digit];
    let prototype = prototypes[rng.random_range(0..prototypes.len())];
    let bend = Bend::new(rng, 0.11);
    let (turn, shear) = (0.45 * symmetric(rng), 0.45 * symmetric(rng));
    let height = 19.5 * (1.0 + 0.28 * symmetric(rng));
    let width = height * (0.78 + 0.36 * symmetric(rng));
    let shift = [2.6 * symmetric(rng), 2.6 * symmetric(rng)];
    let pen = 1.25 + 0.75 * symmetric(rng);
    let ink = 225.0 + 60.0 * symmetric(rng);
    let (sin, cos) = turn.sin_cos();
    let mut darkness = [0.0f32; SIDE * SIDE];
    for stroke in prototype {
        let points: Vec<Point> =
            stroke.iter().map(|[x, y]| [x + 0.05 * symmetric(rng), y + 0.05 * symmetric(rng)]).collect();
        let path: Vec<Point> = smooth(&points)
            .into_iter()
            .map(|p| {
                let [x, y] = bend.apply(p);
                let (y, x) = ((y - 0.5) * height, (x - 0.5) * width);
                let x = x - shear * y;
                let middle = SIDE as f32 * 0.5;
                [middle + cos * x - sin * y + shift[0], middle + sin * x + cos * y + shift[1]]
            })
            .collect();
        for ends in path.windows(2) {
            ink_segment(&mut darkness, ends[0], ends[1], pen);
        }
    }
    for (pixel, dark) in pixels.iter_mut().zip(darkness) {
        *pixel = (dark * ink).round().clamp(0.0, 255.0) as u8;
    }
}

/// Points along the Catmull-Rom curve through `points`.
fn smooth(points: &[Point]) -> Vec<Point> {
    const STEPS: usize = 7;
    let at = |i: isize| points[i.clamp(0, points.len() as isize - 1) as usize];
    let mut path = Vec::with_capacity(points.len() * STEPS);
    for i in 0..points.len() as isize - 1 {
        let (a, b, c, d) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        for step in 0..STEPS {
            let t = step as f32 / STEPS as f32;
            path.push(std::array::from_fn(|k| {
                let (m0, m1) = ((c[k] - a[k]) * 0.5, (d[k] - b[k]) * 0.5);
                let (t2, t3) = (t * t, t * t * t);
                (2.0 * t3 - 3.0 * t2 + 1.0) * b[k]
                    + (t3 - 2.0 * t2 + t) * m0
                    + (3.0 * t2 - 2.0 * t3) * c[k]
                    + (t3 - t2) * m1
            }));
        }
    }
    path.push(points[points.len() - 1]);
    path
}

/// Darkens the pixels under a round pen drawn from `a` to `b`, with an edge a pixel wide.
fn ink_segment(darkness: &mut [f32; SIDE * SIDE], a: Point, b: Point, pen: f32) {
    let reach = pen + 1.0;
    let range = |k: usize| {
        let low = (a[k].min(b[k]) - reach).floor().max(0.0) as usize;
        let high = (a[k].max(b[k]) + reach).ceil().clamp(0.0, SIDE as f32) as usize;
        low.min(high)..high
    };
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = (dx * dx + dy * dy).max(1e-9);
    for y in range(1) {
        for x in range(0) {
            let (px, py) = (x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]);
            let t = ((px * dx + py * dy) / length).clamp(0.0, 1.0);
            let distance = ((px - t * dx).powi(2) + (py - t * dy).powi(2)).sqrt();
            let dark = (pen + 0.5 - distance).clamp(0.0, 1.0);
            let pixel = &mut darkness[y * SIDE + x];
            *pixel = pixel.max(dark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_a_larger_set_begins_with_the_smaller() {
        let small = digits(DigitCounts { train: 30, test: 10 }, 3);
        let large = digits(DigitCounts { train: 50, test: 10 }, 3);
        assert_eq!(small.train.images, large.train.images.select(&(0..30).collect::<Vec<_>>()));
        assert_eq!(small.test, large.test);
        assert_ne!(small.train, digits(DigitCounts { train: 30, test: 10 }, 4).train);
        assert_ne!(small.train.images.select(&[0]), small.test.images.select(&[0]), "splits are apart");
    }

    #[test]
    fn every_digit_has_ink_and_paper() {
        let set = digits(DigitCounts { train: 1000, test: 0 }, 1);
        for i in 0..set.train.len() {
            let dark =
                set.train.images.image(i, &mut Vec::new()).unwrap().iter().filter(|p| **p > 128).count();
            assert!((15..400).contains(&dark), "image {i} ({}): {dark} dark pixels", set.train.labels[i]);
        }
    }
}
