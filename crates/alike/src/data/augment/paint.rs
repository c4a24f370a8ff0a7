//! Shades changed where they are: light, colour, blur, and parts that are hidden.

use super::Changes;
use crate::images::Shape;
use crate::rng::{Rng, RngExt};

impl Changes {
    pub(super) fn light(&self, shape: Shape, rng: &mut Rng, to: &mut [u8]) {
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

pub(super) fn byte(v: f32) -> u8 {
    (v + 0.5).clamp(0.0, 255.0) as u8
}

/// Twice the pixel and once each neighbour, down and across.
pub(super) fn blur(shape: Shape, to: &mut [u8]) {
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

pub(super) fn erase(shape: Shape, rng: &mut Rng, to: &mut [u8]) {
    let Shape { h, w, c } = shape;
    let (eh, ew) = (rng.random_range(1..=h.div_ceil(3)), rng.random_range(1..=w.div_ceil(3)));
    let (y0, x0) = (rng.random_range(0..=h - eh), rng.random_range(0..=w - ew));
    let value: u8 = rng.random();
    for y in y0..y0 + eh {
        to[(y * w + x0) * c..(y * w + x0 + ew) * c].fill(value);
    }
}

/// Fills a square, whose side is this share of the shorter one, with the image's mean; it lies anywhere within the image.
pub(super) fn cut_out(shape: Shape, share: f64, rng: &mut Rng, to: &mut [u8]) {
    let Shape { h, w, c } = shape;
    let side = ((share * h.min(w) as f64).round() as usize).clamp(1, h.min(w));
    let (y0, x0) = (rng.random_range(0..=h - side), rng.random_range(0..=w - side));
    let mut mean = vec![0u64; c];
    to.chunks_exact(c).for_each(|pixel| mean.iter_mut().zip(pixel).for_each(|(m, v)| *m += u64::from(*v)));
    let pixels = (h * w) as u64;
    let mean: Vec<u8> = mean.into_iter().map(|m| ((m + pixels / 2) / pixels) as u8).collect();
    for y in y0..y0 + side {
        let row = &mut to[(y * w + x0) * c..][..side * c];
        row.chunks_exact_mut(c).for_each(|pixel| pixel.copy_from_slice(&mean));
    }
}
