//! What a picture looks like from afar: a thumbnail, and numbers by which pictures of one look are near each other.

use super::Turn;
use super::altered::{Fit, Plane};
use crate::data::{Picture, Preparation, Resize};
use crate::images::Shape;
use std::f64::consts::PI;
use std::sync::LazyLock;

/// The side of the thumbnail.
pub(super) const SIDE: usize = 32;
/// Frequencies that are kept a side.
const KEPT: usize = 8;
/// Numbers of a sketch: all kept frequencies but the mean.
pub(crate) const SKETCH: usize = KEPT * KEPT - 1;
/// Grey levels by which a picture's coarse look varies, at least: what is flatter looks like every other flat one.
const FLAT: f64 = 3.0;

/// A picture from afar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sketch {
    /// In grey, squeezed to a square.
    thumb: Vec<u8>,
}

impl Sketch {
    /// # Errors
    ///
    /// If the picture has no pixels.
    pub(crate) fn of(picture: &Picture) -> Result<Sketch, String> {
        let shape = Shape { h: SIDE, w: SIDE, c: 1 };
        let mut thumb = vec![0; shape.len()];
        Preparation { resize: Resize::Squash, ..Preparation::exact(shape) }.apply(picture, &mut thumb)?;
        Ok(Sketch { thumb })
    }

    fn turned(&self, turn: Turn) -> Picture {
        let shape = Shape { h: SIDE, w: SIDE, c: 1 };
        turn.of(Picture { shape, pixels: self.thumb.clone() })
    }

    /// The lowest frequencies of the picture, turned, as a vector of length one: brightness and contrast do not count. Nothing where it
    /// is too flat to be told from others.
    pub(crate) fn numbers(&self, turn: Turn) -> Option<[f32; SKETCH]> {
        // The discrete cosine transform (of type II, orthonormal), of rows and then of columns.
        static WAVES: LazyLock<[[f64; SIDE]; KEPT]> = LazyLock::new(|| {
            std::array::from_fn(|k| {
                let scale = (if k == 0 { 1.0 } else { 2.0 } / SIDE as f64).sqrt();
                std::array::from_fn(|x| scale * (PI * (x as f64 + 0.5) * k as f64 / SIDE as f64).cos())
            })
        });
        let thumb = self.turned(turn).pixels;
        let mut rows = [[0.0; KEPT]; SIDE];
        for (row, out) in thumb.chunks_exact(SIDE).zip(&mut rows) {
            for (wave, out) in WAVES.iter().zip(out) {
                *out = row.iter().zip(wave).map(|(p, w)| f64::from(*p) * w).sum();
            }
        }
        let numbers: Vec<f64> = (1..KEPT * KEPT)
            .map(|at| (0..SIDE).map(|y| WAVES[at / KEPT][y] * rows[y][at % KEPT]).sum())
            .collect();
        let length = numbers.iter().map(|v| v * v).sum::<f64>().sqrt();
        // By Parseval, the root mean square of what is kept.
        (length / SIDE as f64 >= FLAT).then(|| std::array::from_fn(|i| (numbers[i] / length) as f32))
    }

    /// How well this thumbnail, turned, lies over another.
    pub(crate) fn fits(&self, turn: Turn, other: &Sketch) -> Option<Fit> {
        let plane = |pixels: Vec<u8>| Plane::new(SIDE, SIDE, pixels);
        Fit::of(&[(plane(self.turned(turn).pixels), plane(other.thumb.clone()))])
    }
}
