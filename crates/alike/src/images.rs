//! Images as bytes, and vectors as floats: what flows through the rooms.

use std::fmt;
use std::str::FromStr;

/// Height, width and channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels: 1 for grey, 3 for colour.
    pub c: usize,
}

impl Shape {
    /// Bytes of one image.
    pub fn len(self) -> usize {
        self.h * self.w * self.c
    }

    /// Whether an image of this shape has no pixels.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.h, self.w, self.c)
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(s: &str) -> Result<Shape, String> {
        let parts: Option<Vec<usize>> = s.split('x').map(|p| p.trim().parse().ok()).collect();
        match parts.as_deref() {
            Some(&[h, w, c]) if [h, w, c].iter().all(|n| (1..=1 << 14).contains(n)) => Ok(Shape { h, w, c }),
            Some(&[h, w]) if [h, w].iter().all(|n| (1..=1 << 14).contains(n)) => Ok(Shape { h, w, c: 1 }),
            _ => Err(format!("'{s}' is not an image size; write HEIGHTxWIDTHxCHANNELS, as in 28x28x1")),
        }
    }
}

/// `n x h x w x c` bytes, row-major, channels fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    shape: Shape,
    data: Vec<u8>,
}

impl Images {
    /// Images of one shape, back to back.
    ///
    /// # Panics
    ///
    /// If `data` is not a whole number of images.
    pub fn new(shape: Shape, data: Vec<u8>) -> Images {
        assert!(
            !shape.is_empty() && data.len().is_multiple_of(shape.len()),
            "images: {} bytes of {shape}",
            data.len()
        );
        Images { shape, data }
    }

    /// The shape that every image has.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.data.len() / self.shape.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The bytes of image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.data[i * self.shape.len()..][..self.shape.len()]
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The images at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Images {
        let mut data = Vec::with_capacity(indices.len() * self.shape.len());
        for &i in indices {
            data.extend_from_slice(self.image(i));
        }
        Images { shape: self.shape, data }
    }
}

/// `n x d` floats, row-major: embeddings, or any ready-made features.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    d: usize,
    data: Vec<f32>,
}

impl Features {
    /// Vectors of `d` floats, back to back.
    ///
    /// # Panics
    ///
    /// If `data` is not a whole number of vectors.
    pub fn new(d: usize, data: Vec<f32>) -> Features {
        assert!(d > 0 && data.len().is_multiple_of(d), "features: {} floats of {d}", data.len());
        Features { d, data }
    }

    /// Floats of a vector.
    pub fn d(&self) -> usize {
        self.d
    }

    /// How many vectors.
    pub fn len(&self) -> usize {
        self.data.len() / self.d
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Vector `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.d..][..self.d]
    }

    /// All vectors in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.d)
    }

    /// All floats.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The vectors at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Features {
        let mut data = Vec::with_capacity(indices.len() * self.d);
        for &i in indices {
            data.extend_from_slice(self.row(i));
        }
        Features { d: self.d, data }
    }
}

/// Vectors to search among or to project, whatever they are stored as.
#[derive(Clone, Copy, Debug)]
pub enum Vectors<'a> {
    /// Raw pixels, divided by 255 as they are read: image space.
    Pixels(&'a Images),
    /// Embeddings or other features.
    Features(&'a Features),
}

impl Vectors<'_> {
    /// How many vectors.
    pub fn len(&self) -> usize {
        match self {
            Vectors::Pixels(images) => images.len(),
            Vectors::Features(features) => features.len(),
        }
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Floats of a vector.
    pub fn d(&self) -> usize {
        match self {
            Vectors::Pixels(images) => images.shape().len(),
            Vectors::Features(features) => features.d(),
        }
    }

    /// Writes vector `i` to `out`.
    ///
    /// # Panics
    ///
    /// If `out` is not `d` long or `i` is not below `len`.
    pub fn read(&self, i: usize, out: &mut [f32]) {
        match self {
            Vectors::Pixels(images) => {
                for (to, from) in out.iter_mut().zip(images.image(i)) {
                    *to = f32::from(*from) * (1.0 / 255.0);
                }
            }
            Vectors::Features(features) => out.copy_from_slice(features.row(i)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_written_as_it_is_read() {
        assert_eq!("28x20x3".parse::<Shape>().unwrap().to_string(), "28x20x3");
        assert_eq!("28x20".parse::<Shape>().unwrap(), Shape { h: 28, w: 20, c: 1 });
        for bad in ["", "28", "0x3x1", "axb", "1x1x1x1", "99999999x1x1"] {
            assert!(bad.parse::<Shape>().is_err(), "{bad}");
        }
    }
}
