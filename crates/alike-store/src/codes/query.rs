//! A query as to a centre, and what is known of its nearest so far.

use super::{MOST, slack, up};
use std::collections::BinaryHeap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// A query in codes as to a centre.
pub(super) struct Coded {
    /// The squared length of what it codes.
    pub(super) square: f32,
    /// Twice its scale.
    pub(super) twice: f32,
    /// What a product of codes has too much, for codes have no sign.
    pub(super) offset: i32,
    /// No less than how far it is from the query.
    pub(super) error: f32,
    /// The distance of the query from the centre, no more than it is.
    pub(super) least: f32,
}

impl Coded {
    /// Codes a query, and writes its numbers.
    pub(super) fn new(query: &[f32], centre: &[f32], numbers: &mut [i8], away: &mut [f32]) -> Coded {
        let d = query.len();
        let (mut largest, mut length) = (0f32, 0f32);
        for ((a, q), c) in away.iter_mut().zip(query).zip(centre) {
            *a = q - c;
            largest = largest.max(a.abs());
            length += *a * *a;
        }
        let scale = largest / MOST as f32;
        let inverse = if scale > f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
        // Adding and taking away this rounds to a whole number.
        const ROUND: f32 = 12_582_912.0;
        let (mut squares, mut sum, mut error) = (0i64, 0i32, 0f32);
        for (number, a) in numbers.iter_mut().zip(away.iter()) {
            let whole = (a * inverse).clamp(-(MOST as f32), MOST as f32) + ROUND - ROUND;
            *number = whole as i8;
            squares += i64::from(*number) * i64::from(*number);
            sum += i32::from(*number);
            error += (a - scale * whole).powi(2);
        }
        let length = length.sqrt();
        // Sums of `d` rounded terms, and differences that were rounded once or twice.
        let unit = f64::from(f32::EPSILON) / 2.0;
        let rounding = (d as f64 + 8.0) * unit;
        let error = f64::from(error.sqrt()) * (1.0 + rounding) + 4.0 * unit * f64::from(length) + 1e-37;
        let least = f64::from(length) * (1.0 - rounding - 4.0 * unit) - 1e-37;
        Coded {
            square: (f64::from(scale) * f64::from(scale) * squares as f64) as f32,
            twice: 2.0 * scale,
            offset: sum * super::ZERO,
            error: up(error),
            least: if least.is_finite() { up(least).next_down().next_down() } else { 0.0 },
        }
    }

    /// The squared distance of the codes, and by how much it may be off.
    #[inline]
    pub(super) fn squared(&self, scale: f32, square: f32, product: i32) -> (f32, f32) {
        let terms = self.square + square;
        (terms - self.twice * scale * (product - self.offset) as f32, slack(terms))
    }
}

/// What is known of a query's nearest: an upper bound of the `k`-th distance.
pub(super) struct Nearest {
    k: usize,
    /// Bits of the bound, which is never negative, so that they are ordered as it is.
    bound: AtomicU32,
    /// The smallest upper bounds, as bits.
    heap: Mutex<BinaryHeap<u32>>,
}

impl Nearest {
    pub(super) fn new(k: usize) -> Nearest {
        Nearest { k, bound: AtomicU32::new(f32::INFINITY.to_bits()), heap: Mutex::default() }
    }

    /// A distance that the `k` nearest do not exceed.
    #[inline]
    pub(super) fn bound(&self) -> f32 {
        f32::from_bits(self.bound.load(Ordering::Relaxed))
    }

    /// Some members are no farther than this.
    pub(super) fn meet(&self, above: f32, members: usize) {
        // What cannot be told bounds nothing, and what is not below the bound changes nothing.
        if above.is_nan() || above >= self.bound() {
            return;
        }
        let mut heap = self.heap.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for _ in 0..members.min(self.k) {
            if heap.len() == self.k && heap.peek().is_some_and(|most| above.to_bits() >= *most) {
                break;
            }
            heap.push(above.max(0.0).to_bits());
            if heap.len() > self.k {
                heap.pop();
            }
        }
        if let Some(most) = heap.peek().filter(|_| heap.len() == self.k) {
            self.bound.store(*most, Ordering::Relaxed);
        }
    }
}
