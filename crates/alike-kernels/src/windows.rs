//! A matrix whose rows are windows of a buffer.

/// A matrix of `outer * inner` rows, each of which gathers `runs` runs of `run_len` neighbouring floats.
///
/// Row `(i, j)` starts at `offset + i * outer_stride + j * inner_stride`; its run `r` lies `r * run_stride` further.
/// An ordinary matrix has one run a row. A convolution's input has one run a kernel row: windows overlap, and nothing
/// is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Where row `(0, 0)` starts.
    pub offset: usize,
    /// How many blocks of rows.
    pub outer: usize,
    /// From one block to the next.
    pub outer_stride: usize,
    /// How many rows a block.
    pub inner: usize,
    /// From one row of a block to the next.
    pub inner_stride: usize,
    /// How many runs a row.
    pub runs: usize,
    /// Floats in a run.
    pub run_len: usize,
    /// From one run of a row to the next.
    pub run_stride: usize,
}

impl Windows {
    /// An ordinary `rows x columns` matrix whose rows lie `stride` floats apart.
    pub fn matrix(rows: usize, columns: usize, stride: usize) -> Windows {
        Windows {
            offset: 0,
            outer: 1,
            outer_stride: 0,
            inner: rows,
            inner_stride: stride,
            runs: 1,
            run_len: columns,
            run_stride: 0,
        }
    }

    /// Rows in all.
    pub fn rows(&self) -> usize {
        self.outer * self.inner
    }

    /// Floats in a row.
    pub fn columns(&self) -> usize {
        self.runs * self.run_len
    }

    /// Where row `(i, j)` starts.
    pub(crate) fn start(&self, i: usize, j: usize) -> usize {
        self.offset + i * self.outer_stride + j * self.inner_stride
    }

    /// One past the last float that any row reaches; 0 for an empty matrix.
    pub(crate) fn end(&self) -> usize {
        if self.rows() == 0 || self.columns() == 0 {
            return 0;
        }
        self.start(self.outer - 1, self.inner - 1) + (self.runs - 1) * self.run_stride + self.run_len
    }

    /// The floats of row `(i, j)`, in order: the plain definition that the kernels are tested against.
    pub fn row<'a>(&'a self, data: &'a [f32], i: usize, j: usize) -> impl Iterator<Item = f32> + 'a {
        let start = self.start(i, j);
        (0..self.runs).flat_map(move |r| data[start + r * self.run_stride..][..self.run_len].iter().copied())
    }
}
