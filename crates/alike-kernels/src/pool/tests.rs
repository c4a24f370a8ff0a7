//! Pooling against plain loops, on every tier.

use super::average::each_pixel;
use super::*;
use crate::Tier;

#[track_caller]
fn check(h: usize, w: usize, c: usize, size: usize, stride: usize) {
    let window = PoolWindow::new(size, stride);
    let xp = Plane::new(h, w, c, 1);
    let yp = Plane::new(window.outputs(h), window.outputs(w), c, 1);
    let mut x = vec![0.0; xp.buffer_len()];
    for i in 0..h * w * c {
        // Repeats on purpose: ties must go to the first.
        x[xp.at(i / c / w, i / c % w) + i % c] = ((i * 37) % 19) as f32 - 9.0;
    }
    let mut expected_dx = vec![0.0; xp.buffer_len()];
    let mut dy = vec![0.0; yp.buffer_len()];
    let mut expected = vec![0.0; yp.buffer_len()];
    for oy in 0..yp.h() {
        for ox in 0..yp.w() {
            for ch in 0..c {
                let g = (oy * 3 + ox + ch) as f32;
                dy[yp.at(oy, ox) + ch] = g;
                let mut best = (f32::NEG_INFINITY, 0);
                for ky in 0..size {
                    for kx in 0..size {
                        let at = xp.at(oy * stride + ky, ox * stride + kx) + ch;
                        if x[at] > best.0 {
                            best = (x[at], at);
                        }
                    }
                }
                expected[yp.at(oy, ox) + ch] = best.0;
                expected_dx[best.1] += g;
            }
        }
    }
    let (mut mean, mut spread) = (vec![0.0; yp.buffer_len()], vec![0.0; xp.buffer_len()]);
    each_pixel!(window, xp, yp, |out, pixel| {
        for ch in 0..c {
            mean[out + ch] += x[pixel + ch] / (size * size) as f32;
            spread[pixel + ch] += dy[out + ch] / (size * size) as f32;
        }
    });
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    for tier in Tier::available() {
        let (mut y, mut dx) = (vec![0.0; yp.buffer_len()], vec![0.0; xp.buffer_len()]);
        tier.average_pool(&x, xp, window, &mut y, yp);
        tier.average_pool_backward(&dy, yp, window, &mut dx, xp);
        assert!(close(&y, &mean) && close(&dx, &spread), "{tier:?}");
        let mut y = vec![0.0; yp.buffer_len()];
        let mut argmax = vec![0; yp.pixels() * yp.stride()];
        tier.max_pool(&x, xp, window, &mut y, yp, Some(&mut argmax));
        assert_eq!(y, expected, "{tier:?}");
        let mut alone = vec![0.0; yp.buffer_len()];
        tier.max_pool(&x, xp, window, &mut alone, yp, None);
        assert_eq!(alone, expected, "{tier:?}, without winners");
        let mut dx = vec![0.0; xp.buffer_len()];
        tier.max_pool_backward(&dy, yp, &argmax, window, &mut dx, xp);
        assert_eq!(dx, expected_dx, "{tier:?}");
    }
}

#[test]
fn max_pooling_equals_the_plain_loops_on_every_tier() {
    check(28, 28, 32, 3, 2);
    check(7, 10, 16, 3, 2);
    check(5, 4, 3, 2, 2);
    check(6, 9, 40, 4, 3);
    check(3, 3, 1, 3, 1);
}

#[test]
fn a_nan_is_not_lost_in_a_maximum() {
    let window = PoolWindow::new(2, 1);
    for c in [1, 32] {
        let (xp, yp) = (Plane::new(2, 4, c, 0), Plane::new(1, 3, c, 0));
        let mut x = vec![1.0; 8 * c];
        // In channel 0, wherever a window meets it; the other channels are as if it were not there.
        x[c] = f32::NAN;
        for tier in Tier::available() {
            let mut y = vec![0.0; 3 * c];
            let mut argmax = vec![9; 3 * c];
            tier.max_pool(&x, xp, window, &mut y, yp, Some(&mut argmax));
            assert!(y[0].is_nan() && y[c].is_nan() && y[2 * c] == 1.0, "{tier:?}");
            assert_eq!((argmax[0], argmax[c], argmax[2 * c]), (1, 0, 0), "{tier:?}");
            assert!(y.iter().filter(|v| v.is_nan()).count() == 2, "{tier:?}");
            tier.max_pool(&x, xp, window, &mut y, yp, None);
            assert!(y[0].is_nan() && y[c].is_nan() && y[2 * c] == 1.0, "{tier:?}");
        }
    }
}

#[test]
fn the_average_and_its_gradient_are_those_of_the_definition() {
    let plane = Plane::new(3, 5, 20, 1);
    let mut x = vec![0.0; plane.buffer_len()];
    for i in 0..15 * 20 {
        x[plane.at(i / 20 / 5, i / 20 % 5) + i % 20] = (i / 20) as f32 + (i % 20) as f32;
    }
    let tier = Tier::available()[0];
    let mut y = vec![0.0; 20];
    tier.average(&x, plane, &mut y);
    for (c, v) in y.iter().enumerate() {
        assert!((v - (7.0 + c as f32)).abs() < 1e-5, "channel {c}: {v}");
    }
    let mut dx = vec![0.0; plane.buffer_len()];
    tier.average_backward(&[15.0; 20], &mut dx, plane);
    assert_eq!(dx.iter().sum::<f32>(), 15.0 * 20.0);
}
