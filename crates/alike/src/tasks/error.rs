//! What keeps a task from its answer.

use crate::data::{ClassError, DataError, Preparation};
use crate::encoder::EncoderError;
use crate::eval::{AnomalyError, EvalError, NothingToCalibrate};
use crate::files::FileError;
use crate::gallery::GalleryError;
use crate::images::Shape;
use crate::train::{RunError, SettingsError};
use alike_kernels::TierError;
use std::path::PathBuf;

/// A task cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The run cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run's settings make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Pictures cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A class that the run left out of training is not there.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// A gallery cannot be read.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// Images cannot be embedded.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// A space cannot be judged.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A protocol cannot be followed.
    #[error(transparent)]
    Protocol(#[from] crate::eval::ProtocolError),
    /// Normal images cannot be described.
    #[error(transparent)]
    Anomaly(#[from] AnomalyError),
    /// `ALIKE_SIMD` names instructions that this machine does not have.
    #[error(transparent)]
    Tier(#[from] TierError),
    /// A run is a head on an encoder, which is not at hand.
    #[error("{} is a head on the encoder '{}', which has to be given with it", .0.display(), .1)]
    NeedsEncoder(PathBuf, String),
    /// A head was trained on another encoder than the one of that name.
    #[error(
        "{} was trained on the embeddings of another encoder than the one that '{encoder}' names now; put that one back, or train anew",
        run.display()
    )]
    OtherEncoder {
        /// The run.
        run: PathBuf,
        /// What it calls its encoder.
        encoder: String,
    },
    /// A preparation was wished for features.
    #[error("{} was trained on features, which are taken as they are and never prepared", run.display())]
    PreparedFeatures {
        /// The run.
        run: PathBuf,
    },
    /// A preparation was wished that makes images of another shape.
    #[error("the preparation makes images of {got}, but the network takes {takes}")]
    PreparedShape {
        /// What the preparation makes.
        got: Shape,
        /// The network's input.
        takes: Shape,
    },
    /// A run that cannot stand beside the first in an ensemble.
    #[error(
        "{} cannot stand beside the first run: its images are prepared as {its}, not {own}", run.display()
    )]
    OtherPreparation {
        /// The run.
        run: PathBuf,
        /// How the first prepares images.
        own: Box<Preparation>,
        /// How it prepares them.
        its: Box<Preparation>,
    },
    /// Data of another kind or shape than the encoder takes.
    #[error("{data} has {got}, but the run was trained on {takes}")]
    Misfit {
        /// The data set.
        data: String,
        /// What it has: pictures or features, and their shape.
        got: String,
        /// What the encoder takes.
        takes: String,
    },
    /// The encoder is no run, so there are no images that it was trained on.
    #[error("the model was not trained here, so it has no images of its own")]
    NoImages,
    /// What people said of pictures cannot all be true.
    #[error(
        "{} and {} are said to be different, but other pairs say that they show the same; take one back: alike collection say COLLECTION \
         nothing A B",
        .0[0], .0[1]
    )]
    Contradiction([String; 2]),
    /// A gallery of nothing.
    #[error("there is nothing to compare with")]
    NoGallery,
    /// Two pictures that are one.
    #[error("{} and {} are the same file, so there is nothing to compare; give another image", .0[0].display(), .0[1].display())]
    SameFile([PathBuf; 2]),
    /// A folder where a picture was expected.
    #[error("two images are compared, but {} is a folder", .0.display())]
    Folder(PathBuf),
    /// Not two pictures.
    #[error("two images are compared, but {0} were read")]
    NotTwo(usize),
    /// Groups were to be left out, and some images have none.
    #[error(
        "{without} of {images} images of {name} have no group to leave out; name every image's group in a column 'group' of a table{}",
        if *embedded { " and embed it anew" } else { "" }
    )]
    NoGroups {
        /// Images without a group.
        without: usize,
        /// All of them.
        images: usize,
        /// What a user calls them.
        name: String,
        /// Whether they were embedded before, so that their table is the gallery's.
        embedded: bool,
    },
    /// An image that is asked about has no group.
    #[error("{0} has no group to leave out; ask by a table with a column 'group'")]
    NoGroup(String),
    /// Known images that make no pairs to find a threshold by.
    #[error("{0} make no pairs of one class, or none of two; give others")]
    NoPairs(String),
    /// Features have no pixels that a distance could depend on.
    #[error("features have no pixels, so no pixel can explain their distance")]
    NoPixels,
    /// Normal images that cannot be compared with each other.
    #[error(
        "no reference image has another of its class{} to be compared with; give more reference images",
        if *grouped { ", and of another group," } else { "" }
    )]
    NothingNormal {
        /// Whether those of one group or burst were left out.
        grouped: bool,
    },
    /// A picture that is in the gallery already.
    #[error("{image} is in {} already", gallery.display())]
    Twice {
        /// The picture.
        image: String,
        /// The gallery.
        gallery: PathBuf,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Data without classes, whose labels were to be judged.
    #[error("{0} has no classes, so no label can be wrong")]
    NoLabels(String),
    /// Runs that were judged on different images.
    #[error(
        "{first} and {other} were not judged on the same images; compare runs of the same data and split, or on other data"
    )]
    OtherImages {
        /// The first run.
        first: String,
        /// The run that differs from it.
        other: String,
    },
    /// Test images without another of their class.
    #[error("no test image of {0} has a match in the gallery")]
    NoMatches(String),
    /// One image.
    #[error("one image has no neighbours to judge it")]
    OneImage,
    /// A map of nothing.
    #[error("there are no images to place")]
    NothingToPlace,
    /// Nobody said how many clusters.
    #[error("images have no classes to count; say how many clusters")]
    HowMany,
    /// More clusters than images.
    #[error("{clusters} clusters of {images} images are too many")]
    TooManyClusters {
        /// Clusters that were asked for.
        clusters: usize,
        /// Images.
        images: usize,
    },
    /// Clusters by density cannot be found.
    #[error("{0}")]
    Density(String),
    /// Nothing tells known from unknown.
    #[error(transparent)]
    Calibration(#[from] NothingToCalibrate),
    /// Images without classes, where known classes are needed.
    #[error("{0} has no classes; give a folder of class folders, or a table with a column 'class'")]
    NoClasses(String),
}
