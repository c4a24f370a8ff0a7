//! What makes two images alike, by any encoder: squares of an image are covered one after the other.
//!
//! A square's part is how much the squared distance changes when the square takes the image's mean colour (occlusion: Zeiler and Fergus
//! 2014, <https://arxiv.org/abs/1311.2901>). Squares overlap by half; a pixel's part is the mean of the squares that it lies in.

use super::saliency::{DRAWS, SHARE};
use super::{Masking, Saliency, SaliencyBy};
use crate::encoder::{Encoder, EncoderError};
use crate::images::{Images, Shape};
use crate::neighbours::squared_distance;
use crate::rng::{Purpose, SliceRandom, stream};

/// Squares along the shorter side of an image, without those between them.
const ALONG: usize = 7;
/// Covered copies of an image that are in memory at a time.
const AT_ONCE: usize = 32;

/// Explains the distance of image `a` and image `b`, which are pictures, by an encoder that is asked a few hundred times.
///
/// # Errors
///
/// If one cannot be read or embedded.
///
/// # Panics
///
/// If the images are features.
pub fn occlusion(
    encoder: &dyn Encoder,
    images: [(&Images, usize); 2],
    seed: u64,
) -> Result<Saliency, EncoderError> {
    let shape = images[0].0.shape();
    assert!(!images[0].0.are_floats(), "occlusion: features have no pixels");
    let mut pictures = Vec::with_capacity(2);
    for (images, i) in images {
        pictures.push(images.image(i, &mut Vec::new())?.to_vec());
    }
    let embedded = encoder.embed(&Images::new(shape, pictures.concat()))?;
    let distance = squared_distance(embedded.row(0), embedded.row(1)).sqrt();
    let squares = squares(shape);
    let mut masking = Masking::default();
    let mut maps = [Vec::new(), Vec::new()];
    for side in 0..2 {
        let (picture, other) = (&pictures[side], embedded.row(1 - side));
        let colour = mean_colour(picture, shape);
        let painted = |pixels: &mut dyn Iterator<Item = usize>| {
            let mut copy = picture.clone();
            pixels.for_each(|p| copy[p * shape.c..][..shape.c].copy_from_slice(&colour));
            copy
        };
        let (mut map, mut times) = (vec![0f32; shape.h * shape.w], vec![0f32; shape.h * shape.w]);
        for some in squares.chunks(AT_ONCE) {
            let covered = some.iter().flat_map(|s| painted(&mut s.pixels(shape))).collect();
            let moved = encoder.embed(&Images::new(shape, covered))?;
            for (square, row) in some.iter().zip(moved.rows()) {
                let part = (squared_distance(row, other) - distance * distance).abs() as f32;
                for p in square.pixels(shape) {
                    map[p] += part;
                    times[p] += 1.0;
                }
            }
        }
        map.iter_mut().zip(&times).for_each(|(part, n)| *part /= n.max(1.0));

        let mut order: Vec<usize> = (0..map.len()).collect();
        order.sort_by(|a, b| map[*b].total_cmp(&map[*a]).then(a.cmp(b)));
        let tenth = ((SHARE * map.len() as f64).round() as usize).max(1);
        let mut masks = painted(&mut order[..tenth].iter().copied());
        for draw in 0..DRAWS {
            let mut drawn: Vec<usize> = (0..map.len()).collect();
            let rng = &mut stream(seed, Purpose::Mask, draw, side as u64);
            let (chosen, _) = drawn.partial_shuffle(rng, tenth);
            masks.extend(painted(&mut chosen.iter().copied()));
        }
        let masked = encoder.embed(&Images::new(shape, masks))?;
        for (i, row) in masked.rows().enumerate() {
            let change = (squared_distance(row, other).sqrt() - distance).abs();
            match i {
                0 => masking.salient += change / 2.0,
                _ => masking.random += change / (2 * DRAWS) as f64,
            }
        }
        let most = map.iter().copied().fold(0.0, f32::max);
        maps[side] = map.into_iter().map(|v| if most > 0.0 { v / most } else { 0.0 }).collect();
    }
    Ok(Saliency { distance, maps, by: SaliencyBy::Occlusion, masking })
}

/// A part of an image: from row `top` and column `left` on.
struct Square {
    top: usize,
    left: usize,
    side: usize,
}

impl Square {
    fn pixels(&self, shape: Shape) -> impl Iterator<Item = usize> {
        let rows = self.top..(self.top + self.side).min(shape.h);
        let columns = self.left..(self.left + self.side).min(shape.w);
        rows.flat_map(move |y| columns.clone().map(move |x| y * shape.w + x))
    }
}

/// Squares that cover an image, each half over the next.
fn squares(shape: Shape) -> Vec<Square> {
    let side = shape.h.min(shape.w).div_ceil(ALONG).max(1);
    let step = side.div_ceil(2);
    let starts = |n: usize| (0..n).step_by(step).filter(move |at| *at == 0 || at + side < n + step);
    starts(shape.h).flat_map(|top| starts(shape.w).map(move |left| Square { top, left, side })).collect()
}

fn mean_colour(picture: &[u8], shape: Shape) -> Vec<u8> {
    let n = (shape.h * shape.w) as u64;
    let sum = |c: usize| picture.iter().skip(c).step_by(shape.c).map(|v| u64::from(*v)).sum::<u64>();
    (0..shape.c).map(|c| ((sum(c) + n / 2) / n) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Preparation;
    use crate::encoder::EncoderFacts;
    use crate::images::Features;

    /// Sees one pixel alone.
    struct OnePixel(EncoderFacts);

    impl Encoder for OnePixel {
        fn facts(&self) -> &EncoderFacts {
            &self.0
        }

        fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
            let mut scratch = Vec::new();
            let at = |i: usize, scratch: &mut Vec<u8>| Ok(f32::from(images.image(i, scratch)?[20 * 30 + 9]));
            let rows: Result<Vec<f32>, EncoderError> =
                (0..images.len()).map(|i| at(i, &mut scratch)).collect();
            Ok(Features::new(1, rows?))
        }
    }

    #[test]
    fn the_pixel_that_an_encoder_looks_at_stands_out() {
        let shape = Shape { h: 24, w: 30, c: 1 };
        let facts = EncoderFacts {
            preparation: Preparation::exact(shape),
            dimension: 1,
            unit_length: false,
            fingerprint: "one pixel".to_owned(),
        };
        let mut data = vec![0u8; 2 * shape.len()];
        data[20 * 30 + 9] = 255;
        let images = Images::new(shape, data);
        let found = occlusion(&OnePixel(facts), [(&images, 0), (&images, 1)], 0).unwrap();
        assert_eq!((found.distance, found.by), (255.0, SaliencyBy::Occlusion));
        let best = (0..720).max_by(|a, b| found.maps[0][*a].total_cmp(&found.maps[0][*b])).unwrap();
        assert!((best / 30).abs_diff(20) <= 3 && (best % 30).abs_diff(9) <= 3, "{best}");
        assert_eq!(found.maps[0][0], 0.0);
        // Half of it: the other image is black, so nothing that covers it changes anything.
        assert!(found.masking.salient > 2.0 * found.masking.random, "{:?}", found.masking);
        assert!(found.maps[1].iter().all(|v| *v == 0.0));
    }

    #[test]
    fn squares_cover_every_pixel_of_any_shape() {
        for (h, w) in [(1, 1), (1, 9), (7, 7), (24, 30), (150, 33), (224, 224)] {
            let shape = Shape { h, w, c: 3 };
            let mut seen = vec![false; h * w];
            let all = squares(shape);
            all.iter().flat_map(|s| s.pixels(shape)).for_each(|p| seen[p] = true);
            assert!(seen.iter().all(|s| *s), "{h} x {w}");
            assert!(h.max(w) > 4 * h.min(w) || all.len() <= 14 * 14 * 5, "{h} x {w}: {}", all.len());
        }
    }
}
