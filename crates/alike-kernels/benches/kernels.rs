//! One kernel at a time, on every tier: `cargo bench -p alike-kernels`. Throughput counts floating-point operations as
//! "items", a multiplication and an addition as two.

use alike_kernels::{
    AlignedBuffer, Plane, PoolWindow, Sliding, SparseConv, Tier, Windows, padded, winograd_scratch_len,
    winograd_weights_len,
};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

fn tiers() -> Vec<&'static str> {
    Tier::available().into_iter().map(Tier::name).collect()
}

fn tier(name: &str) -> Tier {
    Tier::named(name).expect("a tier of this machine")
}

fn filled(n: usize) -> AlignedBuffer {
    let mut buffer = AlignedBuffer::new(n);
    buffer.iter_mut().enumerate().for_each(|(i, v)| *v = (i % 17) as f32 - 8.0);
    buffer
}

/// A convolution: side, channels, output channels, kernel.
type Conv = (usize, usize, usize, usize);
const SEED_FIRST: Conv = (28, 1, 32, 3);
const SEED_SECOND: Conv = (13, 32, 32, 3);
const WIDE: Conv = (16, 64, 64, 3);

struct Case {
    x: AlignedBuffer,
    windows: Windows,
    weights: AlignedBuffer,
    bias: AlignedBuffer,
    y: AlignedBuffer,
    rows: Windows,
    flop: usize,
}

fn case((side, channels, out_channels, kernel): Conv) -> Case {
    let (xp, yp) =
        (Plane::new(side, side, channels, kernel / 2), Plane::new(side, side, padded(out_channels), 0));
    let windows = xp.windows(Sliding { h: kernel, w: kernel, pad: kernel / 2, stride: 1 });
    Case {
        x: filled(xp.buffer_len()),
        windows,
        weights: filled(windows.columns() * yp.stride()),
        bias: filled(yp.stride()),
        y: filled(yp.buffer_len()),
        rows: yp.as_rows(),
        flop: 2 * side * side * channels * out_channels * kernel * kernel,
    }
}

fn forward(bencher: Bencher<'_, '_>, name: &str, conv: Conv) {
    let (tier, mut c) = (tier(name), case(conv));
    bencher
        .counter(ItemsCount::new(c.flop))
        .bench_local(|| tier.matmul(&c.x, c.windows, &c.weights, &c.bias, &mut c.y, c.rows));
}

fn weights(bencher: Bencher<'_, '_>, name: &str, conv: Conv) {
    let (tier, mut c) = (tier(name), case(conv));
    bencher
        .counter(ItemsCount::new(c.flop))
        .bench_local(|| tier.transposed_matmul_add(&c.x, c.windows, &c.y, c.rows, &mut c.weights));
}

#[divan::bench(args = tiers())]
fn forward_28x28_1_to_32(bencher: Bencher<'_, '_>, tier: &str) {
    forward(bencher, tier, SEED_FIRST);
}

#[divan::bench(args = tiers())]
fn forward_13x13_32_to_32(bencher: Bencher<'_, '_>, tier: &str) {
    forward(bencher, tier, SEED_SECOND);
}

#[divan::bench(args = tiers())]
fn forward_16x16_64_to_64(bencher: Bencher<'_, '_>, tier: &str) {
    forward(bencher, tier, WIDE);
}

#[divan::bench(args = tiers())]
fn weights_13x13_32_to_32(bencher: Bencher<'_, '_>, tier: &str) {
    weights(bencher, tier, SEED_SECOND);
}

#[divan::bench(args = tiers())]
fn weights_16x16_64_to_64(bencher: Bencher<'_, '_>, tier: &str) {
    weights(bencher, tier, WIDE);
}

fn winograd(bencher: Bencher<'_, '_>, name: &str, conv: Conv) {
    let (tier, mut c) = (tier(name), case(conv));
    let (channels, out_channels) = (c.windows.inner_stride(), c.rows.run_len());
    let mut weights = AlignedBuffer::new(winograd_weights_len(channels, out_channels));
    tier.winograd_weights(&c.weights, channels, out_channels, &mut weights);
    let mut scratch = AlignedBuffer::new(winograd_scratch_len(channels, out_channels));
    bencher
        .counter(ItemsCount::new(c.flop))
        .bench_local(|| tier.winograd(&c.x, c.windows, &weights, &c.bias, &mut c.y, c.rows, &mut scratch));
}

/// Operations are counted as the direct convolution has them.
#[divan::bench(args = tiers())]
fn winograd_13x13_32_to_32(bencher: Bencher<'_, '_>, tier: &str) {
    winograd(bencher, tier, SEED_SECOND);
}

#[divan::bench(args = tiers())]
fn winograd_16x16_64_to_64(bencher: Bencher<'_, '_>, tier: &str) {
    winograd(bencher, tier, WIDE);
}

/// All in the first cache: as fast as products get.
#[divan::bench(args = tiers())]
fn product_112_x_64_x_32(bencher: Bencher<'_, '_>, name: &str) {
    let tier = tier(name);
    let (a, b, bias, mut c) = (filled(112 * 64), filled(64 * 32), filled(32), filled(112 * 32));
    let (aw, out) = (Windows::matrix(112, 64, 64), Windows::matrix(112, 32, 32));
    bencher
        .counter(ItemsCount::new(2 * 112 * 64 * 32usize))
        .bench_local(|| tier.matmul(&a, aw, &b, &bias, &mut c, out));
}

/// The seed's second pool: 36 winners an output channel.
fn sparse() -> (SparseConv, Vec<u32>, AlignedBuffer, AlignedBuffer, AlignedBuffer) {
    let conv = SparseConv::new(3, 32, 15 * 32, 32, 36);
    let at =
        (0..32 * 36).map(|i| ((i % 36 / 6 * 2 * 15 + i % 6 * 2) * 32 + i / 36 % 3 * 32) as u32).collect();
    (conv, at, filled(32 * 36), filled(15 * 15 * 32), filled(32 * 9 * 32))
}

#[divan::bench(args = tiers())]
fn sparse_weights(bencher: Bencher<'_, '_>, name: &str) {
    let (tier, (conv, at, dy, x, mut w)) = (tier(name), sparse());
    bencher
        .counter(ItemsCount::new(2 * 32 * 36 * 9 * 32usize))
        .bench_local(|| tier.sparse_weights_add(conv, &at, &dy, &x, &mut w));
}

#[divan::bench(args = tiers())]
fn sparse_input(bencher: Bencher<'_, '_>, name: &str) {
    let (tier, (conv, at, dy, mut x, w)) = (tier(name), sparse());
    bencher
        .counter(ItemsCount::new(2 * 32 * 36 * 9 * 32usize))
        .bench_local(|| tier.sparse_input_add(conv, &at, &dy, &w, &mut x));
}

fn pool(bencher: Bencher<'_, '_>, name: &str, keep: bool) {
    let (tier, window) = (tier(name), PoolWindow::new(3, 2));
    let (xp, yp) = (Plane::new(27, 27, 32, 0), Plane::new(13, 13, 32, 0));
    let (x, mut y, mut argmax) =
        (filled(xp.buffer_len()), filled(yp.buffer_len()), vec![0; yp.pixels() * yp.stride()]);
    bencher.bench_local(|| tier.max_pool(&x, xp, window, &mut y, yp, keep.then_some(&mut argmax[..])));
}

#[divan::bench(args = tiers())]
fn max_pool_with_places(bencher: Bencher<'_, '_>, tier: &str) {
    pool(bencher, tier, true);
}

#[divan::bench(args = tiers())]
fn max_pool_alone(bencher: Bencher<'_, '_>, tier: &str) {
    pool(bencher, tier, false);
}
