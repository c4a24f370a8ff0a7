//! Memory that vectors load from without crossing cache lines.

use bytemuck::{Pod, Zeroable};
use std::ops::{Deref, DerefMut};

/// Channels and columns are padded to a multiple of this many floats: one cache line, the widest vector.
/// The layout is the same on every tier.
pub const LANE_GROUP: usize = 16;

/// `n` rounded up to whole lane groups.
///
/// # Panics
///
/// If that is more than a number can hold.
pub const fn padded(n: usize) -> usize {
    n.checked_next_multiple_of(LANE_GROUP).expect("padded: larger than memory")
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LANE_GROUP]);

/// A zeroed, 64-byte-aligned slice of `f32` whose length is a multiple of [`LANE_GROUP`].
#[derive(Clone)]
pub struct AlignedBuffer(Vec<Line>);

impl AlignedBuffer {
    /// At least `len` zeros.
    ///
    /// # Panics
    ///
    /// If memory cannot hold as many.
    pub fn new(len: usize) -> AlignedBuffer {
        AlignedBuffer(vec![Line::zeroed(); len.div_ceil(LANE_GROUP)])
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuffer of {} floats", self.len())
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}
