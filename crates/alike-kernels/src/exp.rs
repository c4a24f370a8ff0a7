//! Exponentials of many numbers at once, and their sum: softmaxes, and losses made of them.

use crate::Tier;
use crate::simd::Simd;

impl Tier {
    /// Replaces every `v` by `exp(v - shift)`, to about two units in the last place, and returns the sum.
    ///
    /// `v - shift` is meant to be at most 0; what lies below -87 counts as -87. A NaN stays one.
    pub fn exp_sum(self, values: &mut [f32], shift: f32) -> f64 {
        dispatch!(self, kernel(values: &mut [f32], shift: f32) -> f64)
    }

    /// The largest of the values and `least`; NaNs are overlooked.
    pub fn largest(self, values: &[f32], least: f32) -> f32 {
        dispatch!(self, largest_kernel(values: &[f32], least: f32) -> f32)
    }
}

/// `exp(x)`: two to a whole power, times a polynomial over the rest. Nothing here branches, so that compilers make
/// vectors of it, whose width the surrounding function's instructions decide.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    // Not `max` and `min`, which would make a number of a NaN.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let whole = x * std::f32::consts::LOG2_E + ROUND;
    let n = whole - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = (p * r + 1.0) * r + 1.0;
    // The low bits of the rounded number are the power.
    p * f32::from_bits(whole.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23)
}

#[inline(always)]
unsafe fn kernel<S: Simd>(values: &mut [f32], shift: f32) -> f64 {
    let mut sums = [0.0f64; 16];
    let mut blocks = values.chunks_exact_mut(16);
    for block in &mut blocks {
        for (v, sum) in block.iter_mut().zip(&mut sums) {
            *v = exp(*v - shift);
            *sum += f64::from(*v);
        }
    }
    let mut rest = 0.0;
    for v in blocks.into_remainder() {
        *v = exp(*v - shift);
        rest += f64::from(*v);
    }
    sums.iter().sum::<f64>() + rest
}

#[inline(always)]
unsafe fn largest_kernel<S: Simd>(values: &[f32], least: f32) -> f32 {
    let mut most = [least; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    for block in blocks {
        for (v, most) in block.iter().zip(&mut most) {
            *most = if *v > *most { *v } else { *most };
        }
    }
    rest.iter().chain(&most).fold(least, |most, v| if *v > most { *v } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_the_librarys_on_every_tier() {
        for tier in Tier::available() {
            for n in [0, 1, 15, 16, 17, 1000] {
                let x: Vec<f32> =
                    (0..n).map(|i| -86.9 * (i as f32 / n as f32) * ((i % 7) as f32 / 6.0)).collect();
                let mut y: Vec<f32> = x.iter().map(|v| v + 3.5).collect();
                let sum = tier.exp_sum(&mut y, 3.5);
                let mut expected = 0.0;
                for (x, y) in x.iter().zip(&y) {
                    let exact = f64::from(x + 3.5 - 3.5).exp();
                    assert!((f64::from(*y) - exact).abs() < 3e-7 * exact, "{tier:?}: exp({x}) {y} {exact}");
                    expected += f64::from(*y);
                }
                assert!((sum - expected).abs() < 1e-12 * expected.max(1.0));
            }
            assert_eq!(tier.largest(&[1.0; 37], 2.0), 2.0);
            assert_eq!(tier.largest(&(0..37).map(|i| i as f32).collect::<Vec<_>>(), 2.0), 36.0);
            let mut odd = [f32::NAN, f32::NEG_INFINITY, 0.0];
            tier.exp_sum(&mut odd, 0.0);
            assert!(odd[0].is_nan() && odd[1] < 1e-37 && odd[2] == 1.0);
        }
    }
}
