//! The arithmetic of Alike: the only crate with unsafe code.
//!
//! Every kernel is a method of [`Tier`], the instruction set that the running machine was found to have. A kernel is
//! written once, over the small vocabulary of `simd`; [`Tier`] picks its compiled form. Beside each stands the plain
//! loop that it is tested against, on every tier that the machine has.
//!
//! # Shapes
//!
//! Matrices are row-major `f32`. Images are `h x w x c`, channels fastest. A [`Windows`] is a matrix whose rows are
//! windows of a buffer, which is how a convolution becomes a matrix product without a copy; a [`Plane`] says where an
//! image's channels lie in a buffer.
//!
//! # What is checked
//!
//! No argument of a safe function makes a kernel reach beyond its slices. What describes a shape has private fields and a
//! constructor that refuses what overflows or contradicts itself; a kernel's method then compares it with the lengths of
//! its slices, once a call, before it writes anything. What is refused panics, with a message that begins with the
//! kernel's name: shapes come from plans and not from users. The tests in `hostile` try what nobody should ask for.

mod buffer;
mod tier;
#[macro_use]
mod simd;
mod bins;
mod codes;
mod convert;
mod dots;
mod exp;
#[cfg(test)]
mod hostile;
mod matmul;
mod norm;
mod plane;
mod pool;
mod pooled;
mod sparse;
mod transposed;
mod windows;
mod winograd;

pub use bins::Bins;
pub use buffer::{AlignedBuffer, LANE_GROUP, padded};
pub use codes::{CODE_MOST, CODE_ROWS, CODE_RUN, code_at};
pub use norm::{GroupStats, ScaleShift, ScaleShiftGradient};
pub use plane::{Plane, Sliding};
pub use pool::PoolWindow;
pub use sparse::SparseConv;
pub use tier::{Tier, TierError};
pub use windows::Windows;
pub use winograd::{winograd_scratch_len, winograd_weights_len};
