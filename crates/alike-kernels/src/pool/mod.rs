//! Pooling: the largest and the mean of every window, and the mean of all pixels.

mod average;
mod max;
#[cfg(test)]
mod tests;

use crate::Plane;

/// A square pooling window and its step, without padding.
///
/// Whoever holds one knows that it has a pixel and a step, and that a place in it fits a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolWindow {
    size: usize,
    stride: usize,
}

impl PoolWindow {
    /// `size` pixels along a side, from 1 to 16, so that a place in the window fits a byte; `stride` pixels from one window
    /// to the next.
    ///
    /// # Panics
    ///
    /// If there is no such window, or no step.
    pub fn new(size: usize, stride: usize) -> PoolWindow {
        assert!((1..=16).contains(&size), "pool: a window of 1 to 16 pixels along a side, not {size}");
        assert!(stride > 0, "pool: a step of at least one pixel");
        PoolWindow { size, stride }
    }

    /// Pixels along a side.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Pixels from one window to the next.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Windows along a side of `n` pixels.
    pub fn outputs(&self, n: usize) -> usize {
        if n < self.size { 0 } else { (n - self.size) / self.stride + 1 }
    }

    /// That `to` has a pixel for every window over `from`, so that no window reaches beyond `from`.
    fn check(&self, from: Plane, to: Plane) {
        assert_eq!((to.h(), to.w()), (self.outputs(from.h()), self.outputs(from.w())), "pool: sizes");
        assert_eq!((to.c(), to.stride()), (from.c(), from.stride()), "pool: channels");
    }

    /// Whether every channel's place lies in the window: `plane.pixels() * plane.stride()` winners, dense.
    pub(crate) fn holds(&self, argmax: &[u8], plane: Plane) -> bool {
        let most = |argmax: &[u8]| argmax.iter().fold(0, |most, place| most.max(*place));
        let inside = |argmax: &[u8]| usize::from(most(argmax)) < self.size * self.size;
        let argmax = &argmax[..plane.pixels() * plane.stride()];
        // Nobody writes winners between a few channels and a wider stride.
        let written = if plane.in_lanes() { plane.stride() } else { plane.c() };
        if written == plane.stride() {
            return inside(argmax);
        }
        argmax.chunks_exact(plane.stride()).all(|pixel| inside(&pixel[..written]))
    }
}
