//! One image through the plan.

use super::plan::{Conv, Norm, OpKind, Plan};
use super::workspace::{Memory, Tape};
use crate::images::to_floats;
use alike_kernels::{Affine, Plane, PoolWindow, Tier, Windows, winograd_scratch_len};

/// A norm of at least this divides an embedding, as in `torch.nn.functional.normalize`.
pub(super) const L2_EPS: f32 = 1e-12;

impl Norm {
    pub(super) fn affine<'a>(&self, packed: &'a [f32]) -> Affine<'a> {
        Affine {
            scale: &packed[self.scale.packed_range()],
            shift: &packed[self.shift.packed_range()],
            relu: self.relu,
        }
    }
}

impl Plan {
    /// Embeds an image. The tape holds all that [`Plan::backward`] needs, unless `keep` says that it will not be asked.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is done, with what, to what, and all the memory that it takes"
    )]
    pub(super) fn forward(
        &self,
        tier: Tier,
        packed: &[f32],
        image: &[u8],
        tape: &mut Tape,
        keep: bool,
        (scratch, tiles): (&mut [f32], &mut [f32]),
        embedding: &mut [f32],
    ) {
        let Tape { floats, places, stats } = tape;
        let mut memory = Memory { floats, scratch };
        read_image(image, self.tensors[0].plane, memory.write(&self.tensors[0]));
        for op in &self.ops {
            let (tx, ty) = (&self.tensors[op.x], &self.tensors[op.y]);
            let (xp, yp) = (tx.plane, ty.plane);
            match &op.kind {
                OpKind::Norm(norm) => {
                    let (x, y) = memory.pair(tx, ty);
                    let stats = &mut stats[norm.stats.clone()];
                    tier.group_stats(x, xp, norm.eps, stats);
                    tier.group_norm(x, xp, stats, norm.affine(packed), y, yp);
                }
                OpKind::Relu => {
                    // As PyTorch's: a NaN stays one.
                    let (x, y) = memory.pair(tx, ty);
                    rows(xp, x, yp, y, |v, out| *out = if v < 0.0 { 0.0 } else { v });
                }
                OpKind::Conv(conv) => {
                    let (x, y) = memory.pair(tx, ty);
                    conv.run(tier, packed, x, xp.windows(conv.window), y, yp.as_rows(), tiles);
                }
                OpKind::ConvPool { conv, window, places: at, strip, .. } => {
                    let (x, y, own) = memory.triple(tx, ty, strip);
                    let places = keep.then(|| &mut places[at.clone()]);
                    let own = (own, strip.plane);
                    conv_pool(tier, packed, conv, *window, (x, xp), (y, yp), own, tiles, places);
                }
                OpKind::ConvGap { conv, sums } => {
                    let sums = &self.tensors[*sums];
                    let (x, mean) = memory.pair(tx, sums);
                    let windows = xp.windows(conv.window);
                    let mean = &mut mean[..windows.columns()];
                    mean.fill(0.0);
                    tier.row_sum_add(x, windows, mean);
                    let scale = 1.0 / windows.rows() as f32;
                    mean.iter_mut().for_each(|v| *v *= scale);
                    let (mean, y) = memory.pair(sums, ty);
                    let row = Windows::matrix(1, windows.columns(), windows.columns());
                    conv.run(tier, packed, mean, row, y, yp.as_rows(), tiles);
                }
                OpKind::MaxPool { window, places: at } => {
                    let (x, y) = memory.pair(tx, ty);
                    tier.max_pool(x, xp, *window, y, yp, keep.then(|| &mut places[at.clone()]));
                }
                OpKind::AvgPool { window } => {
                    let (x, y) = memory.pair(tx, ty);
                    tier.average_pool(x, xp, *window, y, yp);
                }
                OpKind::Fork => {}
                OpKind::Add { skip } => {
                    let skip = &self.tensors[*skip];
                    let (x, y) = memory.pair(tx, ty);
                    copy(x, xp, y, yp);
                    let (skipped, y) = memory.pair(skip, ty);
                    add(skipped, skip.plane, y, yp);
                }
                OpKind::Gap => {
                    let (x, y) = memory.pair(tx, ty);
                    tier.average(x, xp, &mut y[yp.offset()..]);
                }
                OpKind::L2 => {
                    let (x, y) = memory.pair(tx, ty);
                    let x = &x[xp.offset()..][..xp.c()];
                    let norm = length(x).max(L2_EPS);
                    for (out, v) in y[yp.offset()..].iter_mut().zip(x) {
                        *out = v / norm;
                    }
                }
            }
        }
        let last = &self.tensors[self.tensors.len() - 1];
        embedding.copy_from_slice(&memory.read(last)[last.plane.offset()..][..embedding.len()]);
    }
}

impl Conv {
    #[expect(clippy::too_many_arguments, reason = "a product's operands and working memory")]
    fn run(
        &self,
        tier: Tier,
        packed: &[f32],
        x: &[f32],
        windows: Windows,
        y: &mut [f32],
        out: Windows,
        tiles: &mut [f32],
    ) {
        let (weight, bias) = (&packed[self.weight.packed_range()], &packed[self.bias.packed_range()]);
        match &self.winograd {
            Some(at) => {
                let tiles = &mut tiles[..winograd_scratch_len(windows.inner_stride(), out.run_len())];
                tier.winograd(x, windows, &packed[at.clone()], bias, y, out, tiles);
            }
            None => tier.matmul(x, windows, weight, bias, y, out),
        }
    }
}

/// Rows `first..first + n` of a pooled convolution that windows reach, as far to the right as they do.
pub(super) fn reached(windows: Windows, strip: Plane, first: usize, n: usize) -> Windows {
    windows.blocks(first, n).narrowed(strip.w())
}

/// A strip's part of a pooled convolution.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    /// Pooled rows `row..row + n`.
    pub(super) row: usize,
    pub(super) n: usize,
    /// Rows at its top that the strip before it had at its end, and rows that the one behind it will keep.
    pub(super) kept: usize,
    pub(super) keeps: usize,
    /// Rows in all.
    pub(super) rows: usize,
}

/// The strips of `rows` pooled rows.
pub(super) fn strips(strip: Plane, window: PoolWindow, rows: usize) -> impl Iterator<Item = Strip> {
    let step = (strip.h() - window.size()) / window.stride() + 1;
    let shared = window.size().saturating_sub(window.stride());
    (0..rows).step_by(step).map(move |row| {
        let n = step.min(rows - row);
        Strip {
            row,
            n,
            kept: if row == 0 { 0 } else { shared },
            keeps: if row + n == rows { 0 } else { shared },
            rows: window.size() + (n - 1) * window.stride(),
        }
    })
}

/// What the strip before had at its end comes to the top. All strips but the last are full.
pub(super) fn carry(own: &mut [f32], strip: Plane, kept: usize) {
    if kept > 0 {
        own.copy_within(strip.at(strip.h() - kept, 0)..strip.at(strip.h(), 0), strip.at(0, 0));
    }
}

/// Strip by strip: what two windows share is kept, rows that are new are computed, and all are pooled.
#[expect(clippy::too_many_arguments, reason = "two operations at once see what both see")]
fn conv_pool(
    tier: Tier,
    packed: &[f32],
    conv: &Conv,
    window: PoolWindow,
    (x, xp): (&[f32], Plane),
    (y, yp): (&mut [f32], Plane),
    (own, strip): (&mut [f32], Plane),
    tiles: &mut [f32],
    mut places: Option<&mut [u8]>,
) {
    let windows = xp.windows(conv.window);
    let per_row = yp.w() * yp.stride();
    for s in strips(strip, window, yp.h()) {
        carry(own, strip, s.kept);
        let new = reached(windows, strip, s.row * window.stride() + s.kept, s.rows - s.kept);
        conv.run(tier, packed, x, new, own, strip.rows(s.kept, s.rows - s.kept).as_rows(), tiles);
        let places = places.as_deref_mut().map(|p| &mut p[s.row * per_row..][..s.n * per_row]);
        tier.max_pool(own, strip.rows(0, s.rows), window, y, yp.rows(s.row, s.n), places);
    }
}

/// Bytes become numbers from 0 to 1; floats stay as they are.
fn read_image(image: &[u8], p: Plane, buffer: &mut [f32]) {
    if image.len() != p.h() * p.w() * p.c() {
        for (i, pixel) in image.chunks_exact(4 * p.c()).enumerate() {
            to_floats(pixel, &mut buffer[p.at(i / p.w(), i % p.w())..][..p.c()]);
        }
        return;
    }
    for (y, row) in image.chunks_exact(p.w() * p.c()).enumerate() {
        if p.stride() == p.c() {
            for (to, from) in buffer[p.at(y, 0)..].iter_mut().zip(row) {
                *to = f32::from(*from) * (1.0 / 255.0);
            }
        } else {
            for (x, pixel) in row.chunks_exact(p.c()).enumerate() {
                for (to, from) in buffer[p.at(y, x)..].iter_mut().zip(pixel) {
                    *to = f32::from(*from) * (1.0 / 255.0);
                }
            }
        }
    }
}

/// Every channel of every pixel, from one plane to another that may be laid out otherwise.
fn each(from: &[f32], fp: Plane, to: &mut [f32], tp: Plane, f: impl Fn(&mut f32, f32)) {
    for r in 0..fp.h() {
        if fp.stride() == tp.stride() {
            let row = &from[fp.at(r, 0)..][..fp.w() * fp.stride()];
            for (to, from) in to[tp.at(r, 0)..].iter_mut().zip(row) {
                f(to, *from);
            }
            continue;
        }
        for p in 0..fp.w() {
            for (to, from) in to[tp.at(r, p)..].iter_mut().zip(&from[fp.at(r, p)..][..fp.c()]) {
                f(to, *from);
            }
        }
    }
}

pub(super) fn copy(from: &[f32], fp: Plane, to: &mut [f32], tp: Plane) {
    each(from, fp, to, tp, |to, from| *to = from);
}

pub(super) fn add(from: &[f32], fp: Plane, to: &mut [f32], tp: Plane) {
    each(from, fp, to, tp, |to, from| *to += from);
}

fn rows(xp: Plane, x: &[f32], yp: Plane, y: &mut [f32], f: impl Fn(f32, &mut f32)) {
    for r in 0..xp.h() {
        let from = &x[xp.at(r, 0)..][..xp.w() * xp.stride()];
        for (v, out) in from.iter().zip(&mut y[yp.at(r, 0)..]) {
            f(*v, out);
        }
    }
}

pub(super) fn length(v: &[f32]) -> f32 {
    v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32
}
