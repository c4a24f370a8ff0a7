//! Inner products of vectors in codes of 8 bits: what exact search looks at before it reads floats.
//!
//! Codes are whole numbers from 0 to 255, and lie as the instructions read them: sixteen rows together, four numbers of each row in turn. A
//! query is whole numbers from -128 to 127.

use crate::Tier;
use crate::tier::Level;

/// Rows that lie together.
pub const CODE_ROWS: usize = 16;
/// Numbers of a row that lie together: the width of codes is a multiple of this.
pub const CODE_RUN: usize = 4;
/// The widest rows whose products fit into 32 bits.
pub const CODE_MOST: usize = 1 << 16;

/// Where number `i` of row `row` lies among codes of a width.
pub fn code_at(width: usize, row: usize, i: usize) -> usize {
    (row / CODE_ROWS * width + i / CODE_RUN * CODE_RUN) * CODE_ROWS
        + row % CODE_ROWS * CODE_RUN
        + i % CODE_RUN
}

impl Tier {
    /// `out[q * rows + row] = codes[row] · queries[q]`, of whole numbers and exact.
    ///
    /// # Panics
    ///
    /// If the width is no multiple of [`CODE_RUN`] or above [`CODE_MOST`], the codes are no whole groups of [`CODE_ROWS`] rows, or the
    /// result is of another length.
    pub fn code_dots(self, codes: &[u8], width: usize, queries: &[i8], out: &mut [i32]) {
        assert!(
            width > 0 && width.is_multiple_of(CODE_RUN) && width <= CODE_MOST,
            "code_dots: rows are whole runs, and not too wide"
        );
        assert!(
            codes.len().is_multiple_of(CODE_ROWS * width) && queries.len().is_multiple_of(width),
            "code_dots: codes are whole groups of rows, queries whole rows"
        );
        let (groups, m) = (codes.len() / (CODE_ROWS * width), queries.len() / width);
        let expected = groups.checked_mul(CODE_ROWS).and_then(|rows| rows.checked_mul(m));
        assert!(Some(out.len()) == expected, "code_dots: the result is of another length");
        match self.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if is_x86_feature_detected!("avx512vnni") => {
                // SAFETY: the machine has the instructions, and lengths were checked.
                unsafe { x86::vnni(codes, width, queries, out) }
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx2 => {
                // SAFETY: a tier of these levels has AVX2, and lengths were checked.
                unsafe { x86::avx2(codes, width, queries, out) }
            }
            Level::Portable => plain(codes, width, queries, out),
        }
    }
}

fn plain(codes: &[u8], width: usize, queries: &[i8], out: &mut [i32]) {
    let rows = codes.len() / width;
    for (q, query) in queries.chunks_exact(width).enumerate() {
        let out = &mut out[q * rows..][..rows];
        for (group, out) in codes.chunks_exact(CODE_ROWS * width).zip(out.chunks_exact_mut(CODE_ROWS)) {
            let mut sums = [0i32; CODE_ROWS];
            for (chunk, four) in group.chunks_exact(CODE_ROWS * CODE_RUN).zip(query.chunks_exact(CODE_RUN)) {
                for (sum, codes) in sums.iter_mut().zip(chunk.chunks_exact(CODE_RUN)) {
                    *sum += codes.iter().zip(four).map(|(c, q)| i32::from(*c) * i32::from(*q)).sum::<i32>();
                }
            }
            out.copy_from_slice(&sums);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CODE_ROWS, CODE_RUN};
    use std::arch::x86_64::*;

    /// A pointer to the result of a group for a query.
    #[inline(always)]
    unsafe fn result(out: *mut i32, rows: usize, q: usize, group: usize) -> *mut i32 {
        // SAFETY: the caller has so many groups and queries.
        unsafe { out.add(q * rows + group * CODE_ROWS) }
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512vnni")]
    pub(super) unsafe fn vnni(codes: &[u8], width: usize, queries: &[i8], out: &mut [i32]) {
        let (groups, m) = (codes.len() / (CODE_ROWS * width), queries.len() / width);
        let (codes, queries, out) = (codes.as_ptr(), queries.as_ptr(), out.as_mut_ptr());
        let mut g = 0;
        // Few groups at a time, which stay in the nearest cache for all queries.
        while g < groups {
            let wide = groups - g >= 4;
            let mut q = 0;
            while q < m {
                let step = if m - q >= 4 { 4 } else { 1 };
                // SAFETY: groups from `g` and queries from `q` are there: four where that was asked for.
                unsafe {
                    match (wide, step) {
                        (true, 4) => tile::<4, 4>(codes, width, groups, queries, out, g, q),
                        (true, _) => tile::<4, 1>(codes, width, groups, queries, out, g, q),
                        (false, 4) => tile::<1, 4>(codes, width, groups, queries, out, g, q),
                        (false, _) => tile::<1, 1>(codes, width, groups, queries, out, g, q),
                    }
                }
                q += step;
            }
            g += if wide { 4 } else { 1 };
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512vnni")]
    unsafe fn tile<const G: usize, const Q: usize>(
        codes: *const u8,
        width: usize,
        groups: usize,
        queries: *const i8,
        out: *mut i32,
        g: usize,
        q: usize,
    ) {
        let mut sums = [[_mm512_setzero_si512(); G]; Q];
        let mut i = 0;
        while i < width {
            // SAFETY: group `g + G - 1` and query `q + Q - 1` are there, and `i` is a whole run below the width.
            unsafe {
                let rows: [__m512i; G] = std::array::from_fn(|k| {
                    _mm512_loadu_si512(codes.add(((g + k) * width + i) * CODE_ROWS).cast())
                });
                for (n, sums) in sums.iter_mut().enumerate() {
                    let four = queries.add((q + n) * width + i).cast::<i32>().read_unaligned();
                    let four = _mm512_set1_epi32(four);
                    for k in 0..G {
                        sums[k] = _mm512_dpbusd_epi32(sums[k], rows[k], four);
                    }
                }
            }
            i += CODE_RUN;
        }
        for (n, sums) in sums.iter().enumerate() {
            for (k, sum) in sums.iter().enumerate() {
                // SAFETY: as above; a group has sixteen results.
                unsafe {
                    _mm512_storeu_si512(result(out, groups * CODE_ROWS, q + n, g + k).cast(), *sum);
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(codes: &[u8], width: usize, queries: &[i8], out: &mut [i32]) {
        let (groups, m) = (codes.len() / (CODE_ROWS * width), queries.len() / width);
        let (codes, queries, out) = (codes.as_ptr(), queries.as_ptr(), out.as_mut_ptr());
        for g in 0..groups {
            for q in 0..m {
                // Two sums a row, of numbers 0 and 1 of every run, and of 2 and 3.
                let mut sums = [_mm256_setzero_si256(); 4];
                let mut i = 0;
                while i < width {
                    // SAFETY: group `g` and query `q` are there, and `i` is a whole run below the width.
                    unsafe {
                        let four = queries.add(q * width + i).cast::<i32>().read_unaligned();
                        let query = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
                        let rows = codes.add((g * width + i) * CODE_ROWS);
                        for (k, sum) in sums.iter_mut().enumerate() {
                            let rows = _mm256_cvtepu8_epi16(_mm_loadu_si128(rows.add(16 * k).cast()));
                            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(rows, query));
                        }
                    }
                    i += CODE_RUN;
                }
                // SAFETY: a group has sixteen results.
                unsafe {
                    let to = result(out, groups * CODE_ROWS, q, g);
                    for pair in 0..2 {
                        let both = _mm256_hadd_epi32(sums[2 * pair], sums[2 * pair + 1]);
                        let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(both);
                        _mm256_storeu_si256(to.add(8 * pair).cast(), ordered);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expected(codes: &[u8], width: usize, queries: &[i8]) -> Vec<i32> {
        let rows = codes.len() / width;
        let dot = |q: usize, row: usize| {
            (0..width)
                .map(|i| i32::from(codes[code_at(width, row, i)]) * i32::from(queries[q * width + i]))
                .sum()
        };
        (0..queries.len() / width).flat_map(|q| (0..rows).map(move |row| dot(q, row))).collect()
    }

    proptest! {
        #[test]
        fn products_of_codes_equal_the_plain_sums_on_every_tier(
            groups in 0usize..7, runs in 1usize..20, m in 0usize..10, seed: u64, extreme: bool,
        ) {
            let width = runs * CODE_RUN;
            let draw = |i: usize| (seed ^ i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            let codes: Vec<u8> =
                (0..groups * CODE_ROWS * width).map(|i| if extreme { 255 } else { draw(i) as u8 }).collect();
            let queries: Vec<i8> =
                (0..m * width).map(|i| if extreme { -128 } else { draw(i + 7777) as i8 }).collect();
            let expected = expected(&codes, width, &queries);
            for tier in Tier::available() {
                let mut out = vec![7; expected.len()];
                tier.code_dots(&codes, width, &queries, &mut out);
                prop_assert_eq!(&out, &expected, "{:?}", tier);
            }
        }
    }

    #[test]
    fn every_number_of_every_row_has_its_own_place() {
        let mut seen = vec![false; 32 * 12];
        for row in 0..32 {
            for i in 0..12 {
                assert!(!std::mem::replace(&mut seen[code_at(12, row, i)], true));
            }
        }
    }
}
