//! Normalisation, pooling, and the gradients of pooled convolutions, over planes.

use super::*;
use crate::{
    GroupStats, LANE_GROUP, Plane, PoolWindow, ScaleShift, ScaleShiftGradient, Sliding, SparseConv, Tier,
};

/// Rows, columns, channels, border, and how many floats a pixel has beyond its channels; none of these, whole lane groups.
fn sizes() -> impl Strategy<Value = (usize, usize, usize, usize, Option<usize>)> + Clone {
    let channels =
        prop_oneof![3 => size(0..6), 2 => size(14..35), 1 => prop::sample::select(vec![16usize, 32, 48])];
    (size(0..6), size(0..6), channels, size(0..3), prop::option::weighted(0.3, size(0..20)))
}

fn plane((h, w, c, border, beyond): (usize, usize, usize, usize, Option<usize>)) -> Option<Plane> {
    refused("plane", || {
        let plane = Plane::new(h, w, c, border);
        beyond.map_or(plane, |beyond| plane.with_stride(c.saturating_add(beyond)))
    })
}

/// A buffer of the plane's whole numbers, with zeros between channels and stride.
fn image(p: Plane, lacks: usize, seed: usize) -> Vec<f32> {
    let mut data = buffer(p.at(p.h() - 1, p.w() - 1) + p.stride(), lacks, seed);
    // All pixels begin at multiples of the stride, those of the border too.
    data.iter_mut().enumerate().filter(|(i, _)| i % p.stride() >= p.c()).for_each(|(_, v)| *v = 0.0);
    data
}

/// As far as two orders of summation may be apart.
#[track_caller]
fn close(fast: &[f32], plain: &[f32]) {
    assert_eq!(fast.len(), plain.len());
    for (a, b) in fast.iter().zip(plain) {
        assert!((a - b).abs() <= 2e-3 * (1.0 + b.abs()), "{a} {b}");
    }
}

/// A call on every tier, compared with the portable one, which is the last.
#[track_caller]
fn alike(name: &str, inputs: &[&[f32]], output: &[f32], call: impl Fn(Tier, &[&[f32]], &mut [f32])) {
    let tiers = Tier::available();
    let results: Vec<_> =
        tiers.iter().map(|tier| judged(name, inputs, output, |x, y| call(*tier, x, y))).collect();
    let plain = &results[results.len() - 1];
    for fast in &results {
        assert_eq!(fast.is_some(), plain.is_some(), "{name}: refused by some tiers");
        if let (Some(fast), Some(plain)) = (fast, plain) {
            close(fast, plain);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn normalisations_of_any_planes(
        sizes in sizes(), borders in [size(0..3), size(0..3)], other in 0usize..12, groups in size(0..5), relu in prop::bool::ANY,
        lacks in [short(), short(), short(), short()],
    ) {
        let Some(xp) = plane(sizes) else { return Ok(()) };
        let bordered = |border| refused("plane", || xp.with_border(border));
        let (Some(yp), Some(dxp)) = (bordered(borders[0]), bordered(borders[1])) else { return Ok(()) };
        // At times an output of another shape.
        let yp = if other == 0 { plane((1, 1, sizes.2, 0, sizes.4)).unwrap_or(yp) } else { yp };
        // At times every channel has a group of its own.
        let groups = if other < 6 { groups } else { xp.c() };
        let (x, y, dx) = (image(xp, lacks[0], 1), image(yp, lacks[1], 2), image(dxp, lacks[2], 3));
        let mut scale = buffer(xp.c(), lacks[3], 4);
        // Off zero, where a ReLU's gradient is one thing or the other.
        scale.iter_mut().for_each(|v| *v += 0.5);
        let shift = vec![0.3; xp.c().min(LONGEST)];
        let stats = || vec![GroupStats::default(); groups.min(LONGEST)];
        alike("group norm", &[&x, &scale, &shift], &y, |tier, x, y| {
            let mut stats = stats();
            tier.group_stats(x[0], xp, 1e-2, &mut stats);
            tier.group_norm(x[0], xp, &stats, ScaleShift { scale: x[1], shift: x[2], relu }, y, yp);
        });
        let given: Vec<_> = stats().into_iter().map(|s| GroupStats { mean: s.mean + 0.25, rstd: 0.5 }).collect();
        alike("group norm", &[&x, &scale, &shift, &y], &dx, |tier, x, dx| {
            let (mut by_scale, mut by_shift) = (vec![0.0; xp.c().min(LONGEST)], vec![0.0; x[1].len()]);
            let gradient = ScaleShiftGradient { scale: &mut by_scale, shift: &mut by_shift };
            let affine = ScaleShift { scale: x[1], shift: x[2], relu };
            let mut means = vec![[0.0; 2]; groups.min(LONGEST)];
            tier.group_norm_backward(x[0], xp, &given, affine, x[3], yp, gradient, &mut means, Some((dx, dxp)));
        });
        let doubled = refused("plane", || {
            Plane::new(xp.h(), xp.w(), xp.c().saturating_mul(2), borders[0]).with_stride(xp.stride().saturating_mul(2))
        });
        let Some(pp) = doubled else { return Ok(()) };
        let parts = image(pp, lacks[1], 5);
        alike("norm parts|group norm", &[&x, &scale, &shift], &parts, |tier, x, y| {
            tier.group_norm_parts(x[0], xp, &given, ScaleShift { scale: x[1], shift: x[2], relu }, y, pp);
        });
    }

    #[test]
    fn pools_of_any_planes(
        sizes in sizes(), borders in [size(0..3), size(0..3)], side in size(0..5), step in size(0..4), other in 0usize..12,
        seed in 0usize..99, lacks in [short(), short(), short()],
    ) {
        let Some(window) = refused("pool", || PoolWindow::new(side, step)) else { return Ok(()) };
        let Some(xp) = plane(sizes) else { return Ok(()) };
        let (h, w) = (window.outputs(xp.h()), window.outputs(xp.w()));
        // At times a window too many.
        let h = if other == 0 { h.saturating_add(1) } else { h };
        let Some(yp) = plane((h, w, sizes.2, borders[0], sizes.4)) else { return Ok(()) };
        let (x, y) = (image(xp, lacks[0], seed), image(yp, lacks[1], 2));
        let entries = yp.pixels().saturating_mul(yp.stride()).min(LONGEST).saturating_sub(lacks[2]);
        // At times a place outside the window.
        let many = side * side + usize::from(other == 1);
        let given: Vec<u8> = (0..entries).map(|i| ((i * 13 + i / 7 + seed) % many) as u8).collect();
        let best = |oy: usize, ox: usize, c: usize| {
            let values = (0..side * side).map(|k| x[xp.at(oy * step + k / side, ox * step + k % side) + c]);
            values.fold(f32::NEG_INFINITY, f32::max)
        };
        for tier in Tier::available() {
            for keep in [false, true] {
                let fast = judged("pool", &[&x], &y, |x, y| {
                    let mut argmax = vec![77; entries];
                    tier.max_pool(x[0], xp, window, y, yp, keep.then_some(&mut argmax[..]));
                });
                let Some(fast) = fast else { continue };
                for (oy, ox) in (0..yp.h()).flat_map(|oy| (0..yp.w()).map(move |ox| (oy, ox))) {
                    for c in 0..yp.c() {
                        prop_assert_eq!(fast[yp.at(oy, ox) + c], best(oy, ox, c), "{:?}", tier);
                    }
                }
            }
        }
        for add in [false, true] {
            alike("pool", &[&y], &x, |tier, y, x| {
                if add {
                    tier.max_pool_backward_add(y[0], yp, &given, window, x, xp);
                } else {
                    tier.max_pool_backward(y[0], yp, &given, window, x, xp);
                }
            });
        }
        alike("pool", &[&x], &y, |tier, x, y| tier.average_pool(x[0], xp, window, y, yp));
        alike("pool", &[&y], &x, |tier, y, x| tier.average_pool_backward(y[0], yp, window, x, xp));
        let mean = buffer(xp.c(), lacks[2], 3);
        alike("average", &[&x], &mean, |tier, x, mean| tier.average(x[0], xp, mean));
        alike("average", &[&mean], &x, |tier, mean, x| tier.average_backward(mean[0], x, xp));
    }

    #[test]
    fn gradients_of_pooled_convolutions_of_any_planes(
        sizes in (size(1..8), size(1..8), size(0..4), size(0..3)), slide in [size(0..4), size(0..4), size(0..2), size(0..3)],
        side in size(0..5), step in size(0..4), groups in size(0..4), other in 0usize..12,
        lacks in [short(), short(), short(), short()],
    ) {
        let (h, w, c, border) = sizes;
        let Some(xp) = plane((h, w, c, border, None)) else { return Ok(()) };
        let sliding = Sliding { h: slide[0], w: slide[1], pad: slide[2], stride: slide[3] };
        let Some(xw) = refused("windows", || xp.windows(sliding)) else { return Ok(()) };
        // At times a step that leads back to where it began.
        let step = if other == 3 { usize::MAX } else { step };
        let Some(window) = refused("pool", || PoolWindow::new(side, step)) else { return Ok(()) };
        let (oh, ow) = (window.outputs(xw.outer()), window.outputs(xw.inner()));
        // At times an output too many, or output channels that are no whole lane groups.
        let oh = if other == 0 || other == 3 { oh.saturating_add(1) } else { oh };
        let out_channels = groups.saturating_mul(LANE_GROUP);
        let beyond = (other == 1).then_some(3);
        let Some(dyp) = plane((oh, ow, out_channels, 0, beyond)) else { return Ok(()) };
        let (x, dy) = (image(xp, lacks[0], 1), image(dyp, lacks[1], 2));
        let entries = dyp.pixels().saturating_mul(dyp.stride()).min(LONGEST).saturating_sub(lacks[2]);
        let many = side * side + usize::from(other == 2);
        let argmax: Vec<u8> = (0..entries).map(|i| ((i * 13 + i / 7) % many) as u8).collect();
        let weights = buffer(xw.columns().saturating_mul(dyp.stride()), lacks[3], 3);
        alike("pooled weights", &[&x, &dy], &weights, |tier, x, weights| {
            tier.pooled_weights_add(x[0], xw, window, x[1], dyp, &argmax, weights);
        });
    }

    #[test]
    fn sparse_gradients_of_any_lists(
        kernel in prop_oneof![6 => prop::sample::select(vec![1usize, 3, 5]), 1 => size(0..7)], groups in size(0..4),
        odd in 0usize..20, gap in size(0..9), out_channels in size(0..4), pixels in size(0..6), far in size(0..200), last in size(0..2),
        lacks in [short(), short(), short(), short()],
    ) {
        let channels = groups.saturating_mul(LANE_GROUP).saturating_add(usize::from(odd == 0));
        let pitch = channels.saturating_mul(kernel).saturating_add(gap);
        let made = refused("sparse gradients", || SparseConv::new(kernel, channels, pitch, out_channels, pixels));
        let Some(conv) = made else { return Ok(()) };
        let entries = out_channels.saturating_mul(pixels);
        let mut at: Vec<u32> = (0..entries.min(LONGEST)).map(|i| (i * 37 % (far % 200 + 1)) as u32).collect();
        // At times the last window begins where no image is.
        if let Some(last_at) = at.last_mut().filter(|_| last > 1) {
            *last_at = last as u32;
        }
        let reach = (kernel - 1).saturating_mul(pitch).saturating_add(kernel.saturating_mul(channels));
        let image = buffer(reach.saturating_add(far % 200), lacks[0], 1);
        let dy = buffer(entries, lacks[1], 2);
        let w = buffer(kernel.saturating_mul(kernel).saturating_mul(channels).saturating_mul(out_channels), lacks[2], 3);
        alike("sparse gradients", &[&dy, &image], &w, |tier, x, w| tier.sparse_weights_add(conv, &at, x[0], x[1], w));
        alike("sparse gradients", &[&dy, &w], &image, |tier, x, image| {
            tier.sparse_input_add(conv, &at, x[0], x[1], image);
        });
    }
}
