//! Products, sums and convolutions over windows.

use super::*;
use crate::{LANE_GROUP, Tier, Windows, winograd_scratch_len, winograd_weights_len};

/// Counts, strides, the offset and the length of runs of any windows.
fn numbers() -> impl Strategy<Value = (usize, [usize; 3], [usize; 3], usize)> {
    let counts = [size(0..4), size(0..6), size(0..4)];
    let strides = [size(0..40), size(0..20), size(0..20)];
    (size(0..20), counts, strides, size(0..24))
}

/// Windows of these numbers, if there are such.
fn windows(offset: usize, counts: [usize; 3], strides: [usize; 3], run_len: usize) -> Option<Windows> {
    refused("windows", || Windows::new(offset, counts, strides, run_len))
}

/// Rows of single runs, mostly apart: `wide` floats each, and `gap` between them.
fn rows(offset: usize, [outer, inner, _]: [usize; 3], wide: usize, gap: usize) -> Option<Windows> {
    let row = wide.saturating_add(gap);
    let block = inner.saturating_mul(row);
    windows(offset, [outer, inner, 1], [block, row, 0], wide)
}

/// The same, or so many columns, all at one place, that times `n` they are next to none.
fn many(
    so: bool,
    n: usize,
    counts: [usize; 3],
    strides: [usize; 3],
    run_len: usize,
) -> ([usize; 3], [usize; 3], usize) {
    match usize::MAX.checked_div(n).filter(|_| so) {
        Some(columns) => ([counts[0], counts[1], columns.saturating_add(1)], [strides[0], strides[1], 0], 1),
        None => (counts, strides, run_len),
    }
}

/// Where each float of a row lies.
fn places(w: &Windows, i: usize, j: usize) -> impl Iterator<Item = usize> {
    let (start, run_len, run_stride) = (w.start(i, j), w.run_len(), w.run_stride());
    (0..w.columns()).map(move |k| start + k / run_len * run_stride + k % run_len)
}

fn pairs(w: &Windows) -> Vec<(usize, usize)> {
    // Of rows of nothing there may be more than anybody counts.
    if w.rows() == 0 {
        return Vec::new();
    }
    (0..w.outer()).flat_map(|i| (0..w.inner()).map(move |j| (i, j))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn products_of_any_windows(
        (offset, counts, strides, run_len) in numbers(), groups in size(0..3), odd in 0usize..40, gap in size(0..5),
        lacks in [short(), short(), short(), short()],
    ) {
        // At times a width that is no whole number of lane groups, or rows that overlap.
        let n = groups.saturating_mul(LANE_GROUP).saturating_add(if odd == 0 { 3 } else { 0 });
        let (counts, strides, run_len) = many(odd == 2, n, counts, strides, run_len);
        let Some(aw) = windows(offset, counts, strides, run_len) else { return Ok(()) };
        let out = if odd == 1 { windows(1, [counts[0], counts[1], 1], strides, n) } else { rows(3, counts, n, gap) };
        let Some(out) = out else { return Ok(()) };
        if !quick(aw.rows(), aw.columns()) && n == 0 {
            return Ok(());
        }
        let a = buffer(aw.end(), lacks[0], 1);
        let b = buffer(aw.columns().saturating_mul(n), lacks[1], 2);
        let bias = buffer(n, lacks[2], 3);
        let c = buffer(out.end(), lacks[3], 4);
        for tier in Tier::available() {
            let fast = judged("matmul", &[&a, &b, &bias], &c, |x, c| tier.matmul(x[0], aw, x[1], x[2], c, out));
            let added = judged("matmul", &[&a, &b], &c, |x, c| tier.matmul_add(x[0], aw, x[1], c, out));
            let by_runs = judged("matmul", &[&a, &b], &c, |x, c| tier.matmul_by_runs(x[0], aw, x[1], c, out));
            let plain = |start: &dyn Fn(usize, usize) -> f32| {
                let mut plain = c.clone();
                for (i, j) in pairs(&aw) {
                    for (col, at) in places(&out, i, j).enumerate() {
                        let sum: f32 = aw.row(&a, i, j).enumerate().map(|(k, v)| v * b[k * n + col]).sum();
                        plain[at] = sum + start(at, col);
                    }
                }
                plain
            };
            if let Some(fast) = fast {
                prop_assert_eq!(fast, plain(&|_, col| bias[col]), "{:?}", tier);
            }
            if let Some(added) = added {
                prop_assert_eq!(added, plain(&|at, _| c[at]), "{:?}", tier);
            }
            if let Some(by_runs) = by_runs {
                prop_assert_eq!(by_runs, plain(&|_, _| 0.0), "{:?}", tier);
            }
        }
    }

    #[test]
    fn transposed_products_of_any_windows(
        (offset, counts, strides, run_len) in numbers(), groups in size(0..3), gap in size(0..5), odd in 0usize..40,
        columns in [size(0..3), size(0..3)], lacks in [short(), short(), short()],
    ) {
        let n = groups.saturating_mul(LANE_GROUP);
        let lanes = |n: usize| n.saturating_mul(if odd == 0 { 7 } else { LANE_GROUP });
        let columns = lanes(columns[0])..lanes(columns[1]);
        let (counts, strides, run_len) = many(odd == 2, n, counts, strides, run_len);
        let Some(aw) = windows(offset, counts, strides, run_len) else { return Ok(()) };
        let dw = if odd == 1 { windows(1, [counts[0], counts[1], 1], strides, n) } else { rows(3, counts, n, gap) };
        let Some(dw) = dw else { return Ok(()) };
        if !quick(aw.rows(), aw.columns()) {
            return Ok(());
        }
        let (a, d) = (buffer(aw.end(), lacks[0], 1), buffer(dw.end(), lacks[1], 2));
        let c = buffer(aw.columns().saturating_mul(n), lacks[2], 3);
        for tier in Tier::available() {
            let all = 0..dw.run_len();
            for columns in [columns.clone(), all] {
                let fast = judged("transposed matmul", &[&a, &d], &c, |x, c| {
                    tier.transposed_columns_add(x[0], aw, x[1], dw, columns.clone(), c);
                });
                let Some(fast) = fast else { continue };
                let mut plain = c.clone();
                for (i, j) in pairs(&aw) {
                    for (k, v) in aw.row(&a, i, j).enumerate() {
                        for (col, w) in dw.row(&d, i, j).enumerate().filter(|(col, _)| columns.contains(col)) {
                            plain[k * n + col] += v * w;
                        }
                    }
                }
                prop_assert_eq!(fast, plain, "{:?}", tier);
            }
        }
    }

    #[test]
    fn sums_and_spreads_of_any_windows(
        (offset, counts, strides, run_len) in numbers(), pitch in size(0..40), lacks in [short(), short(), short()],
    ) {
        let Some(w) = windows(offset, counts, strides, run_len) else { return Ok(()) };
        if !quick(w.rows(), w.columns()) {
            return Ok(());
        }
        let (d, c) = (buffer(w.end(), lacks[0], 1), buffer(w.columns(), lacks[1], 2));
        let reach = w.rows().saturating_sub(1).saturating_mul(pitch).saturating_add(w.columns());
        let own = buffer(reach, lacks[2], 3);
        for tier in Tier::available() {
            if let Some(fast) = judged("row sum", &[&d], &c, |x, c| tier.row_sum_add(x[0], w, c)) {
                let mut plain = c.clone();
                for (i, j) in pairs(&w) {
                    w.row(&d, i, j).zip(&mut plain).for_each(|(v, sum)| *sum += v);
                }
                prop_assert_eq!(fast, plain, "{:?}", tier);
            }
            if let Some(fast) = judged("row spread", &[&c], &d, |x, d| tier.row_spread_add(x[0], d, w)) {
                let mut plain = d.clone();
                for (i, j) in pairs(&w) {
                    places(&w, i, j).zip(&c).for_each(|(at, v)| plain[at] += v);
                }
                prop_assert_eq!(fast, plain, "{:?}", tier);
            }
            if let Some(fast) = judged("rows add", &[&own], &d, |x, d| tier.rows_add(x[0], pitch, d, w)) {
                let mut plain = d.clone();
                for (row, (i, j)) in pairs(&w).into_iter().enumerate() {
                    places(&w, i, j).zip(&own[row * pitch..]).for_each(|(at, v)| plain[at] += v);
                }
                prop_assert_eq!(fast, plain, "{:?}", tier);
            }
        }
    }

    #[test]
    fn inner_products_with_any_windows(
        (offset, counts, strides, run_len) in numbers(), odd in 0usize..20, step in size(0..4),
        lacks in [short(), short(), short()],
    ) {
        let run_len = if odd == 0 { run_len } else { (run_len % 3).saturating_mul(LANE_GROUP) };
        let Some(w) = windows(offset, counts, strides, run_len) else { return Ok(()) };
        if !quick(w.rows(), w.columns()) {
            return Ok(());
        }
        let (a, v) = (buffer(w.end(), lacks[0], 1), buffer(w.columns(), lacks[1], 2));
        let last = w.rows().saturating_sub(1).saturating_mul(step).saturating_add(1);
        let y = buffer(last, lacks[2], 3);
        for tier in Tier::available() {
            let fast = judged("dots", &[&a, &v], &y, |x, y| tier.dots(x[0], w, x[1], y, step));
            let Some(fast) = fast else { continue };
            let mut plain = y.clone();
            for (row, (i, j)) in pairs(&w).into_iter().enumerate() {
                plain[row * step] = w.row(&a, i, j).zip(&v).map(|(a, v)| a * v).sum();
            }
            prop_assert_eq!(fast, plain, "{:?}", tier);
        }
    }

    #[test]
    fn convolutions_with_fewer_products_of_any_windows(
        across in [size(0..7), size(0..7)], channels in size(0..3), out_channels in size(0..3), odd in 0usize..12,
        gap in size(0..5), lacks in [short(), short(), short(), short(), short()],
    ) {
        let lanes = |n: usize| n.saturating_mul(LANE_GROUP).saturating_add(if odd == 0 { 1 } else { 0 });
        let (channels, out_channels, counts) = (lanes(channels), lanes(out_channels), [across[0], across[1], 3]);
        let row = counts[1].saturating_add(2).saturating_mul(channels).saturating_add(gap);
        let taps = if odd == 1 { 2 } else { 3 };
        let strides = [row.saturating_add(usize::from(odd == 2)), channels, row];
        let Some(xw) = windows(1, [counts[0], counts[1], taps], strides, channels.saturating_mul(3)) else {
            return Ok(());
        };
        let out = if odd == 3 { windows(0, [counts[0], counts[1], 1], [1, 1, 0], out_channels) } else { rows(1, counts, out_channels, gap) };
        let Some(out) = out else { return Ok(()) };
        let floats = |n: Option<usize>, lack: usize, seed: usize| buffer(n.unwrap_or(usize::MAX), lack, seed);
        let w = floats(channels.checked_mul(out_channels).and_then(|n| n.checked_mul(9)), 0, 1);
        let len = refused("winograd", || winograd_weights_len(channels, out_channels));
        let work = refused("winograd", || winograd_scratch_len(channels, out_channels));
        let into = floats(len, lacks[0], 2);
        // Working memory is more than other buffers have.
        let scratch = work.filter(|n| *n <= 1 << 17).unwrap_or(0).saturating_sub(lacks[1]);
        let (x, bias, y) = (buffer(xw.end(), lacks[2], 4), buffer(out_channels, lacks[3], 5), buffer(out.end(), lacks[4], 6));
        for tier in Tier::available() {
            let weights = judged("winograd", &[&w], &into, |x, into| tier.winograd_weights(x[0], channels, out_channels, into));
            let known = weights.is_some();
            let weights = weights.unwrap_or_else(|| into.clone());
            let fast = judged("winograd", &[&x, &weights, &bias], &y, |x, y| {
                tier.winograd(x[0], xw, x[1], x[2], y, out, &mut vec![f32::NAN; scratch]);
            });
            let Some(fast) = fast.filter(|_| known) else { continue };
            let mut direct = y.clone();
            tier.matmul(&x, xw, &w, &bias, &mut direct, out);
            prop_assert_eq!(fast, direct, "{:?}", tier);
        }
    }
}
