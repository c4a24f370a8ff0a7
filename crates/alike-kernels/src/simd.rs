//! The vocabulary that kernels are written in, and its three dialects.
//!
//! A kernel is an `#[inline(always)]` function over `S: Simd`. The [`dispatch!`] macro compiles it once a tier, inside
//! a function that enables the tier's instructions, so that everything inlines into vector code.

/// Vectors of `f32`. Every method needs the instructions of its dialect: callers are inlined into a function that
/// enables them, which is what `unsafe` stands for here.
pub(crate) trait Simd {
    type V: Copy;
    /// Lanes of a vector. Divides [`crate::LANE_GROUP`].
    const LANES: usize;
    /// Rows of a register tile of two vectors a row, and of one.
    const ROWS: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// `a * b + c`, fused where the machine can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
}

/// Any machine: arrays of four, which compilers turn into the vectors that every 64-bit target has.
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 4];
    const LANES: usize = 4;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 4] {
        // SAFETY: the caller vouches for four floats at `p`.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller vouches for four floats at `p`.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // Not `mul_add`: without the instruction that is a slow call into the C library.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    pub(crate) struct Avx2;

    // SAFETY (all blocks): the intrinsics need AVX2 and FMA, which `dispatch!` enables; pointers are the caller's word.
    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const ROWS: usize = 6;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_set1_ps(x) }
        }

        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_loadu_ps(p) }
        }

        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(p, v) }
        }

        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
    }

    pub(crate) struct Avx512;

    // SAFETY (all blocks): the intrinsics need AVX-512F, which `dispatch!` enables; pointers are the caller's word.
    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const ROWS: usize = 14;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(x) }
        }

        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(p) }
        }

        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(p, v) }
        }

        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Runs an `#[inline(always)] unsafe fn kernel<S: Simd>(...)` in the form compiled for a tier.
///
/// `dispatch!(tier, kernel(a: A, b: B))` needs the arguments' types, because it declares one function a tier.
macro_rules! dispatch {
    ($tier:expr, $kernel:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
        fn avx512($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: this function enables the instructions; the arguments were checked by the caller.
            unsafe { $kernel::<$crate::simd::Avx512>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: this function enables the instructions; the arguments were checked by the caller.
            unsafe { $kernel::<$crate::simd::Avx2>($($arg),*) }
        }
        match $tier.level() {
            // SAFETY: a `Tier` of this level exists only where the machine was found to have the instructions.
            #[cfg(target_arch = "x86_64")]
            $crate::tier::Level::Avx512 => unsafe { avx512($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::tier::Level::Avx2 => unsafe { avx2($($arg),*) },
            // SAFETY: the portable form needs no instructions; the arguments were checked by the caller.
            $crate::tier::Level::Portable => unsafe { $kernel::<$crate::simd::Portable>($($arg),*) },
        }
    }};
}
