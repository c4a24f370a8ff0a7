//! Being told how long work goes.

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a download.
    Bytes,
    /// Images.
    Images,
    /// Trainings that are tried.
    Trials,
    /// Figures of a page.
    Figures,
}

/// Told how work goes.
pub trait Progress {
    /// Work begins, of so many units if that is known.
    fn begin(&mut self, what: &str, total: Option<u64>, unit: Unit);
    /// So many more units are done.
    fn advance(&mut self, by: u64);
    /// The work is done, or has failed.
    fn end(&mut self);
}

/// Tells nobody.
#[derive(Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&mut self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
}
