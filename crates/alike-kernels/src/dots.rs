//! Inner products of many rows with one vector: gradients with respect to an image's one or three channels.

use crate::simd::Simd;
use crate::{LANE_GROUP, Tier, Windows};

impl Tier {
    /// `y[row] = a[row] · v`, written `y_stride` floats apart. Runs of `a` are whole lane groups.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn dots(self, a: &[f32], aw: Windows, v: &[f32], y: &mut [f32], y_stride: usize) {
        assert!(aw.run_len().is_multiple_of(LANE_GROUP), "dots: runs are whole lane groups");
        assert!(aw.fits(a) && aw.columns() <= v.len(), "dots: A or the vector is too short");
        if aw.rows() == 0 {
            return;
        }
        let last = (aw.rows() - 1).saturating_mul(y_stride);
        assert!(last < y.len(), "dots: the result is too short");
        dispatch!(self, kernel(a: &[f32], aw: Windows, v: &[f32], y: &mut [f32], y_stride: usize));
    }
}

#[inline(always)]
unsafe fn kernel<S: Simd>(a: &[f32], aw: Windows, v: &[f32], y: &mut [f32], y_stride: usize) {
    for i in 0..aw.outer() {
        for j in 0..aw.inner() {
            // SAFETY: `dots` checked that rows lie inside A and that the vector is as long as a row.
            let sum = unsafe {
                let row = a.as_ptr().add(aw.start(i, j));
                let mut w = v.as_ptr();
                let mut acc = S::splat(0.0);
                for r in 0..aw.runs() {
                    let run = row.add(r * aw.run_stride());
                    let mut k = 0;
                    while k < aw.run_len() {
                        acc = S::fma(S::load(run.add(k)), S::load(w), acc);
                        w = w.add(S::LANES);
                        k += S::LANES;
                    }
                }
                let mut lanes = [0.0f32; LANE_GROUP];
                S::store(lanes.as_mut_ptr(), acc);
                lanes.iter().sum()
            };
            y[(i * aw.inner() + j) * y_stride] = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plane;

    #[test]
    fn rows_times_a_vector_equal_the_plain_sums_on_every_tier() {
        let plane = Plane::new(5, 4, 20, 2);
        let a: Vec<f32> = (0..plane.buffer_len()).map(|i| ((i * 7) % 13) as f32 - 6.0).collect();
        let aw = plane.windows(crate::Sliding { h: 3, w: 3, pad: 1, stride: 1 });
        let v: Vec<f32> = (0..aw.columns()).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
        let mut expected = Vec::new();
        for i in 0..aw.outer() {
            for j in 0..aw.inner() {
                expected.push(aw.row(&a, i, j).zip(&v).map(|(x, w)| x * w).sum::<f32>());
            }
        }
        for tier in Tier::available() {
            let mut y = vec![0.0; expected.len() * 3];
            tier.dots(&a, aw, &v, &mut y, 3);
            assert_eq!(y.iter().step_by(3).copied().collect::<Vec<_>>(), expected, "{tier:?}");
        }
    }
}
