//! One figure a file.

mod accuracy;
mod architecture;
mod concept;
mod confusion;
mod curves;
mod loss;
mod pictures;
mod sheet;
mod spaces;
mod strips;
mod tune;
mod unseen;
mod verification;
mod why;

pub(super) use accuracy::{accuracy, sentence};
pub(super) use architecture::architecture;
pub(super) use concept::concept;
pub(super) use confusion::confusion;
pub(super) use curves::curves;
pub(super) use loss::loss;
pub use pictures::{PictureRow, Shown, Tone, picture_rows};
pub use sheet::contact_sheet;
pub(super) use spaces::{Sample, spaces};
pub(super) use strips::strips;
pub use tune::tuned;
pub(super) use unseen::unseen;
pub use verification::verification_figure;
pub(super) use why::why;
pub use why::{Explained, explained};
