//! A matrix whose rows are windows of a buffer.

/// The most floats that memory can hold. Every place inside a buffer is below it, so sums of two such places cannot
/// overflow.
pub(crate) const MOST: usize = isize::MAX as usize / size_of::<f32>();

/// A matrix of `outer * inner` rows, each of which gathers `runs` runs of `run_len` neighbouring floats.
///
/// Row `(i, j)` starts at `offset + i * outer_stride + j * inner_stride`; its run `r` lies `r * run_stride` further.
/// An ordinary matrix has one run a row. A convolution's input has one run a kernel row: windows overlap, and nothing
/// is copied.
///
/// Whoever holds one knows that no row's address overflows: [`Windows::new`] checks that, and all others go through it.
/// What remains for a kernel is to compare [`Windows::end`] with the length of its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    offset: usize,
    outer: usize,
    outer_stride: usize,
    inner: usize,
    inner_stride: usize,
    runs: usize,
    run_len: usize,
    run_stride: usize,
}

impl Windows {
    /// Windows from `offset` on: `counts` blocks, rows a block and runs a row, whose starts are `strides` floats apart, in
    /// runs of `run_len` floats.
    ///
    /// A matrix without rows or columns reaches no float: its offset and strides are 0, whatever is asked for, and a run
    /// of nothing is there once.
    ///
    /// # Panics
    ///
    /// If the numbers of rows, of columns, or of floats up to the last row's end are more than memory can hold.
    pub fn new(offset: usize, counts: [usize; 3], strides: [usize; 3], run_len: usize) -> Windows {
        let [outer, inner, runs] = counts;
        let sizes = || {
            let (rows, columns) = (outer.checked_mul(inner)?, runs.checked_mul(run_len)?);
            if rows == 0 || columns == 0 {
                return Some((rows.max(columns), 0, [0; 3]));
            }
            let mut end = offset.checked_add(run_len)?;
            for (count, stride) in counts.into_iter().zip(strides) {
                end = end.checked_add((count - 1).checked_mul(stride)?)?;
            }
            Some((rows.max(columns).max(end).max(strides.into_iter().max()?), offset, strides))
        };
        let (offset, [outer_stride, inner_stride, run_stride]) = match sizes() {
            Some((most, offset, strides)) if most <= MOST => (offset, strides),
            _ => panic!("windows: larger than memory"),
        };
        let runs = if run_len == 0 { runs.min(1) } else { runs };
        Windows { offset, outer, outer_stride, inner, inner_stride, runs, run_len, run_stride }
    }

    /// An ordinary `rows x columns` matrix whose rows lie `stride` floats apart.
    ///
    /// # Panics
    ///
    /// As [`Windows::new`].
    pub fn matrix(rows: usize, columns: usize, stride: usize) -> Windows {
        Windows::new(0, [1, rows, 1], [0, stride, 0], columns)
    }

    /// The same, `by` floats further into the buffer.
    ///
    /// # Panics
    ///
    /// As [`Windows::new`].
    #[must_use]
    pub fn shifted(self, by: usize) -> Windows {
        self.again(self.offset.saturating_add(by), self.outer, self.inner, self.run_len)
    }

    /// `n` blocks of rows from block `first` on.
    ///
    /// # Panics
    ///
    /// If there are not as many.
    #[must_use]
    pub fn blocks(self, first: usize, n: usize) -> Windows {
        assert!(first.checked_add(n).is_some_and(|end| end <= self.outer), "windows: blocks beyond the last");
        // An empty part may begin behind the last block.
        self.again(self.offset.saturating_add(first * self.outer_stride), n, self.inner, self.run_len)
    }

    /// The first `n` rows of every block.
    ///
    /// # Panics
    ///
    /// If a block has fewer.
    #[must_use]
    pub fn narrowed(self, n: usize) -> Windows {
        assert!(n <= self.inner, "windows: rows beyond a block");
        self.again(self.offset, self.outer, n, self.run_len)
    }

    /// `n` columns from column `first` on, of a matrix whose rows are single runs.
    ///
    /// # Panics
    ///
    /// If rows are of several runs, or there are not as many columns.
    #[must_use]
    pub fn part(self, first: usize, n: usize) -> Windows {
        assert_eq!(self.runs, 1, "windows: a part of single runs");
        let fits = first.checked_add(n).is_some_and(|end| end <= self.run_len);
        assert!(fits, "windows: columns beyond the last");
        self.again(self.offset.saturating_add(first), self.outer, self.inner, n)
    }

    /// With the strides of these.
    fn again(self, offset: usize, outer: usize, inner: usize, run_len: usize) -> Windows {
        let strides = [self.outer_stride, self.inner_stride, self.run_stride];
        Windows::new(offset, [outer, inner, self.runs], strides, run_len)
    }

    /// Where row `(0, 0)` starts.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many blocks of rows.
    #[inline]
    pub fn outer(&self) -> usize {
        self.outer
    }

    /// From one block to the next.
    #[inline]
    pub fn outer_stride(&self) -> usize {
        self.outer_stride
    }

    /// How many rows a block.
    #[inline]
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// From one row of a block to the next.
    #[inline]
    pub fn inner_stride(&self) -> usize {
        self.inner_stride
    }

    /// How many runs a row.
    #[inline]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Floats in a run.
    #[inline]
    pub fn run_len(&self) -> usize {
        self.run_len
    }

    /// From one run of a row to the next.
    #[inline]
    pub fn run_stride(&self) -> usize {
        self.run_stride
    }

    /// Rows in all.
    #[inline]
    pub fn rows(&self) -> usize {
        self.outer * self.inner
    }

    /// Floats in a row.
    #[inline]
    pub fn columns(&self) -> usize {
        self.runs * self.run_len
    }

    /// One past the last float that any row reaches; 0 for an empty matrix.
    #[inline]
    pub fn end(&self) -> usize {
        if self.rows() == 0 || self.columns() == 0 {
            return 0;
        }
        self.start(self.outer - 1, self.inner - 1) + (self.runs - 1) * self.run_stride + self.run_len
    }

    /// Where row `(i, j)` starts.
    #[inline]
    pub(crate) fn start(&self, i: usize, j: usize) -> usize {
        self.offset + i * self.outer_stride + j * self.inner_stride
    }

    /// Whether every row of every block lies in the buffer.
    pub(crate) fn fits(&self, data: &[f32]) -> bool {
        self.end() <= data.len()
    }

    /// Whether rows of single runs follow each other without a float in common, so that each can be written by itself.
    pub(crate) fn is_disjoint(&self) -> bool {
        let block = self.inner.saturating_sub(1) * self.inner_stride + self.run_len;
        (self.inner <= 1 || self.inner_stride >= self.run_len)
            && (self.outer <= 1 || self.outer_stride >= block)
    }

    /// The floats of row `(i, j)`, in order: the plain definition that the kernels are tested against.
    ///
    /// # Panics
    ///
    /// If there is no such row, or it reaches beyond the data.
    pub fn row<'a>(&'a self, data: &'a [f32], i: usize, j: usize) -> impl Iterator<Item = f32> + 'a {
        assert!(i < self.outer && j < self.inner, "windows: no such row");
        let start = self.start(i, j);
        (0..self.runs).flat_map(move |r| data[start + r * self.run_stride..][..self.run_len].iter().copied())
    }
}
