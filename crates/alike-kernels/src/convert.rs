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

    /// Which values are not above a limit: bit `i % 64` of number `i / 64` tells of value `i`. Positive infinity and values that are no
    /// numbers count as not above. Bits beyond the last value are 0.
    ///
    /// # Panics
    ///
    /// If there is not one number for every 64 values.
    pub fn not_above(self, values: &[f32], limit: f32, bits: &mut [u64]) {
        assert_eq!(values.len().div_ceil(64), bits.len(), "not above: lengths");
        dispatch!(self, not_above_kernel(values: &[f32], limit: f32, bits: &mut [u64]));
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
unsafe fn not_above_kernel<S: Simd>(values: &[f32], limit: f32, bits: &mut [u64]) {
    for (block, bits) in values.chunks(64).zip(bits) {
        *bits = not_above_bits(block, limit);
    }
}

/// See [`Tier::not_above`], for 64 values at most.
#[inline(always)]
pub(crate) fn not_above_bits(values: &[f32], limit: f32) -> u64 {
    // Bytes first, which compilers compare many at a time; a product gathers the lowest bits of eight.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut stays = [0u8; 64];
    stays.iter_mut().zip(values).for_each(|(to, v)| *to = u8::from(!((*v > limit) & (*v < f32::INFINITY))));
    let (eights, _) = stays.as_chunks::<8>();
    let gathered = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    gathered.enumerate().map(|(i, byte)| byte << (8 * i)).sum()
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
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| square(x, y)).sum();
    sums.iter().sum::<f64>() + rest
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
    fn what_is_not_above_a_limit_is_found_on_every_tier() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0, 3.0f32.next_up(), 3.0f32.next_down()];
        for n in [0, 1, 6, 63, 64, 65, 200] {
            let values: Vec<f32> =
                (0..n).map(|i| if i % 5 == 0 { odd[i / 5 % 6] } else { (i * 7 % 11) as f32 }).collect();
            for limit in [3.0, f32::INFINITY, f32::NEG_INFINITY] {
                for tier in Tier::available() {
                    let mut bits = vec![u64::MAX; n.div_ceil(64)];
                    tier.not_above(&values, limit, &mut bits);
                    for i in 0..n.div_ceil(64) * 64 {
                        let stays = values.get(i).is_some_and(|v| !v.is_finite() || *v <= limit);
                        assert_eq!(
                            bits[i / 64] >> (i % 64) & 1 == 1,
                            stays,
                            "{tier:?} {limit} {:?}",
                            values.get(i)
                        );
                    }
                }
            }
        }
    }

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
