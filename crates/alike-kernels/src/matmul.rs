//! `C = init + A B`: convolutions, their input gradients, and the inner products of neighbour search.

use crate::simd::Simd;
use crate::{LANE_GROUP, Tier, Windows};

/// What a product starts from.
#[derive(Clone, Copy)]
enum Init<'a> {
    Rows(&'a [f32]),
    Result,
    /// Zero, for every run of A's columns anew.
    Runs,
}

impl Tier {
    /// `c[row] = bias + a[row] * b` for every row of `a`.
    ///
    /// `b` is `a.columns() x bias.len()`; the width `bias.len()` is a multiple of [`LANE_GROUP`]. The result's rows lie
    /// as `out` says, whose rows are as many as `a`'s, in single runs of the width.
    ///
    /// # Panics
    ///
    /// If shapes disagree, rows of `c` overlap, or a buffer is too short.
    pub fn matmul(self, a: &[f32], aw: Windows, b: &[f32], bias: &[f32], c: &mut [f32], out: Windows) {
        product(self, a, aw, b, Init::Rows(bias), c, out);
    }

    /// `c[row] += a[row] * b`, otherwise as [`Tier::matmul`].
    ///
    /// # Panics
    ///
    /// As [`Tier::matmul`].
    pub fn matmul_add(self, a: &[f32], aw: Windows, b: &[f32], c: &mut [f32], out: Windows) {
        product(self, a, aw, b, Init::Result, c, out);
    }

    /// `c[row] = a[row] * b`, where the products of each run of A's columns are summed by themselves, and then these sums in order:
    /// the rounding error grows with the length of a run and the number of runs, not with all columns. Otherwise as [`Tier::matmul`].
    ///
    /// # Panics
    ///
    /// As [`Tier::matmul`].
    pub fn matmul_by_runs(self, a: &[f32], aw: Windows, b: &[f32], c: &mut [f32], out: Windows) {
        product(self, a, aw, b, Init::Runs, c, out);
    }
}

fn product(tier: Tier, a: &[f32], aw: Windows, b: &[f32], init: Init<'_>, c: &mut [f32], out: Windows) {
    assert_eq!((aw.outer(), aw.inner()), (out.outer(), out.inner()), "matmul: rows of A and of C");
    assert_eq!(out.runs(), 1, "matmul: rows of C are single runs");
    assert!(out.run_len().is_multiple_of(LANE_GROUP), "matmul: the width is whole lane groups");
    assert!(out.is_disjoint(), "matmul: rows of C overlap");
    assert!(aw.fits(a) && out.fits(c), "matmul: A or C is too short");
    assert!(aw.columns().saturating_mul(out.run_len()) <= b.len(), "matmul: B is too short");
    if let Init::Rows(bias) = init {
        assert_eq!(bias.len(), out.run_len(), "matmul: bias and width");
    }
    if out.rows() == 0 || out.run_len() == 0 {
        return;
    }
    dispatch!(
        tier,
        kernel(a: &[f32], aw: Windows, b: &[f32], init: Init<'_>, c: &mut [f32], out: Windows)
    );
}

#[inline(always)]
unsafe fn kernel<S: Simd>(a: &[f32], aw: Windows, b: &[f32], init: Init<'_>, c: &mut [f32], out: Windows) {
    let n = out.run_len();
    // SAFETY: `product` checked that every address below lies inside its slice: rows by `Windows::fits`, B by its size.
    unsafe {
        let mut col = 0;
        while col < n {
            // Two vectors a row while they fit: each broadcast of A then feeds two multiplications.
            let vectors = if n - col >= 2 * S::LANES { 2 } else { 1 };
            for i in 0..aw.outer() {
                let mut j = 0;
                let mut tiles = aw.inner().div_ceil(S::ROWS);
                while j < aw.inner() {
                    // Rows are spread evenly over the tiles: 27 is 14 + 13 rather than 14 + 13 x 1.
                    let rows = (aw.inner() - j).div_ceil(tiles);
                    let t = Tile {
                        a: a.as_ptr().add(aw.start(i, j)),
                        a_row: aw.inner_stride(),
                        runs: aw.runs(),
                        run_len: aw.run_len(),
                        run_stride: aw.run_stride(),
                        b: b.as_ptr().add(col),
                        b_row: n,
                        start: match init {
                            Init::Rows(bias) => Start::At(bias.as_ptr().add(col)),
                            Init::Result => Start::Result,
                            Init::Runs => Start::Zero,
                        },
                        c: c.as_mut_ptr().add(out.start(i, j) + col),
                        c_row: out.inner_stride(),
                    };
                    if vectors == 2 {
                        t.run::<S, 2>(rows);
                    } else {
                        t.run::<S, 1>(rows);
                    }
                    j += rows;
                    tiles -= 1;
                }
            }
            col += vectors * S::LANES;
        }
    }
}

/// What a tile's sums start from.
#[derive(Clone, Copy)]
enum Start {
    At(*const f32),
    Result,
    /// Each run is added to the result of those before it.
    Zero,
}

struct Tile {
    a: *const f32,
    a_row: usize,
    runs: usize,
    run_len: usize,
    run_stride: usize,
    b: *const f32,
    b_row: usize,
    start: Start,
    c: *mut f32,
    c_row: usize,
}

impl Tile {
    #[inline(always)]
    unsafe fn run<S: Simd, const N: usize>(self, rows: usize) {
        macro_rules! choose {
            ($($t:literal)*) => {
                // SAFETY: `rows` rows of A and C are in bounds, by `kernel`.
                unsafe { match rows { $($t if $t <= S::ROWS => self.exact::<S, $t, N>(),)* _ => unreachable!() } }
            };
        }
        choose!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    /// `T` rows by `N` vectors, kept in registers over the whole depth.
    #[inline(always)]
    unsafe fn exact<S: Simd, const T: usize, const N: usize>(self) {
        // SAFETY: in bounds by `kernel`; the instructions are enabled by `dispatch!`.
        unsafe {
            let mut acc = [[S::splat(0.0); N]; T];
            for (t, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    *x = match self.start {
                        Start::At(bias) => S::load(bias.add(v * S::LANES)),
                        Start::Result => S::load(self.c.add(t * self.c_row + v * S::LANES)),
                        Start::Zero => S::splat(0.0),
                    };
                }
            }
            let by_runs = self.runs > 1 && matches!(self.start, Start::Zero);
            let mut b = self.b;
            for r in 0..self.runs {
                let mut a = self.a.add(r * self.run_stride);
                for _ in 0..self.run_len {
                    let mut bv = [S::splat(0.0); N];
                    for (v, x) in bv.iter_mut().enumerate() {
                        *x = S::load(b.add(v * S::LANES));
                    }
                    for (t, row) in acc.iter_mut().enumerate() {
                        let x = S::splat(*a.add(t * self.a_row));
                        for (y, w) in row.iter_mut().zip(bv) {
                            *y = S::fma(x, w, *y);
                        }
                    }
                    a = a.add(1);
                    b = b.add(self.b_row);
                }
                if by_runs {
                    self.store::<S, T, N>(&acc, r > 0);
                    acc = [[S::splat(0.0); N]; T];
                }
            }
            if !by_runs {
                self.store::<S, T, N>(&acc, false);
            }
        }
    }

    /// Writes sums, or adds them to what is there.
    #[inline(always)]
    unsafe fn store<S: Simd, const T: usize, const N: usize>(&self, acc: &[[S::V; N]; T], add: bool) {
        for (t, row) in acc.iter().enumerate() {
            for (v, x) in row.iter().enumerate() {
                // SAFETY: in bounds by `kernel`.
                unsafe {
                    let c = self.c.add(t * self.c_row + v * S::LANES);
                    S::store(c, if add { S::add(S::load(c), *x) } else { *x });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, summed in f64.
    fn plain(a: &[f32], aw: Windows, b: &[f32], init: &[f32], out: Windows) -> Vec<f64> {
        let n = out.run_len();
        let mut c = vec![0.0; aw.rows() * n];
        for i in 0..aw.outer() {
            for j in 0..aw.inner() {
                for col in 0..n {
                    let sum: f64 = aw
                        .row(a, i, j)
                        .enumerate()
                        .map(|(k, x)| f64::from(x) * f64::from(b[k * n + col]))
                        .sum();
                    c[(i * aw.inner() + j) * n + col] = sum + f64::from(init[col]);
                }
            }
        }
        c
    }

    /// Small whole numbers: every order of summation then gives the same float, so "fast" must equal "plain" exactly.
    fn whole(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed.wrapping_mul(2_654_435_761) | 1;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((s >> 24) % 9) as f32 - 4.0
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn fast_products_equal_the_plain_ones_on_every_tier(
            outer in 1usize..4, inner in 1usize..31, kernel in 1usize..4, channels in 1usize..6,
            groups in 1usize..5, seed in 0u32..1000,
        ) {
            // A valid convolution of `kernel x kernel` over an image of `channels`, into `groups * 16` output channels.
            let (h, w) = (outer + kernel - 1, inner + kernel - 1);
            let n = groups * LANE_GROUP;
            let row = w * channels;
            let aw = Windows::new(0, [outer, inner, kernel], [row, channels, row], kernel * channels);
            let out = Windows::new(0, [outer, inner, 1], [inner * n, n, 0], n);
            let a = whole(h * w * channels, seed);
            let b = whole(aw.columns() * n, seed + 1);
            let bias = whole(n, seed + 2);
            let expected = plain(&a, aw, &b, &bias, out);
            for tier in Tier::available() {
                let mut c = vec![0.0; outer * inner * n];
                tier.matmul(&a, aw, &b, &bias, &mut c, out);
                prop_assert!(c.iter().zip(&expected).all(|(x, y)| f64::from(*x) == *y), "{tier:?}");
                tier.matmul_add(&a, aw, &b, &mut c, out);
                let twice = expected.iter().enumerate().map(|(i, y)| 2.0 * y - f64::from(bias[i % n]));
                prop_assert!(c.iter().zip(twice).all(|(x, y)| f64::from(*x) == y), "{tier:?}, added");
                tier.matmul_by_runs(&a, aw, &b, &mut c, out);
                let bare = expected.iter().enumerate().map(|(i, y)| y - f64::from(bias[i % n]));
                prop_assert!(c.iter().zip(bare).all(|(x, y)| f64::from(*x) == y), "{tier:?}, by runs");
            }
        }
    }

    /// A run that sums to 2^24, and one of sixteen ones: added one by one the ones vanish, summed by themselves they do not.
    #[test]
    fn runs_are_summed_by_themselves() {
        let mut a = vec![1.0f32; 32];
        a[..16].fill(0.0);
        a[0] = (1u32 << 24) as f32;
        let b = vec![1.0f32; 32 * LANE_GROUP];
        let (rows, out) =
            (Windows::new(0, [1, 1, 2], [32, 32, 16], 16), Windows::matrix(1, LANE_GROUP, LANE_GROUP));
        for tier in Tier::available() {
            let mut c = vec![0.0; LANE_GROUP];
            tier.matmul(&a, rows, &b, &[0.0; LANE_GROUP], &mut c, out);
            assert!(c.iter().all(|v| *v == (1u32 << 24) as f32), "{tier:?}");
            tier.matmul_by_runs(&a, rows, &b, &mut c, out);
            assert!(c.iter().all(|v| *v == ((1u32 << 24) + 16) as f32), "{tier:?}");
        }
    }

    #[test]
    #[should_panic(expected = "B is too short")]
    fn a_short_matrix_is_refused() {
        let w = Windows::matrix(1, 4, 4);
        let out = Windows::matrix(1, 16, 16);
        Tier::available()[0].matmul(&[0.0; 4], w, &[0.0; 63], &[0.0; 16], &mut [0.0; 16], out);
    }
}
