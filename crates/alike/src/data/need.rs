//! How much memory a picture needs, from what its header says, before any decoder takes it.

use super::decode::PictureError;
use crate::limits::{self, DECODING, Held, Limit, LimitError};
use image::{ColorType, ImageFormat};

/// What is not worth counting: tables of a decoder, a profile of colours.
pub(super) const LEAST: u64 = 16 << 20;

/// Refuses a picture of no pixels or of too many.
pub(super) fn check_size(w: u32, h: u32) -> Result<(), PictureError> {
    if w == 0 || h == 0 {
        return Err(PictureError::Damaged("it has no pixels".into()));
    }
    Ok(Limit::Pixels.check(u64::from(w) * u64::from(h), || format!("it claims {w} x {h} pixels"))?)
}

/// What is done with a decoded picture: whether it is turned, and whether its brightness is spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct After {
    pub(super) turned: bool,
    pub(super) stretch: bool,
}

/// Waits for the memory that a picture needs: `beside` its `all` pixels of a colour while these are decoded; then that of every
/// step, each of which makes a new picture of the last.
pub(super) fn take(
    file: &[u8],
    beside: u64,
    (all, colour): (u64, ColorType),
    after: After,
) -> Result<Held<'static>, LimitError> {
    let stored = u64::from(colour.bytes_per_pixel());
    let wide = u64::from(colour.bits_per_pixel() / 8 / u16::from(colour.channel_count()).max(1)).max(1);
    let c = if colour.has_color() { 3 } else { 1 };
    let turning = if after.turned { 2 * stored } else { 0 };
    // Shades with transparency go by way of colours.
    let flat = match (colour.has_alpha(), wide, c) {
        (false, ..) => 0,
        (true, 1, 1) => stored + 4 + 1,
        (true, wide, c) => stored + wide * c,
    };
    let spreading = match (wide, after.stretch) {
        (1, true) => 3 * c,
        (1, false) => c,
        (wide, _) => wide * c + c,
    };
    // A part of it, or the same in other colours.
    let later = c + 3;
    let each = [turning, flat, spreading, later].into_iter().fold(0, u64::max);
    let need = stored.saturating_mul(all).saturating_add(beside).max(each.saturating_mul(all));
    let need = need.saturating_add(file.len() as u64);
    let most = limits::alone();
    if need > most {
        Limit::Memory.check(need, || "decoding it takes more memory than it may".into())?;
    }
    Ok(DECODING.take(need, Limit::Memory.most()))
}

/// Bytes a pixel that a decoder takes beside the pixels.
pub(super) fn beside(format: ImageFormat, bytes: &[u8]) -> u64 {
    match format {
        // Of a film: the canvas, and the first of its pictures twice.
        ImageFormat::WebP
            if bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|f| f & 2 != 0) =>
        {
            11
        }
        ImageFormat::WebP => 6,
        ImageFormat::Gif => 5,
        ImageFormat::Pnm => 3,
        _ => 0,
    }
}
