//! Images as bytes, and vectors as floats: what flows through the rooms.

use crate::files::{self, FileError};
use rayon::prelude::*;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

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
    /// Bytes of one image; the most that there are, where it would be more.
    pub fn len(self) -> usize {
        self.h.saturating_mul(self.w).saturating_mul(self.c)
    }

    /// Whether this is the shape of features, which are numbers in a row, rather than of pictures.
    pub fn is_features(self) -> bool {
        self.h == 1 && self.w == 1
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

/// `n x h x w x c` values, row-major, channels fastest: bytes in memory, bytes in a file that is read by position, or
/// floats in memory (features that a head is trained on).
///
/// Copies and selections share what they were made from.
#[derive(Clone, Debug)]
pub struct Images {
    shape: Shape,
    store: Store,
    /// Which of the store's images these are; all of them, in order, if nothing.
    rows: Option<Arc<[u32]>>,
    n: usize,
}

#[derive(Clone, Debug)]
enum Store {
    Bytes(Arc<Vec<u8>>),
    /// Little-endian `f32`, four bytes each.
    Floats(Arc<Vec<u8>>),
    File(Arc<Stored>),
}

/// Images in a file.
#[derive(Debug)]
struct Stored {
    file: File,
    path: PathBuf,
    start: u64,
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
        let n = data.len() / shape.len();
        Images { shape, store: Store::Bytes(Arc::new(data)), rows: None, n }
    }

    /// Vectors of `d` floats as images of `1 x 1 x d`, which a network takes as they are.
    ///
    /// # Panics
    ///
    /// If `data` is not a whole number of vectors.
    pub fn from_features(d: usize, data: &[f32]) -> Images {
        assert!(d > 0 && data.len().is_multiple_of(d), "images: {} floats of {d}", data.len());
        let mut bytes = Vec::with_capacity(4 * data.len());
        data.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        let shape = Shape { h: 1, w: 1, c: d };
        Images { shape, store: Store::Floats(Arc::new(bytes)), rows: None, n: data.len() / d }
    }

    /// `n` images of one shape in a file, from byte `start` on. They are read one by one, when they are asked for.
    ///
    /// # Errors
    ///
    /// If the file is shorter than that.
    pub fn in_file(
        shape: Shape,
        n: usize,
        file: File,
        path: &Path,
        start: u64,
    ) -> Result<Images, std::io::Error> {
        let needed = start + (n * shape.len()) as u64;
        if shape.is_empty() || file.metadata()?.len() < needed {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        }
        let stored = Stored { file, path: path.to_owned(), start };
        Ok(Images { shape, store: Store::File(Arc::new(stored)), rows: None, n })
    }

    /// The shape that every image has.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether the values are floats rather than bytes.
    pub fn are_floats(&self) -> bool {
        matches!(self.store, Store::Floats(_))
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The bytes of image `i`, or of its floats; `scratch` is where they are read to if they are in a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read. Reading from memory cannot fail.
    ///
    /// # Panics
    ///
    /// If `i` is not below [`Images::len`].
    pub fn image<'a>(&'a self, i: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], FileError> {
        assert!(i < self.n, "images: {i} of {}", self.n);
        let i = self.rows.as_ref().map_or(i, |rows| rows[i] as usize);
        let len = self.shape.len();
        match &self.store {
            Store::Bytes(data) => Ok(&data[i * len..][..len]),
            Store::Floats(data) => Ok(&data[i * 4 * len..][..4 * len]),
            Store::File(stored) => {
                scratch.resize(len, 0);
                let at = stored.start + (i * len) as u64;
                match files::read_at(&stored.file, scratch, at) {
                    Ok(()) => Ok(scratch),
                    Err(e) => Err(FileError::reading(&stored.path)(e)),
                }
            }
        }
    }

    /// Every image with left and right exchanged, in memory; features as they are.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn mirrored(&self) -> Result<Images, FileError> {
        if self.are_floats() {
            return Ok(self.clone());
        }
        let Shape { h, w, c } = self.shape;
        let mut data = Vec::with_capacity(self.n * self.shape.len());
        let mut scratch = Vec::new();
        for i in 0..self.n {
            let image = self.image(i, &mut scratch)?;
            (0..h).for_each(|y| {
                image[y * w * c..][..w * c].rchunks_exact(c).for_each(|pixel| data.extend_from_slice(pixel));
            });
        }
        Ok(Images::new(self.shape, data))
    }

    /// The images at `indices`, in that order.
    ///
    /// # Panics
    ///
    /// If an index is not below [`Images::len`].
    pub fn select(&self, indices: &[usize]) -> Images {
        let row = |&i: &usize| {
            assert!(i < self.n, "images: {i} of {}", self.n);
            self.rows.as_ref().map_or(i as u32, |rows| rows[i])
        };
        let rows = indices.iter().map(row).collect();
        Images { shape: self.shape, store: self.store.clone(), rows: Some(rows), n: indices.len() }
    }
}

/// Two sets are equal if their images are, wherever they lie. What cannot be read equals nothing.
impl PartialEq for Images {
    fn eq(&self, other: &Images) -> bool {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        self.shape == other.shape
            && self.n == other.n
            && self.are_floats() == other.are_floats()
            && (0..self.n)
                .all(|i| matches!((self.image(i, &mut a), other.image(i, &mut b)), (Ok(a), Ok(b)) if a == b))
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

    /// All floats, given away.
    pub fn into_data(self) -> Vec<f32> {
        self.data
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
    /// Raw pixels, divided by 255 as they are read: image space. See [`with_pixels`].
    Pixels(Pixels<'a>),
    /// Embeddings or other features.
    Features(&'a Features),
}

/// Images that are compared by their pixels, which are read as they are needed.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    images: &'a Images,
    /// Why a read failed, the first that did.
    failed: &'a OnceLock<FileError>,
}

/// Measures images by their pixels.
///
/// Pictures with a side of more than 96 pixels, as encoders that others trained take them, are averaged down to 32 a side at most. Of 224 x 224 pixels that
/// leaves a forty-ninth of the numbers; on photos of clothing, 1-NN by them was right for 29.7 % rather than 27.3 %.
///
/// Searches and measures cannot fail with embeddings, so they do not say so for pixels: what cannot be read counts as zeros there until
/// the measurement ends, and nothing but the error comes out of it.
///
/// # Errors
///
/// If an image could not be read.
pub fn with_pixels<R, const N: usize>(
    images: [&Images; N],
    measure: impl FnOnce([Vectors<'_>; N]) -> R,
) -> Result<R, FileError> {
    let failed = OnceLock::new();
    let small: Vec<Option<Images>> = images.iter().map(|i| averaged(i)).collect::<Result<_, _>>()?;
    let images = std::array::from_fn::<&Images, N, _>(|n| small[n].as_ref().unwrap_or(images[n]));
    let measured = measure(images.map(|images| Vectors::Pixels(Pixels { images, failed: &failed })));
    match failed.into_inner() {
        None => Ok(measured),
        Some(e) => Err(e),
    }
}

/// Images with more pixels a side are averaged before they are compared by pixels.
const LARGE_SIDE: usize = 96;
/// Pixels a side that they have then, at most.
const AVERAGED_SIDE: usize = 32;

/// Each block of pixels as its mean, where images are large; nothing where they are not.
fn averaged(images: &Images) -> Result<Option<Images>, FileError> {
    let Shape { h, w, c } = images.shape();
    let most = h.max(w);
    if images.are_floats() || most <= LARGE_SIDE {
        return Ok(None);
    }
    let side = most.div_ceil(AVERAGED_SIDE);
    let to = Shape { h: h.div_ceil(side), w: w.div_ceil(side), c };
    let mut data = vec![0u8; images.len() * to.len()];
    data.par_chunks_mut(to.len()).enumerate().try_for_each_init(Vec::new, |scratch, (i, out)| {
        let image = images.image(i, scratch)?;
        for (at, mean) in out.iter_mut().enumerate() {
            let (y, x, channel) = (at / (to.w * c), at / c % to.w, at % c);
            let (rows, columns) = (y * side..((y + 1) * side).min(h), x * side..((x + 1) * side).min(w));
            let n = (rows.len() * columns.len()) as u32;
            let row = |y: usize| columns.clone().map(move |x| u32::from(image[(y * w + x) * c + channel]));
            *mean = ((rows.flat_map(row).sum::<u32>() + n / 2) / n) as u8;
        }
        Ok::<(), FileError>(())
    })?;
    Ok(Some(Images::new(to, data)))
}

impl Pixels<'_> {
    /// Whether the values are floats rather than bytes.
    pub(crate) fn are_floats(&self) -> bool {
        self.images.are_floats()
    }

    /// Hands the bytes of image `i`, or of its floats, to `take`.
    pub(crate) fn read<R>(&self, i: usize, take: impl FnOnce(&[u8]) -> R) -> R {
        let mut scratch = Vec::new();
        match self.images.image(i, &mut scratch) {
            Ok(image) => take(image),
            Err(e) => {
                // Of several, any will do.
                let _ = self.failed.set(e);
                take(&vec![0; self.images.shape().len()])
            }
        }
    }
}

impl Vectors<'_> {
    /// How many vectors.
    pub fn len(&self) -> usize {
        match self {
            Vectors::Pixels(pixels) => pixels.images.len(),
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
            Vectors::Pixels(pixels) => pixels.images.shape().len(),
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
            Vectors::Pixels(pixels) => pixels.read(i, |image| to_floats(image, out)),
            Vectors::Features(features) => out.copy_from_slice(features.row(i)),
        }
    }

    /// The vectors at `indices`, in that order.
    ///
    /// # Panics
    ///
    /// If one is not below `len`.
    pub fn select(&self, indices: &[usize]) -> Features {
        let d = self.d();
        let mut data = vec![0.0; indices.len() * d];
        data.par_chunks_mut(d).zip(indices).for_each(|(row, i)| self.read(*i, row));
        Features::new(d, data)
    }

    /// Vector `i`.
    ///
    /// # Panics
    ///
    /// If `i` is not below `len`.
    pub fn row(&self, i: usize) -> Vec<f32> {
        let mut row = vec![0.0; self.d()];
        self.read(i, &mut row);
        row
    }
}

/// The pixels of an image rotated counter-clockwise by so many quarters, and their shape.
pub(crate) fn turned(pixels: &[u8], shape: Shape, quarters: u8) -> (Shape, Vec<u8>) {
    (0..quarters % 4).fold((shape, pixels.to_vec()), |(Shape { h, w, c }, pixels), _| {
        let mut turned = Vec::with_capacity(pixels.len());
        for x in (0..w).rev() {
            for y in 0..h {
                turned.extend_from_slice(&pixels[(y * w + x) * c..][..c]);
            }
        }
        (Shape { h: w, w: h, c }, turned)
    })
}

/// Writes an image as the numbers that it stands for: bytes divided by 255, or floats as they are.
///
/// # Panics
///
/// If `image` is neither a byte nor four for each of `out`.
pub fn to_floats(image: &[u8], out: &mut [f32]) {
    if image.len() == out.len() {
        out.iter_mut().zip(image).for_each(|(to, from)| *to = f32::from(*from) * (1.0 / 255.0));
    } else {
        assert_eq!(image.len(), 4 * out.len(), "images: a byte or four for each number");
        let floats = image.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        out.iter_mut().zip(floats).for_each(|(to, from)| *to = from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_are_compared_by_the_means_of_their_blocks() {
        // Blocks of 4 x 4; the last column of blocks is two pixels wide.
        let shape = Shape { h: 128, w: 98, c: 3 };
        let bytes: Vec<u8> = (0..2 * shape.len()).map(|at| (at / 3 % 98) as u8 + (at % 3) as u8).collect();
        let images = Images::new(shape, bytes);
        let mut row = vec![0.0; 32 * 25 * 3];
        let d = with_pixels([&images], |[pixels]| {
            pixels.read(1, &mut row);
            (pixels.len(), pixels.d())
        });
        assert_eq!(d.unwrap(), (2, 32 * 25 * 3));
        // Columns 0 to 3 have the mean 1.5, which is rounded up, and columns 96 and 97 have 96.5.
        let scale = row[0] / 2.0;
        let first: Vec<f32> = row[..3].iter().map(|v| v / scale).collect();
        let last: Vec<f32> = row[24 * 3..25 * 3].iter().map(|v| v / scale).collect();
        assert_eq!((first, last), (vec![2.0, 3.0, 4.0], vec![97.0, 98.0, 99.0]));
    }

    #[test]
    fn images_are_the_same_wherever_they_lie() {
        let shape = Shape { h: 1, w: 2, c: 1 };
        let memory = Images::new(shape, vec![1, 2, 3, 4, 5, 6]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        std::fs::write(&path, [9, 1, 2, 3, 4, 5, 6]).unwrap();
        let open = |n| Images::in_file(shape, n, File::open(&path).unwrap(), &path, 1);
        let file = open(3).unwrap();
        assert_eq!(memory, file);
        assert_eq!(memory.select(&[2, 0]).select(&[1]), file.select(&[0]));
        assert!(open(4).is_err(), "the file holds three");
    }

    #[test]
    fn what_is_cut_off_later_is_an_error_of_what_reads_it_and_of_nothing_else() {
        let shape = Shape { h: 1, w: 2, c: 1 };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        std::fs::write(&path, [1, 2, 3, 4, 5, 6]).unwrap();
        let images = Images::in_file(shape, 3, File::open(&path).unwrap(), &path, 0).unwrap();
        std::fs::write(&path, [1, 2, 3]).unwrap();
        let row = |i| with_pixels([&images], |[v]| v.row(i));
        for e in [
            images.image(1, &mut Vec::new()).unwrap_err(),
            images.mirrored().unwrap_err(),
            row(2).unwrap_err(),
        ] {
            assert!(e.to_string().contains(&path.display().to_string()), "{e}");
        }
        assert_eq!(images.image(0, &mut Vec::new()).unwrap(), [1, 2]);
        assert_eq!(row(0).unwrap().len(), 2);
        assert!(images != images.clone(), "what cannot be read equals nothing");
    }

    #[test]
    fn a_mirror_exchanges_left_and_right_and_keeps_channels() {
        let images = Images::new(Shape { h: 2, w: 2, c: 2 }, (1..=8).collect());
        let mirrored = images.mirrored().unwrap();
        assert_eq!(mirrored.image(0, &mut Vec::new()).unwrap(), [3, 4, 1, 2, 7, 8, 5, 6]);
        assert_eq!(mirrored.mirrored().unwrap(), images);
    }

    #[test]
    fn a_shape_is_written_as_it_is_read() {
        assert_eq!("28x20x3".parse::<Shape>().unwrap().to_string(), "28x20x3");
        assert_eq!("28x20".parse::<Shape>().unwrap(), Shape { h: 28, w: 20, c: 1 });
        for bad in ["", "28", "0x3x1", "axb", "1x1x1x1", "99999999x1x1"] {
            assert!(bad.parse::<Shape>().is_err(), "{bad}");
        }
    }
}
