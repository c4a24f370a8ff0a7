//! Scaling of pictures by `fast_image_resize`, whose functions are generic: whoever calls them compiles them. They stand here, compiled once, so that neither
//! the library nor its tests compile them. In the library they were a quarter of what LLVM was given, and a ninth once only two kinds of pixels were
//! asked for (`cargo llvm-lines`).

#![forbid(unsafe_code)]

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

/// How pixels are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// By a triangle.
    Bilinear,
    /// By the cubic of Catmull and Rom (1974).
    CatmullRom,
}

/// Pixels of a picture: row-major, channels fastest.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// Height and width.
    pub size: [usize; 2],
    /// 1 or 3.
    pub channels: usize,
    /// `height * width * channels` bytes.
    pub bytes: &'a [u8],
}

/// Scales a part of a picture, `[left, top, width, height]` in pixels, to `size`, height and width: every pixel of `out` is the weighted mean of what it
/// covers.
///
/// # Errors
///
/// A sentence, if the part is not within the picture, or `out` is too short.
pub fn scale(
    picture: Pixels<'_>,
    part: [f64; 4],
    size: [usize; 2],
    kernel: Kernel,
    out: &mut [u8],
) -> Result<(), String> {
    let [x, y, width, height] = part;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(match kernel {
            Kernel::Bilinear => FilterType::Bilinear,
            Kernel::CatmullRom => FilterType::CatmullRom,
        }))
        .use_alpha(false)
        .crop(x, y, width, height);
    match picture.channels {
        3 => scale_as::<U8x3>(picture, size, &options, out),
        _ => scale_as::<U8>(picture, size, &options, out),
    }
}

fn scale_as<P: PixelTrait>(
    picture: Pixels<'_>,
    size: [usize; 2],
    options: &ResizeOptions,
    out: &mut [u8],
) -> Result<(), String> {
    let side = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
    let ([from_h, from_w], [h, w]) = (picture.size, size);
    let from = TypedImageRef::<P>::from_buffer(side(from_w)?, side(from_h)?, picture.bytes);
    let from = from.map_err(|e| e.to_string())?;
    let mut to = TypedImage::<P>::from_buffer(side(w)?, side(h)?, out).map_err(|e| e.to_string())?;
    Resizer::new().resize_typed(&from, &mut to, options).map_err(|e| e.to_string())
}
