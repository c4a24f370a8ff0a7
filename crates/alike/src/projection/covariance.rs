//! How vectors vary.

use crate::images::Vectors;
use alike_kernels::{AlignedBuffer, Tier, Windows, padded};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rayon::prelude::*;

/// Fixed, so that sums do not depend on the number of threads.
const PARTS: usize = 16;
/// Vectors that are centred and multiplied at a time.
const BLOCK: usize = 256;
/// Columns of one strip of the covariance.
const STRIP: usize = 112;

/// Ranges of vectors, one a part.
fn parts(n: usize) -> impl IndexedParallelIterator<Item = std::ops::Range<usize>> {
    (0..PARTS).into_par_iter().map(move |p| n * p / PARTS..n * (p + 1) / PARTS)
}

/// The mean of vectors, `d` numbers.
pub(crate) fn mean(vectors: Vectors<'_>) -> Vec<f64> {
    let d = vectors.d();
    let sums: Vec<Vec<f64>> = parts(vectors.len())
        .map(|range| {
            let (mut sum, mut row) = (vec![0.0; d], vec![0.0f32; d]);
            for i in range {
                vectors.read(i, &mut row);
                for (s, v) in sum.iter_mut().zip(&row) {
                    *s += f64::from(*v);
                }
            }
            sum
        })
        .collect();
    (0..d).map(|j| sums.iter().map(|s| s[j]).sum::<f64>() / vectors.len() as f64).collect()
}

/// The covariance of `n` vectors around a mean, `d x d`, divided by `n - 1`; sums are taken in f32 over parts.
pub(crate) fn covariance(tier: Tier, vectors: Vectors<'_>, mean: &[f64]) -> DMatrix<f64> {
    let (n, d) = (vectors.len(), vectors.d());
    let wide = padded(d);
    let centre: Vec<f32> = mean.iter().map(|m| *m as f32).collect();
    let sums: Vec<AlignedBuffer> = parts(n)
        .map(|range| {
            let mut sum = AlignedBuffer::new(d * wide);
            let mut rows = AlignedBuffer::new(BLOCK * wide);
            for first in range.clone().step_by(BLOCK) {
                let count = BLOCK.min(range.end - first);
                for i in 0..count {
                    let row = &mut rows[i * wide..][..d];
                    vectors.read(first + i, row);
                    row.iter_mut().zip(&centre).for_each(|(v, m)| *v -= m);
                }
                let all = Windows::matrix(count, wide, wide);
                // Symmetric: of each strip of rows, only the columns from the diagonal on.
                for strip in (0..d).step_by(STRIP) {
                    let strip_rows = STRIP.min(d - strip);
                    let a = all.part(strip, strip_rows);
                    let from = strip / 16 * 16;
                    let into = &mut sum[strip * wide..(strip + strip_rows) * wide];
                    tier.transposed_columns_add(&rows, a, &rows, all, from..wide, into);
                }
            }
            sum
        })
        .collect();
    let scale = 1.0 / (n as f64 - 1.0).max(1.0);
    let mut covariance = DMatrix::from_fn(d, d, |i, j| {
        let at = i.min(j) * wide + i.max(j);
        sums.iter().map(|s| f64::from(s[at])).sum::<f64>() * scale
    });
    // Far from the origin the centre, which is a mean rounded, may be off by as much as vectors vary.
    let off: Vec<f64> = mean.iter().zip(&centre).map(|(m, c)| m - f64::from(*c)).collect();
    if (0..d).any(|i| off[i] * off[i] > 1e-10 * covariance[(i, i)]) {
        let share = n as f64 * scale;
        for (i, j) in (0..d).flat_map(|i| (0..d).map(move |j| (i, j))) {
            covariance[(i, j)] -= share * off[i] * off[j];
        }
    }
    covariance
}

/// What the covariance of vectors around a mean makes of each column of `basis`, without the covariance itself, which has `d x d` numbers; and
/// the covariance's trace. Sums are taken in f32 over parts, so relative errors are about 1e-6.
pub(crate) fn covariance_times(
    tier: Tier,
    vectors: Vectors<'_>,
    mean: &[f64],
    basis: &DMatrix<f64>,
) -> (DMatrix<f64>, f64) {
    let (n, d, width) = (vectors.len(), vectors.d(), padded(basis.ncols()));
    let centre: Vec<f32> = mean.iter().map(|m| *m as f32).collect();
    let mut columns = AlignedBuffer::new(d * width);
    for (j, column) in basis.column_iter().enumerate() {
        columns[j..].iter_mut().step_by(width).zip(column.iter()).for_each(|(to, v)| *to = *v as f32);
    }
    let none = vec![0.0; width];
    let sums: Vec<(AlignedBuffer, f64)> = parts(n)
        .map(|range| {
            let (mut sum, mut trace) = (AlignedBuffer::new(d * width), 0.0);
            let (mut rows, mut along) = (AlignedBuffer::new(BLOCK * d), AlignedBuffer::new(BLOCK * width));
            for first in range.clone().step_by(BLOCK) {
                let count = BLOCK.min(range.end - first);
                for (i, row) in rows[..count * d].chunks_exact_mut(d).enumerate() {
                    vectors.read(first + i, row);
                    row.iter_mut().zip(&centre).for_each(|(v, m)| *v -= m);
                    trace += f64::from(row.iter().map(|v| v * v).sum::<f32>());
                }
                let (all, narrow) = (Windows::matrix(count, d, d), Windows::matrix(count, width, width));
                tier.matmul(&rows, all, &columns, &none, &mut along, narrow);
                tier.transposed_matmul_add(&rows, all, &along, narrow, &mut sum);
            }
            (sum, trace)
        })
        .collect();
    let scale = 1.0 / (n as f64 - 1.0).max(1.0);
    // As in `covariance`: the centre may be off by as much as vectors vary.
    let off = DVector::from_iterator(d, mean.iter().zip(&centre).map(|(m, c)| m - f64::from(*c)));
    let share = n as f64 * scale;
    let along = off.transpose() * basis;
    let times = DMatrix::from_fn(d, basis.ncols(), |i, j| {
        let sum = sums.iter().map(|(s, _)| f64::from(s[i * width + j])).sum::<f64>();
        sum * scale - share * off[i] * along[j]
    });
    let trace = sums.iter().map(|(_, trace)| trace).sum::<f64>() * scale;
    (times, trace - share * off.norm_squared())
}

/// The factor of a covariance of `n` vectors whose mean is known to be zero (divided by `n`), drawn toward a multiple of the
/// identity as far as Ledoit and Wolf say ("A well-conditioned estimator for large-dimensional covariance matrices", J.
/// Multivariate Analysis 88, 2004; `sklearn.covariance.ledoit_wolf` with centred data). `fourth` is the mean of the vectors'
/// lengths to the fourth power.
pub(crate) fn shrunk(mut covariance: DMatrix<f64>, n: usize, fourth: f64) -> Cholesky<f64, Dyn> {
    let d = covariance.nrows();
    let mu = covariance.trace() / d as f64;
    // Of what is no number no covariance can be made; scores are no numbers then either.
    if !mu.is_finite() {
        covariance.fill_with_identity();
        return Cholesky::new(covariance).expect("the identity is positive definite");
    }
    let square: f64 = covariance.iter().map(|v| v * v).sum();
    let delta = (square - d as f64 * mu * mu) / d as f64;
    let beta = ((fourth - square) / (n as f64 * d as f64)).min(delta);
    let shrinkage = if beta > 0.0 { beta / delta } else { 0.0 };
    covariance *= 1.0 - shrinkage;
    // A direction without any variance still has some, so that there is an inverse.
    let floor = (1e-9 * mu).max(1e-18);
    for i in 0..d {
        covariance[(i, i)] += shrinkage * mu + floor;
    }
    let mut factor = Cholesky::new(covariance.clone());
    let mut more = floor;
    while factor.is_none() {
        more *= 10.0;
        (0..d).for_each(|i| covariance[(i, i)] += more);
        factor = Cholesky::new(covariance.clone());
    }
    factor.expect("a large enough diagonal makes a matrix positive definite")
}
