//! Counts values by bins: a histogram that also says which values lie in marked bins.

use crate::Tier;
use crate::simd::Simd;

/// Bins of equal width over a range of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bins {
    first: f32,
    scale: f32,
    last: f32,
}

impl Bins {
    /// Set in a bin's number, this bit says that its values need not be looked at one by one.
    pub const CLEAR: u32 = 1 << 31;
    /// Bins, at most.
    pub const MOST: usize = 1 << 20;

    /// `count` bins from `first` to `last`. What lies below is in the first bin, what lies above in the last.
    ///
    /// # Panics
    ///
    /// If there are no bins or more than [`Bins::MOST`], or `first` or `last` is no finite number.
    pub fn new(first: f32, last: f32, count: usize) -> Bins {
        assert!((1..=Bins::MOST).contains(&count), "bins: their number");
        assert!(first.is_finite() && last.is_finite(), "bins: their range");
        let width = (last - first).clamp(f32::MIN_POSITIVE, f32::MAX);
        Bins { first, scale: count as f32 / width, last: (count - 1) as f32 }
    }

    /// How many.
    pub fn count(self) -> usize {
        self.last as usize + 1
    }

    /// The bin of a value: never a lower one for a larger value, and the first for what is no number.
    #[inline]
    pub fn of(self, value: f32) -> usize {
        // What is no number loses against zero. Small numbers are converted faster.
        ((value - self.first) * self.scale).max(0.0).min(self.last) as i32 as usize
    }
}

impl Tier {
    /// Adds one to the number of a value's bin, for every value that is not above `limit` (positive infinity and what is no number count
    /// as not above). Where that number lacks [`Bins::CLEAR`], the value's index goes to `open`, after what is there.
    ///
    /// # Panics
    ///
    /// If there is not a number for every bin, or there are `2^32` values.
    pub fn count_bins(
        self,
        values: &[f32],
        limit: f32,
        bins: Bins,
        numbers: &mut [u32],
        open: &mut Vec<u32>,
    ) {
        assert_eq!(numbers.len(), bins.count(), "count bins: a number for every bin");
        assert!(u32::try_from(values.len()).is_ok(), "count bins: values");
        dispatch!(
            self,
            count_kernel(values: &[f32], limit: f32, bins: Bins, numbers: &mut [u32], open: &mut Vec<u32>)
        );
    }
}

/// Values whose bins are found at once.
const BLOCK: usize = 64;

#[inline(always)]
unsafe fn count_kernel<S: Simd>(
    values: &[f32],
    limit: f32,
    bins: Bins,
    numbers: &mut [u32],
    open: &mut Vec<u32>,
) {
    let mut found = [0u32; BLOCK];
    for (block, values) in values.chunks(BLOCK).enumerate() {
        let mut of = [0i32; BLOCK];
        // As `Bins::of`.
        of.iter_mut().zip(values).for_each(|(to, v)| {
            let bin = ((v - bins.first) * bins.scale).max(0.0).min(bins.last);
            // SAFETY: a finite number from 0 to `last`, which is below 2^20.
            *to = unsafe { bin.to_int_unchecked() };
        });
        let mut near = not_above(values, limit);
        let mut n = 0;
        while near != 0 {
            let i = near.trailing_zeros();
            near &= near - 1;
            // SAFETY: `i` is below `BLOCK`; bins are below `bins.count()`, as many as there are numbers.
            let number = unsafe { numbers.get_unchecked_mut(*of.get_unchecked(i as usize) as usize) };
            *number += 1;
            // Written always and kept sometimes: most are not kept, but whether one is cannot be foretold.
            found[n & (BLOCK - 1)] = (block * BLOCK) as u32 + i;
            n += usize::from(*number & Bins::CLEAR == 0);
        }
        open.extend_from_slice(&found[..n]);
    }
}

/// Which of 64 values at most are not above a limit, a bit each.
#[inline(always)]
fn not_above(values: &[f32], limit: f32) -> u64 {
    // Bytes first, which compilers compare many at a time; a product gathers the lowest bits of eight.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut stays = [0u8; BLOCK];
    stays.iter_mut().zip(values).for_each(|(to, v)| *to = u8::from(!((*v > limit) & (*v < f32::INFINITY))));
    let (eights, _) = stays.as_chunks::<8>();
    let gathered = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    gathered.enumerate().map(|(i, byte)| byte << (8 * i)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn values_are_counted_as_one_by_one_on_every_tier(
            seed: u32, n in 0usize..300, count in 1usize..200, limit in -1.0f32..2.0,
        ) {
            let value = |i: usize| match (i as u32 ^ seed).wrapping_mul(2_654_435_761) >> 8 {
                0..100_000 => f32::NAN,
                100_000..200_000 => f32::INFINITY,
                200_000..300_000 => f32::NEG_INFINITY,
                v => v as f32 / (1 << 23) as f32 - 0.5,
            };
            let values: Vec<f32> = (0..n).map(value).collect();
            let bins = Bins::new(-0.25, 1.0, count);
            let marked = |b: usize| if b % 3 == 1 { 0 } else { Bins::CLEAR };
            let fresh: Vec<u32> = (0..count).map(marked).collect();
            let (mut expected, mut listed) = (fresh.clone(), vec![7]);
            for (i, v) in values.iter().enumerate() {
                if !(*v > limit && *v < f32::INFINITY) {
                    expected[bins.of(*v)] += 1;
                    if fresh[bins.of(*v)] == 0 {
                        listed.push(i as u32);
                    }
                }
            }
            for tier in Tier::available() {
                let (mut numbers, mut open) = (fresh.clone(), vec![7]);
                tier.count_bins(&values, limit, bins, &mut numbers, &mut open);
                prop_assert_eq!(&numbers, &expected, "{:?}", tier);
                prop_assert_eq!(&open, &listed, "{:?}", tier);
            }
        }
    }

    #[test]
    fn bins_rise_with_values_and_have_an_end() {
        for (first, last) in [(0.0, 1.0), (-3e38, 3e38), (5.0, 5.0), (1.0, -1.0), (0.0, 1e-45)] {
            let bins = Bins::new(first, last, 100);
            let of = [
                f32::NAN,
                f32::NEG_INFINITY,
                -3.4e38,
                -1.0,
                0.0,
                1e-40,
                0.5,
                1.0,
                5.0,
                3.4e38,
                f32::INFINITY,
            ]
            .map(|v| bins.of(v));
            assert!(of[1..].is_sorted() && of[0] == 0 && of.iter().all(|b| *b < 100), "{of:?}");
        }
    }

    #[test]
    #[should_panic(expected = "a number for every bin")]
    fn a_short_histogram_is_refused() {
        Tier::available()[0].count_bins(&[0.0], 1.0, Bins::new(0.0, 1.0, 9), &mut [0; 8], &mut Vec::new());
    }
}
