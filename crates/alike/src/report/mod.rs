//! Figures, and the page that shows them: one HTML file that needs no network, light and dark, on a phone or a wall.
//!
//! Figures are drawn here rather than by a plotting library, because most of them are not plots (triplets at their true
//! distances, slabs, strips of pictures) and all of them follow the page's colours and the reader's finger.

mod axes;
mod figure;
mod figures;
mod input;
mod map;
mod page;
mod theme;

pub use figure::{Figure, FigureError};
pub use figures::{
    Explained, PictureRow, Shown, Tone, contact_sheet, explained, mistakes, picture_rows, tuned,
    verification_figure,
};
pub use input::{ReportInput, TrainingInput};
pub use map::MapPoints;
pub use page::Report;
