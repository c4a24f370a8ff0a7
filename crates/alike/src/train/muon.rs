//! Orthogonalised updates: the direction of a matrix's gradient, with all its singular values made about equal.
//!
//! K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks",
//! <https://kellerjordan.github.io/posts/muon/>; the constants and the order of operations are those of `torch.optim.Muon`,
//! which computes in bfloat16 where this computes in f32.

use alike_kernels::{AlignedBuffer, Tier, Windows, padded};

/// Coefficients of the iteration `x -> a x + b x^3 + c x^5`, which takes singular values from (0, 1] to about 0.7 ... 1.2.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// How often it is applied.
const ITERATIONS: usize = 5;
/// A matrix whose Frobenius norm is below this is taken as zero.
const EPS: f64 = 1e-7;

/// What the update of a `rows x columns` matrix is multiplied by, so that its mean square is about that of a step of Adam
/// (Liu et al. 2025, <https://arxiv.org/abs/2502.16982>, equation 4; `match_rms_adamw` of `torch.optim.Muon`).
pub(super) fn scale([rows, columns]: [usize; 2]) -> f64 {
    0.2 * (rows.max(columns) as f64).sqrt()
}

/// Replaces a `rows x columns` matrix, row-major, by the nearest matrix whose singular values are about 1, by a Newton-Schulz
/// iteration.
pub(super) fn orthogonalize(tier: Tier, matrix: &mut [f32], [rows, columns]: [usize; 2]) {
    assert_eq!(matrix.len(), rows * columns, "orthogonalize: a matrix of another size");
    let norm = matrix.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(EPS);
    // The longer side is the rows of what is iterated, whose columns are padded to whole registers.
    let is_tall = rows >= columns;
    let (long, short) = if is_tall { (rows, columns) } else { (columns, rows) };
    let wide = padded(short);
    let place = |i: usize| match (is_tall, i / columns, i % columns) {
        (true, row, column) => row * wide + column,
        (false, row, column) => column * wide + row,
    };
    let [mut x, mut next] = [(); 2].map(|()| AlignedBuffer::new(long * wide));
    let [mut gram, mut both] = [(); 2].map(|()| AlignedBuffer::new(short * wide));
    for (i, v) in matrix.iter().enumerate() {
        x[place(i)] = (f64::from(*v) / norm) as f32;
    }
    let [a, b, c] = COEFFICIENTS;
    let of_long = Windows::matrix(long, short, wide);
    let rows_of_long = Windows::matrix(long, wide, wide);
    let of_short = Windows::matrix(short, short, wide);
    let rows_of_short = Windows::matrix(short, wide, wide);
    for _ in 0..ITERATIONS {
        gram.fill(0.0);
        tier.transposed_matmul_add(&x, of_long, &x, rows_of_long, &mut gram);
        // b G + c G G, where G = Xᵀ X.
        both.iter_mut().zip(gram.iter()).for_each(|(to, g)| *to = b / c * g);
        tier.matmul_add(&gram, of_short, &gram, &mut both, rows_of_short);
        both.iter_mut().for_each(|v| *v *= c);
        next.iter_mut().zip(x.iter()).for_each(|(to, v)| *to = a * v);
        tier.matmul_add(&x, of_long, &both, &mut next, rows_of_long);
        std::mem::swap(&mut x, &mut next);
    }
    for (i, v) in matrix.iter_mut().enumerate() {
        *v = x[place(i)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in f64, as it is written.
    fn plain(matrix: &[f32], [rows, columns]: [usize; 2]) -> Vec<f64> {
        let norm = matrix.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let mut x: Vec<f64> = matrix.iter().map(|v| f64::from(*v) / norm).collect();
        let product = |a: &[f64], b: &[f64], [m, k, n]: [usize; 3]| -> Vec<f64> {
            let at = |i: usize| (0..k).map(|j| a[i / n * k + j] * b[j * n + i % n]).sum();
            (0..m * n).map(at).collect()
        };
        let [a, b, c] = COEFFICIENTS.map(f64::from);
        for _ in 0..ITERATIONS {
            let transposed: Vec<f64> =
                (0..rows * columns).map(|i| x[i % rows * columns + i / rows]).collect();
            let gram = product(&x, &transposed, [rows, columns, rows]);
            let square = product(&gram, &gram, [rows; 3]);
            let both: Vec<f64> = gram.iter().zip(&square).map(|(g, s)| b * g + c * s).collect();
            let more = product(&both, &x, [rows, rows, columns]);
            x.iter_mut().zip(more).for_each(|(x, more)| *x = a * *x + more);
        }
        x
    }

    #[test]
    fn a_matrix_of_any_shape_is_made_orthogonal_as_written_on_every_tier() {
        for [rows, columns] in [[1, 1], [3, 5], [5, 3], [16, 16], [33, 70], [70, 33], [64, 288], [1, 40]] {
            let matrix: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 0.7).sin() + 0.1).collect();
            let expected = plain(&matrix, [rows, columns]);
            for tier in Tier::available() {
                let mut found = matrix.clone();
                orthogonalize(tier, &mut found, [rows, columns]);
                for (a, b) in found.iter().zip(&expected) {
                    assert!((f64::from(*a) - b).abs() < 2e-4, "{rows} x {columns}, {tier:?}: {a} {b}");
                }
            }
        }
        let mut zero = [0.0; 12];
        orthogonalize(Tier::found(), &mut zero, [3, 4]);
        assert_eq!(zero, [0.0; 12]);
    }
}
