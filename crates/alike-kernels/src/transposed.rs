//! `C += Aᵀ D`: gradients of convolution weights, and covariances.

use crate::simd::Simd;
use crate::{LANE_GROUP, Tier, Windows};

impl Tier {
    /// `c += aᵀ d`: for every row, the outer product of A's row with D's.
    ///
    /// `d`'s rows are single runs whose length `n` is a multiple of [`LANE_GROUP`]; `c` is `a.columns() x n`.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn transposed_matmul_add(self, a: &[f32], aw: Windows, d: &[f32], dw: Windows, c: &mut [f32]) {
        self.transposed_columns_add(a, aw, d, dw, 0..dw.run_len(), c);
    }

    /// `c += ` the sum of D's rows: the gradient of a bias, and the sum of all windows of an image.
    ///
    /// # Panics
    ///
    /// If a buffer is too short.
    pub fn row_sum_add(self, d: &[f32], dw: Windows, c: &mut [f32]) {
        assert!(dw.fits(d) && dw.columns() <= c.len(), "row sum: a buffer is too short");
        if dw.rows() == 0 {
            return;
        }
        dispatch!(self, sum_kernel(d: &[f32], dw: Windows, c: &mut [f32]));
    }

    /// Adds `c` to every row of D: the gradient of [`Tier::row_sum_add`].
    ///
    /// # Panics
    ///
    /// If a buffer is too short.
    pub fn row_spread_add(self, c: &[f32], d: &mut [f32], dw: Windows) {
        assert!(dw.fits(d) && dw.columns() <= c.len(), "row spread: a buffer is too short");
        if dw.rows() == 0 {
            return;
        }
        dispatch!(self, spread_kernel(c: &[f32], d: &mut [f32], dw: Windows));
    }

    /// Adds a row of its own to every row of D: row `i` of `c`, whose rows lie `pitch` floats apart. Where rows of D
    /// overlap, all that falls on a float is added.
    ///
    /// # Panics
    ///
    /// If a buffer is too short.
    pub fn rows_add(self, c: &[f32], pitch: usize, d: &mut [f32], dw: Windows) {
        if dw.rows() == 0 {
            return;
        }
        let reach = (dw.rows() - 1).saturating_mul(pitch).saturating_add(dw.columns());
        assert!(dw.fits(d) && reach <= c.len(), "rows add: a buffer is too short");
        dispatch!(self, rows_kernel(c: &[f32], pitch: usize, d: &mut [f32], dw: Windows));
    }

    /// As [`Tier::transposed_matmul_add`], for the given columns of D only, whose bounds are whole lane groups: half of a
    /// symmetric product need not be computed.
    ///
    /// # Panics
    ///
    /// As [`Tier::transposed_matmul_add`], and if there are no such columns.
    pub fn transposed_columns_add(
        self,
        a: &[f32],
        aw: Windows,
        d: &[f32],
        dw: Windows,
        columns: std::ops::Range<usize>,
        c: &mut [f32],
    ) {
        assert_eq!(
            (aw.outer(), aw.inner()),
            (dw.outer(), dw.inner()),
            "transposed matmul: rows of A and of D"
        );
        assert_eq!(dw.runs(), 1, "transposed matmul: rows of D are single runs");
        assert!(dw.run_len().is_multiple_of(LANE_GROUP), "transposed matmul: the width is whole lane groups");
        assert!(
            columns.start.is_multiple_of(LANE_GROUP) && columns.end.is_multiple_of(LANE_GROUP),
            "transposed matmul: the columns are whole lane groups"
        );
        assert!(columns.end <= dw.run_len(), "transposed matmul: columns beyond D");
        assert!(aw.fits(a) && dw.fits(d), "transposed matmul: A or D is too short");
        assert!(aw.columns().saturating_mul(dw.run_len()) <= c.len(), "transposed matmul: C is too short");
        if aw.rows() == 0 {
            return;
        }
        dispatch!(
            self,
            kernel(
                a: &[f32], aw: Windows, d: &[f32], dw: Windows, columns: std::ops::Range<usize>, c: &mut [f32],
            )
        );
    }
}

/// Adds the sum of all rows to `c`, a few vectors of columns at a time.
#[inline(always)]
unsafe fn sum_kernel<S: Simd>(d: &[f32], dw: Windows, c: &mut [f32]) {
    for r in 0..dw.runs() {
        let mut first = 0;
        while first < dw.run_len() {
            let (offset, column) = (r * dw.run_stride() + first, r * dw.run_len() + first);
            let left = dw.run_len() - first;
            // SAFETY: the caller checked that every run of every row lies in `d`, and every column in `c`.
            unsafe {
                let (from, to) = (d.as_ptr().add(offset), c.as_mut_ptr().add(column));
                first += if left >= 2 * S::LANES {
                    sum_block::<S, 2>(from, dw, to)
                } else if left >= S::LANES {
                    sum_block::<S, 1>(from, dw, to)
                } else {
                    for i in 0..dw.outer() {
                        for j in 0..dw.inner() {
                            *to += *from.add(dw.start(i, j));
                        }
                    }
                    1
                };
            }
        }
    }
}

#[inline(always)]
unsafe fn sum_block<S: Simd, const N: usize>(from: *const f32, dw: Windows, to: *mut f32) -> usize {
    // SAFETY: by `sum_kernel`.
    unsafe {
        let mut sums = [S::splat(0.0); N];
        for i in 0..dw.outer() {
            for j in 0..dw.inner() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = S::add(*sum, S::load(from.add(dw.start(i, j) + v * S::LANES)));
                }
            }
        }
        for (v, sum) in sums.iter().enumerate() {
            let p = to.add(v * S::LANES);
            S::store(p, S::add(S::load(p), *sum));
        }
    }
    N * S::LANES
}

#[inline(always)]
unsafe fn spread_kernel<S: Simd>(c: &[f32], d: &mut [f32], dw: Windows) {
    for r in 0..dw.runs() {
        let mut first = 0;
        while first < dw.run_len() {
            let (offset, column) = (r * dw.run_stride() + first, r * dw.run_len() + first);
            let whole = dw.run_len() - first >= S::LANES;
            // SAFETY: the caller checked that every run of every row lies in `d`, and every column in `c`.
            unsafe {
                let (from, to) = (c.as_ptr().add(column), d.as_mut_ptr().add(offset));
                for i in 0..dw.outer() {
                    for j in 0..dw.inner() {
                        let to = to.add(dw.start(i, j));
                        if whole {
                            S::store(to, S::add(S::load(to), S::load(from)));
                        } else {
                            *to += *from;
                        }
                    }
                }
            }
            first += if whole { S::LANES } else { 1 };
        }
    }
}

#[inline(always)]
unsafe fn rows_kernel<S: Simd>(c: &[f32], pitch: usize, d: &mut [f32], dw: Windows) {
    for i in 0..dw.outer() {
        for j in 0..dw.inner() {
            for r in 0..dw.runs() {
                let from = &c[(i * dw.inner() + j) * pitch + r * dw.run_len()..][..dw.run_len()];
                let to = &mut d[dw.start(i, j) + r * dw.run_stride()..][..dw.run_len()];
                for (to, v) in to.iter_mut().zip(from) {
                    *to += v;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn kernel<S: Simd>(
    a: &[f32],
    aw: Windows,
    d: &[f32],
    dw: Windows,
    columns: std::ops::Range<usize>,
    c: &mut [f32],
) {
    let n = dw.run_len();
    // SAFETY: the caller checked all extents: A and D by `Windows::fits`, C by its size.
    unsafe {
        let mut col = columns.start;
        while col < columns.end {
            let vectors = if columns.end - col >= 2 * S::LANES { 2 } else { 1 };
            for r in 0..aw.runs() {
                let mut k = 0;
                let mut tiles = aw.run_len().div_ceil(S::ROWS);
                while k < aw.run_len() {
                    let rows = (aw.run_len() - k).div_ceil(tiles);
                    let t = Tile {
                        a: a.as_ptr().add(aw.offset() + r * aw.run_stride() + k),
                        d: d.as_ptr().add(dw.offset() + col),
                        c: c.as_mut_ptr().add((r * aw.run_len() + k) * n + col),
                        n,
                        aw,
                        dw,
                    };
                    if vectors == 2 {
                        t.run::<S, 2>(rows);
                    } else {
                        t.run::<S, 1>(rows);
                    }
                    k += rows;
                    tiles -= 1;
                }
            }
            col += vectors * S::LANES;
        }
    }
}

struct Tile {
    a: *const f32,
    d: *const f32,
    c: *mut f32,
    n: usize,
    aw: Windows,
    dw: Windows,
}

impl Tile {
    #[inline(always)]
    unsafe fn run<S: Simd, const N: usize>(self, rows: usize) {
        macro_rules! choose {
            ($($t:literal)*) => {
                // SAFETY: `rows` neighbouring floats of A's rows, and rows of C, are in bounds, by `kernel`.
                unsafe { match rows { $($t if $t <= S::ROWS => self.exact::<S, $t, N>(),)* _ => unreachable!() } }
            };
        }
        choose!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    /// `T` columns of A against `N` vectors of D, kept in registers over all rows.
    #[inline(always)]
    unsafe fn exact<S: Simd, const T: usize, const N: usize>(self) {
        // SAFETY: in bounds by `kernel`; the instructions are enabled by `dispatch!`.
        unsafe {
            let mut acc = [[S::splat(0.0); N]; T];
            for (t, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    *x = S::load(self.c.add(t * self.n + v * S::LANES));
                }
            }
            for i in 0..self.aw.outer() {
                let mut a = self.a.add(i * self.aw.outer_stride());
                let mut d = self.d.add(i * self.dw.outer_stride());
                for _ in 0..self.aw.inner() {
                    let mut dv = [S::splat(0.0); N];
                    for (v, x) in dv.iter_mut().enumerate() {
                        *x = S::load(d.add(v * S::LANES));
                    }
                    for (t, row) in acc.iter_mut().enumerate() {
                        let x = S::splat(*a.add(t));
                        for (y, w) in row.iter_mut().zip(dv) {
                            *y = S::fma(x, w, *y);
                        }
                    }
                    a = a.wrapping_add(self.aw.inner_stride());
                    d = d.wrapping_add(self.dw.inner_stride());
                }
            }
            for (t, row) in acc.iter().enumerate() {
                for (v, x) in row.iter().enumerate() {
                    S::store(self.c.add(t * self.n + v * S::LANES), *x);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn fast_transposed_products_equal_the_plain_ones_on_every_tier(
            outer in 1usize..4, inner in 1usize..8, kernel in 1usize..4, channels in 1usize..20,
            groups in 1usize..4, skip in 0usize..2,
        ) {
            let (h, w) = (outer + kernel - 1, inner + kernel - 1);
            let n = groups * LANE_GROUP;
            let row = w * channels;
            let aw = Windows::new(0, [outer, inner, kernel], [row, channels, row], kernel * channels);
            let dw = Windows::new(0, [outer, inner, 1], [inner * n, n, 0], n);
            // Small whole numbers, so that every order of summation gives the same floats.
            let a: Vec<f32> = (0..h * w * channels).map(|i| ((i * 7 + 3) % 11) as f32 - 5.0).collect();
            let d: Vec<f32> = (0..outer * inner * n).map(|i| ((i * 5 + 1) % 7) as f32 - 3.0).collect();
            let from = if groups > 1 { skip * LANE_GROUP } else { 0 };
            let mut expected = vec![1.0; aw.columns() * n];
            for i in 0..outer {
                for j in 0..inner {
                    for (k, x) in aw.row(&a, i, j).enumerate() {
                        for col in from..n {
                            expected[k * n + col] += x * d[(i * inner + j) * n + col];
                        }
                    }
                }
            }
            for tier in Tier::available() {
                let mut c = vec![1.0; aw.columns() * n];
                tier.transposed_columns_add(&a, aw, &d, dw, from..n, &mut c);
                prop_assert_eq!(&c, &expected, "{:?}", tier);
                let mut sum = vec![1.0; aw.columns()];
                tier.row_sum_add(&a, aw, &mut sum);
                let mut spread = a.clone();
                tier.row_spread_add(&sum, &mut spread, aw);
                let (mut plain_sum, mut plain_spread) = (vec![1.0; aw.columns()], a.clone());
                for i in 0..outer {
                    for j in 0..inner {
                        aw.row(&a, i, j).zip(&mut plain_sum).for_each(|(v, s)| *s += v);
                    }
                }
                for i in 0..outer {
                    for j in 0..inner {
                        for (k, s) in plain_sum.iter().enumerate() {
                            plain_spread[aw.start(i, j) + k / aw.run_len() * aw.run_stride() + k % aw.run_len()] += s;
                        }
                    }
                }
                let own: Vec<f32> = (0..aw.rows() * (aw.columns() + 3)).map(|i| (i % 13) as f32).collect();
                let (mut rows, mut plain_rows) = (a.clone(), a.clone());
                tier.rows_add(&own, aw.columns() + 3, &mut rows, aw);
                for i in 0..outer {
                    for j in 0..inner {
                        for k in 0..aw.columns() {
                            let at = aw.start(i, j) + k / aw.run_len() * aw.run_stride() + k % aw.run_len();
                            plain_rows[at] += own[(i * inner + j) * (aw.columns() + 3) + k];
                        }
                    }
                }
                prop_assert_eq!(&rows, &plain_rows, "{:?}", tier);
                prop_assert_eq!(&sum, &plain_sum, "{:?}", tier);
                prop_assert_eq!(&spread, &plain_spread, "{:?}", tier);
                let mut sum = vec![1.0; n];
                tier.row_sum_add(&d, dw, &mut sum);
                for (col, sum) in sum.iter().enumerate() {
                    prop_assert_eq!(*sum, 1.0 + d.iter().skip(col).step_by(n).sum::<f32>(), "{:?}", tier);
                }
            }
        }
    }
}
