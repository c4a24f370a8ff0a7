//! What vectors are multiplied as.

use super::bound::Bound;
use crate::images::{Pixels, Vectors};
use rayon::prelude::*;

/// Members that the common centre is found from, and into how many means they are gathered.
const CENTRED_BY: usize = 1024;
const MEANS: usize = 15;
/// Numbers of bytes whose products `f32` adds up exactly: `256 * 255^2 < 2^24`.
const BYTES: usize = 256;
/// Floats of a run, at least: the error grows with a run's length and the number of runs.
const RUN: usize = 16;

/// What vectors are multiplied as: shifted by a common centre. A fine frame cuts products into runs that are summed by themselves,
/// and has pixels as whole numbers, whose products are exact.
pub(super) struct Frame {
    pub(super) centre: Vec<f32>,
    pub(super) fine: bool,
    /// Both sides are bytes, read as 0 to 255; the centre is whole.
    pub(super) bytes: bool,
}

impl Frame {
    /// For a choice of candidates, which are measured anyway.
    pub(super) fn rough(gallery: Vectors<'_>) -> Frame {
        Frame::new(gallery, false, false)
    }

    /// For an order that is to be told without measuring.
    pub(super) fn fine(queries: Vectors<'_>, gallery: Vectors<'_>) -> Frame {
        Frame::new(gallery, true, bytes(queries).is_some() && bytes(gallery).is_some())
    }

    fn new(gallery: Vectors<'_>, fine: bool, bytes: bool) -> Frame {
        let mut frame = Frame { centre: vec![0.0; gallery.d()], fine, bytes };
        let step = gallery.len().div_ceil(CENTRED_BY).max(1);
        let d = gallery.d();
        let (mut sums, mut row) = (vec![0.0; MEANS * d], vec![0.0; d]);
        let mut counts = [0.0; MEANS];
        for (number, i) in (0..gallery.len()).step_by(step).enumerate() {
            frame.read(gallery, i, &mut row);
            let group = number % MEANS;
            counts[group] += 1.0;
            sums[group * d..][..d].iter_mut().zip(&row).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        // The median of several means: a few members that are far from all others do not move it.
        for (k, centre) in frame.centre.iter_mut().enumerate() {
            let mut means = [0.0; MEANS];
            let mut n = 0;
            for group in (0..MEANS).filter(|g| counts[*g] > 0.0) {
                means[n] = sums[group * d + k] / counts[group];
                n += 1;
            }
            means[..n].sort_unstable_by(f64::total_cmp);
            let middle = means[n / 2] as f32;
            // Any centre is right; one that is no number would make no number of all.
            *centre = match middle {
                m if !m.is_finite() => 0.0,
                m if bytes => m.round(),
                m => m,
            };
        }
        frame
    }

    /// Vector `i` less the centre.
    pub(super) fn read(&self, vectors: Vectors<'_>, i: usize, row: &mut [f32]) {
        match bytes(vectors).filter(|_| self.bytes) {
            Some(pixels) => {
                pixels.read(i, |from| row.iter_mut().zip(from).for_each(|(to, v)| *to = f32::from(*v)));
            }
            None => vectors.read(i, row),
        }
        row.iter_mut().zip(&self.centre).for_each(|(v, c)| *v -= c);
    }

    /// The squared length of every vector less the centre.
    pub(super) fn square_norms(&self, vectors: Vectors<'_>) -> Vec<f64> {
        let mut norms = vec![0.0; vectors.len()];
        norms.par_chunks_mut(256).enumerate().for_each(|(chunk, norms)| {
            let mut row = vec![0.0; vectors.d()];
            for (i, norm) in norms.iter_mut().enumerate() {
                self.read(vectors, chunk * 256 + i, &mut row);
                *norm = square(&row);
            }
        });
        norms
    }

    /// What a squared distance of vectors as they are is multiplied by to be one of this frame.
    pub(super) fn scale(&self) -> f64 {
        // As pixels are made floats.
        if self.bytes { f64::from(1f32 / 255.0).powi(-2) } else { 1.0 }
    }

    /// The length of what reading vector `i` is off by, in this frame: bytes are made floats, which are rounded.
    pub(super) fn reading(&self, vectors: Vectors<'_>, i: usize) -> f64 {
        let Some(pixels) = bytes(vectors).filter(|_| self.bytes) else { return 0.0 };
        pixels.read(i, |from| from.iter().map(|v| READING[*v as usize]).sum::<f64>().sqrt())
    }

    /// The bound on what products of this frame are off by, in a gallery whose squared lengths are these.
    pub(super) fn bound(&self, gallery: Vectors<'_>, squares: &[f64]) -> Bound {
        // Members that are too long for f32, or no numbers, have products that are no finite numbers.
        let farthest = squares.iter().copied().filter(|s| (*s as f32).is_finite()).fold(0.0, f64::max);
        let reading = if self.bytes {
            (0..gallery.len()).into_par_iter().map(|i| self.reading(gallery, i)).reduce(|| 0.0, f64::max)
        } else {
            0.0
        };
        let run = self.run();
        Bound { d: self.centre.len(), run, bytes: self.bytes, reading, farthest: farthest.sqrt() }
    }

    /// Products of a run.
    pub(super) fn run(&self) -> usize {
        match (self.fine, self.bytes) {
            (false, _) => self.centre.len(),
            (true, false) => RUN.max(self.centre.len().isqrt()),
            (true, true) => BYTES,
        }
    }

    /// Floats that a vector takes as it is multiplied: whole runs of features, the rest of the last one zeros.
    pub(super) fn depth(&self) -> usize {
        let d = self.centre.len();
        if self.fine && !self.bytes && self.run() < d { d.next_multiple_of(self.run()) } else { d }
    }
}

/// By byte: the square of what it is off by as a float, `fl(i * fl(1 / 255))`, in units of `fl(1 / 255)`.
const READING: [f64; 256] = {
    let mut squares = [0.0; 256];
    let mut i = 0;
    while i < 256 {
        let unit = 1f32 / 255.0;
        let off = (i as f32 * unit) as f64 / unit as f64 - i as f64;
        squares[i] = off * off;
        i += 1;
    }
    squares
};

/// Pixels that are bytes.
fn bytes(vectors: Vectors<'_>) -> Option<Pixels<'_>> {
    match vectors {
        Vectors::Pixels(pixels) if !pixels.are_floats() => Some(pixels),
        _ => None,
    }
}

/// The squared length.
pub(super) fn square(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
}
