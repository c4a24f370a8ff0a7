//! What once reached beyond its slices, or could have: one test each.

use super::*;
use crate::{
    AlignedBuffer, Bins, GroupStats, Plane, PoolWindow, ScaleShift, ScaleShiftGradient, Sliding, SparseConv,
    Tier, Windows, padded, winograd_scratch_len, winograd_weights_len,
};

/// That a call is refused with this message.
#[track_caller]
fn refuses<R>(message: &str, call: impl FnOnce() -> R) {
    match attempt(call) {
        Ok(_) => panic!("not refused, as it should be with '{message}'"),
        Err(text) => assert!(text.contains(message), "refused with '{text}' rather than '{message}'"),
    }
}

/// The same on every tier.
#[track_caller]
fn all_refuse(message: &str, call: impl Fn(Tier)) {
    Tier::available().into_iter().for_each(|tier| refuses(message, || call(tier)));
}

/// `Plane { c: 32, stride: 16 }` passed with 16 floats, and the second block of channels lay behind them.
#[test]
fn a_plane_has_room_for_its_channels() {
    refuses("plane: 32 channels do not fit a stride of 16", || Plane::new(1, 1, 32, 0).with_stride(16));
    let plane = Plane::new(1, 1, 32, 0);
    all_refuse("group norm: a buffer is too short", |tier| {
        tier.group_stats(&[0.0; 16], plane, 1e-5, &mut [GroupStats::default()]);
    });
    all_refuse("group norm: a buffer is too short", |tier| {
        let (ones, stats) = ([1.0; 32], [GroupStats::default()]);
        let affine = ScaleShift { scale: &ones, shift: &ones, relu: true };
        tier.group_norm(&ones, plane, &stats, affine, &mut [0.0; 16], plane);
    });
}

/// `2^63 x 2` pixels were none, and no pixels fit every buffer.
#[test]
fn a_planes_pixels_are_counted() {
    let half = usize::MAX / 2 + 1;
    for (h, w, c, border) in
        [(half, 2, 1, 0), (2, half, 1, 0), (1, 1, usize::MAX, 0), (1, 1, 1, half), (1, half, 16, 0)]
    {
        refuses("plane: larger than memory", || Plane::new(h, w, c, border));
    }
    for (h, w, c) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        refuses("plane: no pixels or no channels", || Plane::new(h, w, c, 0));
    }
    let plane = Plane::new(4, 4, 16, 1);
    refuses("plane: larger than memory", || plane.with_stride(usize::MAX));
    refuses("plane: larger than memory", || plane.with_border(usize::MAX));
    for (first, n) in [(4, 1), (0, 5), (usize::MAX, 2), (1, usize::MAX), (1, 0)] {
        refuses("plane: rows beyond the image", || plane.rows(first, n));
    }
}

/// A window without pixels was found one place further than there are any.
#[test]
fn a_pooling_window_has_pixels_and_a_step() {
    for (size, stride) in [(0, 1), (17, 1), (usize::MAX, 1)] {
        refuses("pool: a window of 1 to 16 pixels", || PoolWindow::new(size, stride));
    }
    refuses("pool: a step of at least one pixel", || PoolWindow::new(2, 0));
}

/// `2^64 - 1` floats between two rows of one float: the second row's end was at 0.
#[test]
fn windows_that_overflow_are_none() {
    let most = usize::MAX;
    refuses("windows: larger than memory", || Windows::matrix(2, 1, most));
    refuses("windows: larger than memory", || Windows::matrix(1, 1, 0).shifted(most));
    refuses("windows: larger than memory", || Windows::matrix(most, 1, 0));
    refuses("windows: larger than memory", || Windows::matrix(1, most, 0));
    refuses("windows: larger than memory", || Windows::matrix(most / 2 + 1, 2, 0));
    refuses("windows: larger than memory", || Windows::new(0, [1 << 32, 1 << 32, 1], [0; 3], 1));
    refuses("windows: larger than memory", || Windows::new(0, [1, 1, 1 << 32], [0; 3], 1 << 32));
    refuses("windows: blocks beyond the last", || Windows::matrix(3, 1, 1).blocks(1, most));
    refuses("windows: rows beyond a block", || Windows::matrix(3, 1, 1).narrowed(4));
    refuses("windows: columns beyond the last", || Windows::matrix(3, 8, 8).part(4, most));
    let plane = Plane::new(5, 5, 1, 1);
    let slide = |h, w, pad, stride| plane.windows(Sliding { h, w, pad, stride });
    refuses("windows: a pad of", || slide(3, 3, most, 1));
    refuses("windows: a pad of", || slide(3, 3, 2, 1));
    refuses("windows: smaller than the kernel", || slide(most, 3, 1, 1));
    refuses("windows: a kernel and a step", || slide(0, 3, 1, 1));
    refuses("windows: a kernel and a step", || slide(3, 3, 1, 0));
    refuses("windows: larger than memory", || slide(3, 3, 1, most));
    refuses("windows: no such row", || slide(3, 3, 1, 1).row(&[0.0; 49], most, 0).count());
}

/// `2^60` columns of one float that all rows share: times 16 output channels, no weights at all were asked for.
#[test]
fn a_product_counts_its_weights() {
    let a = Windows::new(0, [1, 1, 1 << 60], [0; 3], 1);
    let rows = Windows::matrix(1, 16, 16);
    all_refuse("matmul: B is too short", |tier| {
        tier.matmul(&[1.0], a, &[], &[0.0; 16], &mut [0.0; 16], rows);
    });
    all_refuse("matmul: B is too short", |tier| tier.matmul_add(&[1.0], a, &[], &mut [0.0; 16], rows));
    all_refuse("matmul: B is too short", |tier| tier.matmul_by_runs(&[1.0], a, &[], &mut [0.0; 16], rows));
    all_refuse("count bins: a number for every bin", |tier| {
        tier.count_bins(&[9.0; 70], f32::INFINITY, Bins::new(0.0, 1.0, 64), &mut [0; 63], &mut Vec::new());
    });
    all_refuse("transposed matmul: C is too short", |tier| {
        tier.transposed_matmul_add(&[1.0], a, &[0.0; 16], rows, &mut []);
    });
    all_refuse("row sum: a buffer is too short", |tier| tier.row_sum_add(&[1.0], a, &mut [0.0; 16]));
    all_refuse("row spread: a buffer is too short", |tier| tier.row_spread_add(&[1.0], &mut [0.0; 16], a));
}

/// Rows of a result that lie over each other have no order in which they would be written.
#[test]
fn a_products_rows_lie_apart() {
    let (a, over) = (Windows::matrix(2, 1, 1), Windows::matrix(2, 16, 8));
    all_refuse("matmul: rows of C overlap", |tier| {
        tier.matmul(&[1.0; 2], a, &[1.0; 16], &[0.0; 16], &mut [0.0; 24], over);
    });
}

/// Where rows lie so far apart that the place of the last one overflows.
#[test]
fn steps_between_results_are_counted() {
    let a = Windows::matrix(3, 16, 16);
    let step = usize::MAX / 2 + 1;
    all_refuse("dots: the result is too short", |tier| {
        tier.dots(&[0.0; 48], a, &[0.0; 16], &mut [0.0], step);
    });
    all_refuse("rows add: a buffer is too short", |tier| tier.rows_add(&[0.0; 16], step, &mut [0.0; 48], a));
}

/// A step of `2^64 - 1` from one window to the next led back to where the windows' end is.
#[test]
fn a_pools_step_is_counted() {
    let xw = Plane::new(4, 4, 1, 0).windows(Sliding { h: 1, w: 1, pad: 0, stride: 1 });
    let dyp = Plane::new(2, 1, 16, 0);
    for step in [usize::MAX, usize::MAX / 2 + 1, 4] {
        all_refuse("pooled weights: sizes", |tier| {
            let window = PoolWindow::new(2, step);
            tier.pooled_weights_add(&[0.0; 16], xw, window, &[0.0; 32], dyp, &[0; 32], &mut [0.0; 16]);
        });
    }
    let far = Windows::matrix(1, 1, usize::MAX / 8);
    Tier::available().into_iter().for_each(|tier| assert!(!tier.picks_winners(&far, PoolWindow::new(4, 1))));
}

/// A place beyond the window was another pixel's, or nobody's.
#[test]
fn places_lie_in_their_window() {
    let (xp, window) = (Plane::new(2, 2, 16, 0), PoolWindow::new(2, 1));
    let dyp = Plane::new(1, 1, 16, 0);
    all_refuse("pool: a place outside the window", |tier| {
        tier.max_pool_backward(&[1.0; 16], dyp, &[4; 16], window, &mut [0.0; 64], xp);
    });
    let (narrow, one) = (Plane::new(2, 2, 1, 0), Plane::new(1, 1, 1, 0));
    all_refuse("pool: a place outside the window", |tier| {
        tier.max_pool_backward_add(&[1.0], one, &[255], window, &mut [0.0; 4], narrow);
    });
    let xw = narrow.windows(Sliding { h: 1, w: 1, pad: 0, stride: 1 });
    all_refuse("pooled weights: a place outside the window", |tier| {
        tier.pooled_weights_add(&[0.0; 4], xw, window, &[0.0; 16], dyp, &[4; 16], &mut [0.0; 16]);
    });
    // Nobody writes winners between a few channels and a wider stride, so they may be anything.
    let (wide, result) = (narrow.with_stride(3), one.with_stride(3));
    for tier in Tier::available() {
        let mut dx = [0.0; 12];
        tier.max_pool_backward(&[1.0, 0.0, 0.0], result, &[3, 77, 88], window, &mut dx, wide);
        assert_eq!(dx[9], 1.0, "{tier:?}");
    }
}

/// `2^60` output channels of 16 pixels had no entries and no weights, and windows whose rows lie `2^63 - 24` floats apart had no length.
#[test]
fn sparse_gradients_count_their_entries() {
    for (pitch, out_channels, pixels) in
        [(48, 1 << 32, 1 << 32), (usize::MAX / 2 - 23, 1, 1), (48, usize::MAX / 144 + 1, 0)]
    {
        refuses("sparse gradients: larger than memory", || {
            SparseConv::new(3, 16, pitch, out_channels, pixels)
        });
    }
    refuses("sparse gradients: larger than memory", || SparseConv::new(1, 16, 16, 1 << 60, 16));
    refuses("sparse gradients: larger than memory", || SparseConv::new(3, usize::MAX - 15, 48, 1, 1));
    refuses("sparse gradients: no kernel of this size", || SparseConv::new(0, 16, 48, 1, 1));
    refuses("sparse gradients: channels are whole lane groups", || SparseConv::new(3, 17, 48, 1, 1));
    let conv = SparseConv::new(3, 16, 48, 1, 1);
    for at in [1, u32::MAX] {
        all_refuse("sparse gradients: the image is too short", |tier| {
            tier.sparse_weights_add(conv, &[at], &[1.0], &[0.0; 144], &mut [0.0; 144]);
        });
        all_refuse("sparse gradients: the image is too short", |tier| {
            tier.sparse_input_add(conv, &[at], &[1.0], &[0.0; 144], &mut [0.0; 144]);
        });
    }
}

/// Transformed weights of `2^60` channels took no memory.
#[test]
fn transformed_weights_are_counted() {
    refuses("winograd: larger than memory", || winograd_weights_len(1 << 60, 16));
    refuses("winograd: larger than memory", || winograd_weights_len(usize::MAX, usize::MAX));
    refuses("winograd: larger than memory", || winograd_scratch_len(usize::MAX, 1));
    refuses("padded: larger than memory", || padded(usize::MAX));
    all_refuse("winograd: larger than memory", |tier| tier.winograd_weights(&[], 16, 1 << 60, &mut []));
    let (x, y) = (Plane::new(1, 1, 16, 1), Plane::new(1, 1, 16, 0));
    let xw = x.windows(Sliding { h: 3, w: 3, pad: 1, stride: 1 });
    all_refuse("winograd: too little working memory", |tier| {
        let mut scratch = vec![0.0; winograd_scratch_len(16, 16) - 1];
        let (weights, image) = (vec![0.0; winograd_weights_len(16, 16)], vec![0.0; x.buffer_len()]);
        tier.winograd(&image, xw, &weights, &[0.0; 16], &mut [0.0; 16], y.as_rows(), &mut scratch);
    });
}

/// Numbers of groups, scales, shifts and gradients that are not those of the channels.
#[test]
fn a_normalisations_lists_are_as_long_as_its_channels() {
    let (plane, x) = (Plane::new(1, 1, 32, 0), [1.0; 32]);
    for groups in [0, 3, 33] {
        all_refuse("group norm: groups divide channels", |tier| {
            tier.group_stats(&x, plane, 1e-5, &mut vec![GroupStats::default(); groups]);
        });
        all_refuse("group norm: groups divide channels", |tier| {
            let affine = ScaleShift { scale: &x, shift: &x, relu: false };
            tier.group_norm(&x, plane, &vec![GroupStats::default(); groups], affine, &mut [0.0; 32], plane);
        });
    }
    let stats = [GroupStats::default()];
    all_refuse("group norm: a scale and a shift a channel", |tier| {
        let affine = ScaleShift { scale: &x, shift: &x[..31], relu: false };
        tier.group_norm(&x, plane, &stats, affine, &mut [0.0; 32], plane);
    });
    all_refuse("group norm: a gradient of scale and of shift a channel", |tier| {
        let affine = ScaleShift { scale: &x, shift: &x, relu: false };
        let gradient = ScaleShiftGradient { scale: &mut [0.0; 31], shift: &mut [0.0; 32] };
        tier.group_norm_backward(&x, plane, &stats, affine, &x, plane, gradient, &mut [[0.0; 2]], None);
    });
}

/// Vectors of different lengths, and of none.
#[test]
fn vectors_are_equally_long() {
    let (narrow, wide) = ([1.0f32; 16], [1.0f64; 17]);
    all_refuse("widen: lengths", |tier| tier.widen(&narrow, 1.0, 0.0, &mut [0.0; 17]));
    all_refuse("narrow: lengths", |tier| tier.narrow(&wide, 1.0, 0.0, &mut [0.0; 16]));
    all_refuse("add scaled: lengths", |tier| tier.add_scaled(&narrow, 1.0, &mut [0.0; 15]));
    all_refuse("square distance: lengths", |tier| {
        tier.square_distance(&narrow, &narrow[1..]);
    });
    all_refuse("dot: lengths", |tier| {
        tier.dot_wide(&narrow[1..], &narrow);
    });
    for tier in Tier::available() {
        assert_eq!((tier.exp_sum(&mut [], 0.0), tier.sum(&[]), tier.dot_wide(&[], &[])), (0.0, 0.0, 0.0));
        assert!(!tier.any_below(&[], 0.0) && tier.largest(&[], 2.0) == 2.0);
        for n in 0..70 {
            let values = vec![0.0f32; n];
            assert_eq!(tier.exp_sum(&mut values.clone(), 0.0), n as f64);
            assert_eq!(tier.largest(&values, -1.0), if n > 0 { 0.0 } else { -1.0 });
            assert_eq!(tier.square_distance(&values, &vec![1.0; n]), n as f64);
        }
    }
}

/// What is empty reads and writes nothing, however far its strides lead.
#[test]
fn an_empty_matrix_reaches_nothing() {
    let far = usize::MAX;
    let (no_rows, no_columns) =
        (Windows::new(far, [far, 0, far], [far; 3], 0), Windows::new(far, [1, 2, far], [far; 3], 0));
    assert_eq!((no_rows.end(), no_columns.end()), (0, 0));
    assert!(AlignedBuffer::new(0).is_empty());
    for tier in Tier::available() {
        tier.row_sum_add(&[], no_rows, &mut []);
        tier.row_spread_add(&[], &mut [], no_rows);
        tier.rows_add(&[], far, &mut [], no_rows);
        tier.dots(&[], no_rows, &[], &mut [], far);
        // No columns: the sums of nothing, on top of the bias.
        let mut c = vec![0.0; 32];
        let out = Windows::new(0, [1, 2, 1], [0, 16, 0], 16);
        tier.matmul(&[], no_columns, &[], &[1.5; 16], &mut c, out);
        assert_eq!(c, [1.5; 32], "{tier:?}");
        tier.matmul_by_runs(&[], no_columns, &[], &mut c, out);
        assert_eq!(c, [0.0; 32], "{tier:?}");
        tier.count_bins(&[], f32::NAN, Bins::new(0.0, 0.0, 1), &mut [0], &mut Vec::new());
        tier.prefetch(&[]);
        tier.transposed_matmul_add(&[], no_columns, &c, out, &mut []);
    }
}
