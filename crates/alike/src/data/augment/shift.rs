//! Images moved by whole pixels and mirrored, to the same shades: nothing is blurred.

use crate::images::Shape;

/// Writes an image whose pixel `(y, x)` was at `(y + down, x + across)`, mirrored left to right after that if `mirror`. Beyond its edges
/// the image goes on mirrored, the edge not repeated (`reflect` of `torch.nn.functional.pad`).
pub(super) fn shift(shape: Shape, [down, across]: [isize; 2], mirror: bool, from: &[u8], to: &mut [u8]) {
    let Shape { h, w, c } = shape;
    for (y, row) in to.chunks_exact_mut(w * c).enumerate() {
        let from = &from[reflected(y as isize + down, h) * w * c..][..w * c];
        for (x, pixel) in row.chunks_exact_mut(c).enumerate() {
            let x = if mirror { w - 1 - x } else { x };
            pixel.copy_from_slice(&from[reflected(x as isize + across, w) * c..][..c]);
        }
    }
}

/// Where a place beyond the ends of a row of `n` lies in it.
fn reflected(at: isize, n: usize) -> usize {
    let last = n as isize - 1;
    if last == 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * last);
    (if at > last { 2 * last - at } else { at }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.nn.functional.pad(torch.arange(5.)[None], (4, 4), mode="reflect")` of PyTorch 2.15.
    #[test]
    fn edges_go_on_as_pytorch_has_it() {
        let expected = [4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0];
        let found: Vec<usize> = (-4..9).map(|at| reflected(at, 5)).collect();
        assert_eq!(found, expected);
        assert_eq!((-3..3).map(|at| reflected(at, 1)).collect::<Vec<_>>(), [0; 6]);
    }

    #[test]
    fn pixels_move_whole() {
        let shape = Shape { h: 3, w: 4, c: 1 };
        let from: Vec<u8> = (0..12).collect();
        let mut to = vec![0; 12];
        shift(shape, [1, -1], false, &from, &mut to);
        assert_eq!(to, [5, 4, 5, 6, 9, 8, 9, 10, 5, 4, 5, 6]);
        shift(shape, [0, 0], true, &from, &mut to);
        assert_eq!(to, [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8]);
    }
}
