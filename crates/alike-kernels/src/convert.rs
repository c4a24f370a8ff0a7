//! Between the floats of products and the doubles of formulas, many at a time.

use crate::Tier;
use crate::simd::Simd;

impl Tier {
    /// `to = factor * from + offset`.
    ///
    /// # Panics
    ///
    /// If lengths differ; as the others here.
    pub fn widen(self, from: &[f32], factor: f64, offset: f64, to: &mut [f64]) {
        assert_eq!(from.len(), to.len(), "widen: lengths");
        dispatch!(self, widen_kernel(from: &[f32], factor: f64, offset: f64, to: &mut [f64]));
    }

    /// `to = factor * from + offset`, rounded.
    pub fn narrow(self, from: &[f64], factor: f64, offset: f64, to: &mut [f32]) {
        assert_eq!(from.len(), to.len(), "narrow: lengths");
        dispatch!(self, narrow_kernel(from: &[f64], factor: f64, offset: f64, to: &mut [f32]));
    }

    /// `to += factor * from`.
    pub fn add_scaled(self, from: &[f32], factor: f64, to: &mut [f64]) {
        assert_eq!(from.len(), to.len(), "add scaled: lengths");
        dispatch!(self, add_kernel(from: &[f32], factor: f64, to: &mut [f64]));
    }

    /// Whether any value is below a limit.
    pub fn any_below(self, values: &[f64], limit: f64) -> bool {
        dispatch!(self, below_kernel(values: &[f64], limit: f64) -> bool)
    }

    /// The sum of all values, in lanes: in another order than one by one, but always the same.
    pub fn sum(self, values: &[f64]) -> f64 {
        dispatch!(self, sum_kernel(values: &[f64]) -> f64)
    }

    /// The squared length of the difference of two vectors, in doubles: the same bits by every tier.
    pub fn square_distance(self, a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len(), "square distance: lengths");
        dispatch!(self, distance_kernel(a: &[f32], b: &[f32]) -> f64)
    }

    /// Asks for values that will be read soon, where the machine can be asked: nothing else happens.
    #[inline]
    pub fn prefetch(self, values: &[f32]) {
        #[cfg(target_arch = "x86_64")]
        for line in values.chunks(crate::LANE_GROUP) {
            // SAFETY: every machine of this architecture has the instruction, and it touches no memory that can be seen.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = values;
    }

    /// The inner product of two vectors, in doubles.
    pub fn dot_wide(self, a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len(), "dot: lengths");
        dispatch!(self, dot_kernel(a: &[f32], b: &[f32]) -> f64)
    }
}

#[inline(always)]
unsafe fn widen_kernel<S: Simd>(from: &[f32], factor: f64, offset: f64, to: &mut [f64]) {
    to.iter_mut().zip(from).for_each(|(to, v)| *to = factor * f64::from(*v) + offset);
}

#[inline(always)]
unsafe fn narrow_kernel<S: Simd>(from: &[f64], factor: f64, offset: f64, to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, v)| *to = (factor * v + offset) as f32);
}

#[inline(always)]
unsafe fn add_kernel<S: Simd>(from: &[f32], factor: f64, to: &mut [f64]) {
    to.iter_mut().zip(from).for_each(|(to, v)| *to += factor * f64::from(*v));
}

#[inline(always)]
unsafe fn below_kernel<S: Simd>(values: &[f64], limit: f64) -> bool {
    values.chunks(64).any(|block| block.iter().fold(false, |any, v| any | (*v < limit)))
}

#[inline(always)]
unsafe fn sum_kernel<S: Simd>(values: &[f64]) -> f64 {
    let mut sums = [0.0f64; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    for block in blocks {
        block.iter().zip(&mut sums).for_each(|(v, sum)| *sum += v);
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

#[inline(always)]
unsafe fn distance_kernel<S: Simd>(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: &f32, y: &f32| (f64::from(*x) - f64::from(*y)) * (f64::from(*x) - f64::from(*y));
    let mut sums = [0.0f64; 32];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<32>(), b.as_chunks::<32>());
    for (a, b) in a.iter().zip(b) {
        for ((x, y), sum) in a.iter().zip(b).zip(&mut sums) {
            *sum += square(x, y);
        }
    }
    for ((x, y), sum) in a_rest.iter().zip(b_rest).zip(&mut sums) {
        *sum += square(x, y);
    }
    // By halves: added one by one, 32 sums would take as long as a short vector.
    let mut n = sums.len();
    while n > 1 {
        n /= 2;
        let (low, high) = sums.split_at_mut(n);
        low.iter_mut().zip(high).for_each(|(sum, other)| *sum += *other);
    }
    sums[0]
}

#[inline(always)]
unsafe fn dot_kernel<S: Simd>(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f64; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for ((x, y), sum) in a.iter().zip(b).zip(&mut sums) {
            *sum += f64::from(*x) * f64::from(*y);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_do_what_they_say_on_every_tier() {
        for tier in Tier::available() {
            let a: Vec<f32> = (0..37).map(|i| i as f32 * 0.5).collect();
            let mut wide = vec![0.0; 37];
            tier.widen(&a, -2.0, 1.0, &mut wide);
            assert!(wide.iter().zip(&a).all(|(w, v)| *w == 1.0 - 2.0 * f64::from(*v)));
            let mut back = vec![0.0; 37];
            tier.narrow(&wide, -0.5, 0.5, &mut back);
            assert_eq!(back, a);
            tier.add_scaled(&a, 2.0, &mut wide);
            assert!(wide.iter().all(|w| *w == 1.0));
            assert!(tier.any_below(&wide, 1.5) && !tier.any_below(&wide, 1.0));
            assert_eq!(tier.sum(&wide), 37.0);
            let expected: f64 = a.iter().map(|v| f64::from(*v).powi(2)).sum();
            assert_eq!(tier.dot_wide(&a, &a), expected);
            let b: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin()).collect();
            let distance = tier.square_distance(&a, &b);
            let expected: f64 = a.iter().zip(&b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
            assert!((distance - expected).abs() < 1e-12 * expected);
            assert_eq!(distance, Tier::available()[0].square_distance(&a, &b), "the same bits by every tier");
        }
    }
}
