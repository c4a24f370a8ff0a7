//! Group normalisation against its definition and finite differences, on every tier.

use super::*;

fn wave(n: usize, step: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * step).sin()).collect()
}

/// An image of odd size in a buffer with a border, filled from a flat `h * w * c` list.
fn placed(plane: Plane, flat: &[f32]) -> Vec<f32> {
    let mut data = vec![0.0; plane.buffer_len()];
    for y in 0..plane.h() {
        for x in 0..plane.w() {
            let from = (y * plane.w() + x) * plane.c();
            data[plane.at(y, x)..][..plane.c()].copy_from_slice(&flat[from..from + plane.c()]);
        }
    }
    data
}

fn flat(plane: Plane, data: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    for y in 0..plane.h() {
        for x in 0..plane.w() {
            out.extend_from_slice(&data[plane.at(y, x)..][..plane.c()]);
        }
    }
    out
}

/// The definition in f64: group norm, then the ReLU.
fn plain(x: &[f64], c: usize, groups: usize, scale: &[f64], shift: &[f64], relu: bool) -> Vec<f64> {
    let per = c / groups;
    let mut y = vec![0.0; x.len()];
    for g in 0..groups {
        let members: Vec<usize> = (0..x.len()).filter(|i| i % c / per == g).collect();
        let n = members.len() as f64;
        let mean = members.iter().map(|&i| x[i]).sum::<f64>() / n;
        let var = members.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / n;
        for i in members {
            let v = (x[i] - mean) / (var + 1e-5).sqrt() * scale[i % c] + shift[i % c];
            y[i] = if relu { v.max(0.0) } else { v };
        }
    }
    y
}

#[track_caller]
fn close(fast: &[f32], plain: &[f64], what: &str) {
    let norm = plain.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-3);
    let error = fast.iter().zip(plain).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
    assert!(error / norm < 1e-4, "{what}: relative error {}", error / norm);
}

#[track_caller]
fn check(h: usize, w: usize, c: usize, groups: usize, relu: bool) {
    let (xp, yp) = (Plane::new(h, w, c, 0), Plane::new(h, w, c, 2));
    let n = h * w * c;
    // Far from zero on purpose: a one-pass variance would cancel here.
    let x: Vec<f32> = wave(n, 0.7).iter().map(|v| v + 10.0).collect();
    // Off zero: where both are zero, the ReLU sits on its kink.
    let (scale, shift) = (wave(c + 1, 1.3)[1..].to_vec(), wave(c + 1, 2.1)[1..].to_vec());
    // Not centred on zero, so that no sum over pixels cancels down to its own rounding error.
    let dy: Vec<f32> = wave(n, 0.37).iter().map(|v| v + 0.4).collect();
    let affine = ScaleShift { scale: &scale, shift: &shift, relu };
    let wide = |v: &[f32]| -> Vec<f64> { v.iter().map(|v| f64::from(*v)).collect() };
    let (x64, scale64, shift64) = (wide(&x), wide(&scale), wide(&shift));
    let loss = |x: &[f64], scale: &[f64], shift: &[f64]| -> f64 {
        plain(x, c, groups, scale, shift, relu).iter().zip(&dy).map(|(a, b)| a * f64::from(*b)).sum()
    };
    let numeric_x: Vec<f64> = (0..n)
        .map(|i| {
            let at = |e: f64| {
                let mut x = x64.clone();
                x[i] += e;
                loss(&x, &scale64, &shift64)
            };
            (at(1e-4) - at(-1e-4)) / 2e-4
        })
        .collect();
    for tier in Tier::available() {
        let what = format!("{tier:?} {h}x{w}x{c} in {groups}, relu {relu}");
        let xs = placed(xp, &x);
        let mut stats = vec![GroupStats::default(); groups];
        tier.group_stats(&xs, xp, 1e-5, &mut stats);
        let mut y = vec![0.0; yp.buffer_len()];
        tier.group_norm(&xs, xp, &stats, affine, &mut y, yp);
        close(&flat(yp, &y), &plain(&x64, c, groups, &scale64, &shift64, relu), &what);
        assert!(y.iter().filter(|v| **v != 0.0).count() <= n, "{what}: the border stays zero");

        let (mut gs, mut gb) = (vec![0.0; c], vec![0.0; c]);
        let mut dx = vec![0.0; xp.buffer_len()];
        let gradient = ScaleShiftGradient { scale: &mut gs, shift: &mut gb };
        let dys = placed(yp, &dy);
        tier.group_norm_backward(
            &xs,
            xp,
            &stats,
            affine,
            &dys,
            yp,
            gradient,
            &mut vec![[0.0; 2]; groups],
            Some((&mut dx, xp)),
        );
        close(&flat(xp, &dx), &numeric_x, &format!("{what}: dx"));
        let numeric = |which: usize| -> Vec<f64> {
            (0..c)
                .map(|i| {
                    let at = |e: f64| {
                        let (mut s, mut b) = (scale64.clone(), shift64.clone());
                        if which == 0 {
                            s[i] += e;
                        } else {
                            b[i] += e;
                        }
                        loss(&x64, &s, &b)
                    };
                    (at(1e-4) - at(-1e-4)) / 2e-4
                })
                .collect()
        };
        close(&gs, &numeric(0), &format!("{what}: scale"));
        close(&gb, &numeric(1), &format!("{what}: shift"));
    }
}

#[test]
fn group_norm_agrees_with_the_definition_and_with_finite_differences() {
    check(5, 7, 1, 1, false);
    check(5, 7, 1, 1, true);
    check(3, 4, 3, 3, false);
    check(2, 3, 32, 1, true);
    check(3, 2, 24, 4, false);
    check(3, 5, 48, 8, true);
    check(1, 1, 16, 2, false);
}
