//! Where the channels of an image lie in a buffer.

use crate::windows::MOST;
use crate::{LANE_GROUP, Windows, padded};

/// An `h x w x c` image inside a buffer, possibly with a border around it.
///
/// Pixel `(y, x)` starts at `offset + y * pitch + x * stride`. `stride` is `c` for the few channels of a picture and a
/// whole number of lane groups otherwise; channels from `c` to `stride` are zero and stay so. A border belongs to the
/// buffer and not to the image: it holds the zeros that a convolution pads with.
///
/// Whoever holds one knows that there is a pixel, that a pixel's channels fit its stride, that pixels have no float in
/// common, and that no pixel's address overflows. What remains for a kernel is to look at the length of its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    h: usize,
    w: usize,
    c: usize,
    stride: usize,
    pitch: usize,
    offset: usize,
    border: usize,
}

impl Plane {
    /// A plane at the start of a buffer of its own, with a border of zero pixels around it.
    ///
    /// # Panics
    ///
    /// If there are no pixels or no channels, or the buffer would be larger than memory.
    pub fn new(h: usize, w: usize, c: usize, border: usize) -> Plane {
        assert!(c <= MOST, "plane: larger than memory");
        Plane::placed(h, w, c, if c <= 4 { c } else { padded(c) }, border)
    }

    /// The same image at the start of a buffer of its own, `stride` floats a pixel.
    ///
    /// # Panics
    ///
    /// If the channels do not fit the stride, or the buffer would be larger than memory.
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Plane {
        Plane::placed(self.h, self.w, self.c, stride, self.border)
    }

    /// The same image at the start of a buffer of its own, with a border of `border` zero pixels.
    ///
    /// # Panics
    ///
    /// If the buffer would be larger than memory.
    #[must_use]
    pub fn with_border(self, border: usize) -> Plane {
        Plane::placed(self.h, self.w, self.c, self.stride, border)
    }

    fn placed(h: usize, w: usize, c: usize, stride: usize, border: usize) -> Plane {
        assert!(h > 0 && w > 0 && c > 0, "plane: no pixels or no channels");
        assert!(c <= stride, "plane: {c} channels do not fit a stride of {stride}");
        let sizes = || {
            let sides = border.checked_mul(2)?;
            let pitch = w.checked_add(sides)?.checked_mul(stride)?;
            Some((pitch, h.checked_add(sides)?.checked_mul(pitch)?))
        };
        match sizes() {
            Some((pitch, len)) if len <= MOST => {
                Plane { h, w, c, stride, pitch, offset: border * (pitch + stride), border }
            }
            _ => panic!("plane: larger than memory"),
        }
    }

    /// Rows `first..first + n`, as a plane in the same buffer.
    ///
    /// # Panics
    ///
    /// If there are not as many rows, or `n` is 0.
    #[must_use]
    pub fn rows(self, first: usize, n: usize) -> Plane {
        let fits = first.checked_add(n).is_some_and(|end| end <= self.h);
        assert!(fits && n > 0, "plane: rows beyond the image");
        Plane { offset: self.at(first, 0), h: n, ..self }
    }

    /// Rows.
    #[inline]
    pub fn h(&self) -> usize {
        self.h
    }

    /// Columns.
    #[inline]
    pub fn w(&self) -> usize {
        self.w
    }

    /// Channels.
    #[inline]
    pub fn c(&self) -> usize {
        self.c
    }

    /// Floats from one pixel to the next.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Floats from one row to the next.
    #[inline]
    pub fn pitch(&self) -> usize {
        self.pitch
    }

    /// Where pixel (0, 0) starts.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Zero pixels around the image on every side.
    #[inline]
    pub fn border(&self) -> usize {
        self.border
    }

    /// Floats of a buffer that holds the plane with its border.
    pub fn buffer_len(&self) -> usize {
        // A part of the rows of a plane begins where they do.
        self.offset - self.border * (self.pitch + self.stride) + (self.h + 2 * self.border) * self.pitch
    }

    /// Whether channels come in whole lane groups.
    #[inline]
    pub fn in_lanes(&self) -> bool {
        self.stride.is_multiple_of(LANE_GROUP)
    }

    /// Pixels.
    #[inline]
    pub fn pixels(&self) -> usize {
        self.h * self.w
    }

    /// Where pixel `(y, x)` starts. Of a pixel outside the image, where it would.
    #[inline]
    pub fn at(&self, y: usize, x: usize) -> usize {
        self.offset + y * self.pitch + x * self.stride
    }

    /// Whether every pixel lies in the buffer, with all floats of its stride.
    pub(crate) fn fits(&self, buffer: &[f32]) -> bool {
        self.at(self.h - 1, self.w - 1) + self.stride <= buffer.len()
    }

    /// Rows, columns, channels and stride: what two planes of one shape have in common.
    pub(crate) fn shape(&self) -> (usize, usize, usize, usize) {
        (self.h, self.w, self.c, self.stride)
    }

    /// One row a pixel: what a product writes.
    pub fn as_rows(&self) -> Windows {
        Windows::new(self.offset, [self.h, self.w, 1], [self.pitch, self.stride, 0], self.stride)
    }

    /// One row for every position of a window that slides over the image and its border.
    ///
    /// # Panics
    ///
    /// If the border is narrower than the window's pad, the window has no pixel or no step, the padded image is smaller
    /// than the window, or steps are larger than memory.
    pub fn windows(&self, s: Sliding) -> Windows {
        assert!(s.pad <= self.border, "windows: a pad of {} needs as wide a border", s.pad);
        let (h, w) = (self.h + 2 * s.pad, self.w + 2 * s.pad);
        assert!(s.h > 0 && s.w > 0 && s.stride > 0, "windows: a kernel and a step of at least one pixel");
        assert!(h >= s.h && w >= s.w, "windows: smaller than the kernel");
        Windows::new(
            self.offset - s.pad * (self.pitch + self.stride),
            [(h - s.h) / s.stride + 1, (w - s.w) / s.stride + 1, s.h],
            [s.stride.saturating_mul(self.pitch), s.stride.saturating_mul(self.stride), self.pitch],
            s.w * self.stride,
        )
    }
}

/// How a window slides over a plane. Any numbers will do until [`Plane::windows`] looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    /// Rows of the window.
    pub h: usize,
    /// Columns of the window.
    pub w: usize,
    /// Zero pixels around the image.
    pub pad: usize,
    /// Pixels from one window to the next, both ways.
    pub stride: usize,
}

impl Sliding {
    /// Pixels of a window.
    pub fn taps(&self) -> usize {
        self.h.saturating_mul(self.w)
    }
}
