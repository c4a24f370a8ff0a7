//! Where the channels of an image lie in a buffer.

use crate::{LANE_GROUP, Windows, padded};

/// An `h x w x c` image inside a buffer, possibly with a border around it.
///
/// Pixel `(y, x)` starts at `offset + y * pitch + x * stride`. `stride` is `c` for the few channels of a picture and a
/// whole number of lane groups otherwise; channels from `c` to `stride` are zero and stay so. A border belongs to the
/// buffer and not to the image: it holds the zeros that a convolution pads with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Floats from one pixel to the next.
    pub stride: usize,
    /// Floats from one row to the next.
    pub pitch: usize,
    /// Where pixel (0, 0) starts.
    pub offset: usize,
    /// Zero pixels around the image on every side.
    pub border: usize,
}

impl Plane {
    /// A plane at the start of a buffer of its own, with a border of zero pixels around it.
    pub fn new(h: usize, w: usize, c: usize, border: usize) -> Plane {
        let stride = if c <= 4 { c } else { padded(c) };
        let pitch = (w + 2 * border) * stride;
        Plane { h, w, c, stride, pitch, offset: border * (pitch + stride), border }
    }

    /// Floats of a buffer that holds the plane with its border.
    pub fn buffer_len(&self) -> usize {
        (self.h + 2 * self.border) * self.pitch
    }

    /// Whether channels come in whole lane groups.
    pub fn in_lanes(&self) -> bool {
        self.stride.is_multiple_of(LANE_GROUP)
    }

    /// Pixels.
    pub fn pixels(&self) -> usize {
        self.h * self.w
    }

    /// Where pixel `(y, x)` starts.
    pub fn at(&self, y: usize, x: usize) -> usize {
        self.offset + y * self.pitch + x * self.stride
    }

    pub(crate) fn fits(&self, buffer: &[f32]) -> bool {
        self.pixels() == 0 || self.at(self.h - 1, self.w - 1) + self.stride <= buffer.len()
    }

    /// One row a pixel: what a product writes.
    pub fn as_rows(&self) -> Windows {
        Windows {
            offset: self.offset,
            outer: self.h,
            outer_stride: self.pitch,
            inner: self.w,
            inner_stride: self.stride,
            runs: 1,
            run_len: self.stride,
            run_stride: 0,
        }
    }

    /// One row for every position of a window that slides over the image and its border.
    ///
    /// # Panics
    ///
    /// If the border is narrower than the window's pad, or the padded image smaller than the window.
    pub fn windows(&self, s: Sliding) -> Windows {
        assert!(s.pad <= self.border, "windows: a pad of {} needs as wide a border", s.pad);
        let (h, w) = (self.h + 2 * s.pad, self.w + 2 * s.pad);
        assert!(h >= s.h && w >= s.w && s.stride > 0, "windows: smaller than the kernel");
        Windows {
            offset: self.offset - s.pad * (self.pitch + self.stride),
            outer: (h - s.h) / s.stride + 1,
            outer_stride: s.stride * self.pitch,
            inner: (w - s.w) / s.stride + 1,
            inner_stride: s.stride * self.stride,
            runs: s.h,
            run_len: s.w * self.stride,
            run_stride: self.pitch,
        }
    }
}

/// How a window slides over a plane.
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
        self.h * self.w
    }
}
