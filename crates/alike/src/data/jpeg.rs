//! JPEG: what a file's segments say before anything is decoded, and decoding at a reduced scale.

use super::decode::{Decoding, PictureError};
use super::picture::fitted;
use crate::limits;
use image::DynamicImage;

/// Where the segments of a JPEG begin, up to the data of its first scan: a kind, and where what it says begins.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, usize)> + '_ {
    let mut at = if bytes.starts_with(&[0xff, 0xd8]) { 2 } else { bytes.len() };
    std::iter::from_fn(move || {
        while bytes.get(at..at + 2) == Some(&[0xff, 0xff]) {
            at += 1;
        }
        let &[0xff, kind, high, low] = bytes.get(at..at + 4)? else { return None };
        let begins = at + 4;
        at = if kind == 0xda { bytes.len() } else { at + 2 + usize::from(u16::from_be_bytes([high, low])) };
        Some((kind, begins))
    })
}

/// JPEG has kinds that few programs read; their files are not damaged.
pub(super) fn refuse_other_kinds(bytes: &[u8]) -> Result<(), PictureError> {
    // A frame's kind, and the bits of its samples.
    let frame =
        segments(bytes).find(|(kind, _)| matches!(kind, 0xc0..=0xcf) && ![0xc4, 0xc8, 0xcc].contains(kind));
    let said = match frame.map(|(kind, at)| (kind, bytes.get(at).copied().unwrap_or(8))) {
        Some((0xc0..=0xc2, 8)) | None => return Ok(()),
        Some((0xc0..=0xc2, bits)) => format!("a JPEG of {bits} bits"),
        Some((0xc3, _)) => "a lossless JPEG".to_owned(),
        Some((0xc9..=0xcb, _)) => "a JPEG with arithmetic coding".to_owned(),
        Some(_) => "a JPEG in differential frames".to_owned(),
    };
    Err(PictureError::NotSupported(said))
}

/// Decoders fill what is missing of a JPEG with grey; whether anything is missing shows by its end marker alone.
pub(super) fn refuse_cut(bytes: &[u8]) -> Result<(), PictureError> {
    // After the segments before the first scan: a thumbnail inside one has an end marker of its own.
    let data = scans(bytes);
    let ends = data.windows(2).rev().any(|w| w == [0xff, 0xd9]);
    if ends { Ok(()) } else { Err(PictureError::Truncated) }
}

/// From what the first scan says on.
fn scans(bytes: &[u8]) -> &[u8] {
    let scan = segments(bytes).find(|(kind, _)| *kind == 0xda);
    scan.and_then(|(_, at)| bytes.get(at..)).unwrap_or_default()
}

/// A scan may be a few bytes that change nothing, and each goes over all of the picture.
const MOST_SCANS: usize = 100;

/// Refuses a file that would take hours, whatever its size.
pub(super) fn refuse_many_scans(bytes: &[u8]) -> Result<(), PictureError> {
    let scans = 1 + scans(bytes).windows(2).filter(|w| *w == [0xff, 0xda]).count();
    if scans <= MOST_SCANS {
        return Ok(());
    }
    Err(PictureError::NotSupported(format!("a JPEG of {scans} scans; {MOST_SCANS} are the most")))
}

/// What a frame says of a plane: how many samples it has where another has one, across and down.
struct Frame<'a> {
    h: u64,
    w: u64,
    progressive: bool,
    planes: &'a [u8],
}

fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (kind, at) = segments(bytes).find(|(kind, _)| matches!(kind, 0xc0..=0xc2))?;
    let &[_, h1, h2, w1, w2, planes] = bytes.get(at..at + 6)? else { return None };
    let word = |high, low| u64::from(u16::from_be_bytes([high, low]));
    Some(Frame {
        h: word(h1, h2),
        w: word(w1, w2),
        progressive: kind == 0xc2,
        planes: bytes.get(at + 6..at + 6 + 3 * usize::from(planes))?,
    })
}

impl Frame<'_> {
    /// The factors of each plane, across and down.
    fn factors(&self) -> impl Iterator<Item = [u64; 2]> + Clone + '_ {
        self.planes.chunks_exact(3).map(|p| [u64::from(p[1] >> 4), u64::from(p[1] & 15)])
    }

    /// How many pixels share one sample of the plane with the fewest, down and across: two, mostly, of colours.
    fn sampling(&self) -> Option<[usize; 2]> {
        let coarsest = |axis: usize| {
            let of = self.factors().map(|f| f[axis]);
            let (least, most) = (of.clone().min()?, of.max()?);
            (least > 0).then(|| most.div_ceil(least) as usize)
        };
        Some([coarsest(1)?, coarsest(0)?])
    }
}

/// Bytes of all coefficients, two each.
fn coefficients(frame: &Frame<'_>) -> u64 {
    let most = |axis: usize| frame.factors().map(|f| f[axis]).max().unwrap_or(1).max(1);
    let [across, down] = [frame.w.div_ceil(8 * most(0)), frame.h.div_ceil(8 * most(1))];
    frame.factors().map(|[x, y]| across * x * down * y * 64 * 2).sum()
}

/// Bytes that decoding at a reduced scale takes beside the pixels: what [`kept`] says, and all coefficients on their way to the thread
/// that makes pixels of them, which may come to wait.
pub(super) fn kept_reduced(bytes: &[u8]) -> u64 {
    kept(bytes) + frame(bytes).map_or(0, |frame| coefficients(&frame))
}

/// Bytes that a decoder keeps beside the pixels: all coefficients, where a picture comes in several passes.
pub(super) fn kept(bytes: &[u8]) -> u64 {
    let Some(frame) = frame(bytes) else { return 0 };
    // The planes of the first scan; where these are not all, every plane comes in a scan of its own.
    let in_scan = scans(bytes).first().copied().unwrap_or_default();
    if !frame.progressive && usize::from(in_scan) >= frame.planes.len() / 3 {
        return 0;
    }
    coefficients(&frame)
}

/// How many pixels of a picture that was decoded at a reduced scale there are, at least, for one to which it is scaled, in
/// brightness and in colours: then the result is that of decoding it whole, to a few grey levels.
const GAP: usize = 3;

/// A scale that is enough: the picture's height and width are divided by it.
pub(super) fn reduction(bytes: &[u8], [h, w]: [usize; 2], how: Decoding, turned: bool) -> Option<usize> {
    let [need_h, need_w] = how.at_least.map(|[h, w]| if turned { [w, h] } else { [h, w] })?;
    // The darkest and the brightest pixel, and those at the edge, are found among all alone.
    if how.stretch || how.fit && fitted([h, w], [need_h, need_w]) != [need_h, need_w] {
        return None;
    }
    // A last column of which a part alone is the picture's would shift it.
    let [coarse_h, coarse_w] = frame(bytes)?.sampling()?;
    let enough = |by: &usize| {
        h.is_multiple_of(*by)
            && w.is_multiple_of(*by)
            && h / by >= GAP * need_h * coarse_h
            && w / by >= GAP * need_w * coarse_w
    };
    [8, 4, 2].into_iter().find(enough)
}

/// A JPEG at an eighth, a quarter or half of its size. Nothing if it cannot be done.
pub(super) fn reduced(bytes: &[u8], [h, w]: [usize; 2], by: usize) -> Option<DynamicImage> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(usize::try_from(limits::alone()).ok()?);
    decoder.read_info().ok()?;
    let wanted = (u16::try_from(w / by).ok()?, u16::try_from(h / by).ok()?);
    // The decoder is content with one side that is long enough; these are the sides that it has at the right scale.
    if decoder.scale(wanted.0, wanted.1).ok()? != wanted {
        return None;
    }
    let (w, h) = (u32::from(wanted.0), u32::from(wanted.1));
    match decoder.info()?.pixel_format {
        jpeg_decoder::PixelFormat::L8 => {
            image::GrayImage::from_raw(w, h, decoder.decode().ok()?).map(DynamicImage::ImageLuma8)
        }
        jpeg_decoder::PixelFormat::RGB24 => {
            image::RgbImage::from_raw(w, h, decoder.decode().ok()?).map(DynamicImage::ImageRgb8)
        }
        _ => None,
    }
}
