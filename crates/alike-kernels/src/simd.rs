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
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a` where it is larger, else `b`: a NaN in `b` stays, one in `a` is lost.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `v` where `by` is above zero or NaN, else zero.
    unsafe fn where_open(by: Self::V, v: Self::V) -> Self::V;
    /// Whether any lane is NaN.
    unsafe fn has_nan(v: Self::V) -> bool;

    /// Small whole numbers, one a lane: a winner's place in a pooling window.
    type I: Copy;
    /// Place zero in every lane.
    unsafe fn no_places() -> Self::I;
    unsafe fn load_places(p: *const u8) -> Self::I;
    unsafe fn store_argmax(p: *mut u8, argmax: Self::I);
    /// `v` where a lane's place is `k`, else zero.
    unsafe fn at_place(argmax: Self::I, k: u32, v: Self::V) -> Self::V;
    /// `k` where `v` equals `best`, else what `argmax` says.
    unsafe fn place_of(best: Self::V, v: Self::V, k: u32, argmax: Self::I) -> Self::I;
    /// The larger of `best` and `v`, and `k` for the place where that is `v`. NaNs are for the caller to find.
    unsafe fn larger(best: Self::V, argmax: Self::I, v: Self::V, k: u32) -> (Self::V, Self::I);
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

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    unsafe fn where_open(by: [f32; 4], v: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if by[i] <= 0.0 { 0.0 } else { v[i] })
    }

    #[inline(always)]
    unsafe fn has_nan(v: [f32; 4]) -> bool {
        v[0].is_nan() | v[1].is_nan() | v[2].is_nan() | v[3].is_nan()
    }

    type I = [u32; 4];

    #[inline(always)]
    unsafe fn no_places() -> [u32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn load_places(p: *const u8) -> [u32; 4] {
        // SAFETY: the caller vouches for four bytes at `p`.
        unsafe { p.cast::<[u8; 4]>().read_unaligned() }.map(u32::from)
    }

    #[inline(always)]
    unsafe fn store_argmax(p: *mut u8, argmax: [u32; 4]) {
        // SAFETY: the caller vouches for four bytes at `p`.
        unsafe { p.cast::<[u8; 4]>().write_unaligned(argmax.map(|k| k as u8)) }
    }

    #[inline(always)]
    unsafe fn at_place(argmax: [u32; 4], k: u32, v: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if argmax[i] == k { v[i] } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn place_of(best: [f32; 4], v: [f32; 4], k: u32, argmax: [u32; 4]) -> [u32; 4] {
        std::array::from_fn(|i| if v[i] == best[i] { k } else { argmax[i] })
    }

    #[inline(always)]
    unsafe fn larger(best: [f32; 4], argmax: [u32; 4], v: [f32; 4], k: u32) -> ([f32; 4], [u32; 4]) {
        let wins: [bool; 4] = std::array::from_fn(|i| v[i] > best[i]);
        (
            std::array::from_fn(|i| if wins[i] { v[i] } else { best[i] }),
            std::array::from_fn(|i| if wins[i] { k } else { argmax[i] }),
        )
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

        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_sub_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_mul_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_max_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn where_open(by: __m256, v: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(by, _mm256_setzero_ps()), v) }
        }

        #[inline(always)]
        unsafe fn has_nan(v: __m256) -> bool {
            // SAFETY: see above.
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(v, v)) != 0 }
        }

        type I = __m256i;

        #[inline(always)]
        unsafe fn no_places() -> __m256i {
            // SAFETY: see above.
            unsafe { _mm256_setzero_si256() }
        }

        #[inline(always)]
        unsafe fn load_places(p: *const u8) -> __m256i {
            // SAFETY: see above; eight bytes.
            unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast())) }
        }

        #[inline(always)]
        unsafe fn store_argmax(p: *mut u8, argmax: __m256i) {
            // SAFETY: see above; eight bytes.
            unsafe {
                let words =
                    _mm_packus_epi32(_mm256_castsi256_si128(argmax), _mm256_extracti128_si256::<1>(argmax));
                _mm_storel_epi64(p.cast(), _mm_packus_epi16(words, words));
            }
        }

        #[inline(always)]
        unsafe fn place_of(best: __m256, v: __m256, k: u32, argmax: __m256i) -> __m256i {
            // SAFETY: see above.
            unsafe {
                let k = _mm256_castsi256_ps(_mm256_set1_epi32(k as i32));
                let equal = _mm256_cmp_ps::<_CMP_EQ_OQ>(v, best);
                _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(argmax), k, equal))
            }
        }

        #[inline(always)]
        unsafe fn larger(best: __m256, argmax: __m256i, v: __m256, k: u32) -> (__m256, __m256i) {
            // SAFETY: see above.
            unsafe {
                let wins = _mm256_cmp_ps::<_CMP_GT_OQ>(v, best);
                let k = _mm256_castsi256_ps(_mm256_set1_epi32(k as i32));
                let argmax = _mm256_blendv_ps(_mm256_castsi256_ps(argmax), k, wins);
                (_mm256_blendv_ps(best, v, wins), _mm256_castps_si256(argmax))
            }
        }

        #[inline(always)]
        unsafe fn at_place(argmax: __m256i, k: u32, v: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe {
                let equal = _mm256_cmpeq_epi32(argmax, _mm256_set1_epi32(k as i32));
                _mm256_and_ps(_mm256_castsi256_ps(equal), v)
            }
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

        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_sub_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_mul_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_max_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn where_open(by: __m512, v: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(by, _mm512_setzero_ps()), v) }
        }

        #[inline(always)]
        unsafe fn has_nan(v: __m512) -> bool {
            // SAFETY: see above.
            unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v) != 0 }
        }

        type I = __m512i;

        #[inline(always)]
        unsafe fn no_places() -> __m512i {
            // SAFETY: see above.
            unsafe { _mm512_setzero_si512() }
        }

        #[inline(always)]
        unsafe fn load_places(p: *const u8) -> __m512i {
            // SAFETY: see above; sixteen bytes.
            unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast())) }
        }

        #[inline(always)]
        unsafe fn store_argmax(p: *mut u8, argmax: __m512i) {
            // SAFETY: see above; sixteen bytes.
            unsafe { _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(argmax)) }
        }

        #[inline(always)]
        unsafe fn place_of(best: __m512, v: __m512, k: u32, argmax: __m512i) -> __m512i {
            // SAFETY: see above.
            unsafe {
                let equal = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(v, best);
                _mm512_mask_mov_epi32(argmax, equal, _mm512_set1_epi32(k as i32))
            }
        }

        #[inline(always)]
        unsafe fn larger(best: __m512, argmax: __m512i, v: __m512, k: u32) -> (__m512, __m512i) {
            // SAFETY: see above.
            unsafe {
                let wins =
                    _mm512_cmp_ps_mask::<_CMP_GT_OQ>(v, best) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
                (
                    _mm512_mask_mov_ps(best, wins, v),
                    _mm512_mask_mov_epi32(argmax, wins, _mm512_set1_epi32(k as i32)),
                )
            }
        }

        #[inline(always)]
        unsafe fn at_place(argmax: __m512i, k: u32, v: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe {
                let equal = _mm512_cmpeq_epi32_mask(argmax, _mm512_set1_epi32(k as i32));
                _mm512_maskz_mov_ps(equal, v)
            }
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
