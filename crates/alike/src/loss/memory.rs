//! Cross-batch memory: embeddings of past batches as references.

/// A ring of embeddings and labels (Wang et al. 2020, <https://arxiv.org/abs/1912.06798>). A batch is put in before its loss
/// is taken, so that it is among its own references.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    d: usize,
    size: usize,
    embeddings: Vec<f32>,
    labels: Vec<u32>,
    next: usize,
}

impl Memory {
    /// Room for `size` embeddings of `d` floats.
    pub fn new(size: usize, d: usize) -> Memory {
        Memory { d, size, embeddings: Vec::new(), labels: Vec::new(), next: 0 }
    }

    /// How many embeddings it can hold.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Puts a batch in, over the oldest; returns the position of its first image.
    ///
    /// # Panics
    ///
    /// If the batch is larger than the memory.
    pub fn put(&mut self, embeddings: &[f32], labels: &[u32]) -> usize {
        assert!(labels.len() <= self.size, "memory: a batch of {} in {}", labels.len(), self.size);
        let first = self.next;
        for (x, label) in embeddings.chunks_exact(self.d).zip(labels) {
            if self.labels.len() < self.size {
                self.embeddings.extend_from_slice(x);
                self.labels.push(*label);
            } else {
                self.embeddings[self.next * self.d..][..self.d].copy_from_slice(x);
                self.labels[self.next] = *label;
            }
            self.next = (self.next + 1) % self.size;
        }
        first
    }

    /// Everything in it: `m x d` embeddings and `m` labels.
    pub fn content(&self) -> (&[f32], &[u32]) {
        (&self.embeddings, &self.labels)
    }

    /// The position of the next image.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Takes over the content of another memory, `m x d` embeddings and `m` labels; `false` if it does not fit this one.
    pub fn restore(&mut self, embeddings: Vec<f32>, labels: Vec<u32>, next: usize) -> bool {
        let fits = labels.len() <= self.size
            && embeddings.len() == labels.len() * self.d
            && next < self.size.max(1)
            && (labels.len() == self.size || next == labels.len());
        if fits {
            (self.embeddings, self.labels, self.next) = (embeddings, labels, next);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let mut memory = Memory::new(3, 1);
        assert_eq!(memory.put(&[1.0, 2.0], &[1, 2]), 0);
        assert_eq!(memory.put(&[3.0, 4.0], &[3, 4]), 2);
        assert_eq!(memory.content(), (&[4.0, 2.0, 3.0][..], &[4, 2, 3][..]));
        let mut other = Memory::new(3, 1);
        assert!(other.restore(vec![4.0, 2.0, 3.0], vec![4, 2, 3], 1));
        assert_eq!(other, memory);
        assert!(!other.restore(vec![4.0], vec![4, 2, 3], 1));
    }
}
