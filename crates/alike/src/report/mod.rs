//! Figures, and the page that shows them: one HTML file that needs no network, light and dark, on a phone or a wall.
//!
//! Figures are drawn here rather than by a plotting library, because most of them are not plots (triplets at their true
//! distances, slabs, strips of pictures) and all of them follow the page's colours and the reader's finger.

mod axes;
mod figure;
mod figures;
mod input;
#[cfg(test)]
mod looks;
mod map;
mod marks;
mod numbers;
mod page;
mod place;
mod tables;
mod text;
mod theme;
mod unlabelled;

pub use figure::{Figure, FigureError};
pub use figures::{
    Explained, PictureRow, Shown, Tone, contact_sheet, explained, mistakes, picture_rows, tuned,
    verification_figure,
};
pub use input::{ReportInput, TrainingInput};
pub use map::MapPoints;
pub use numbers::Numbers;
pub use page::{FIGURES, PageFacts, Report};
pub use unlabelled::UnlabelledInput;
