//! Encoders: whatever makes a vector of a picture.
//!
//! An encoder is a trained network, an ensemble of several, one that averages over mirror images, a head on top of another, or one whose
//! embeddings are kept. Galleries and tasks know the trait alone.

mod cached;
mod ensemble;
mod headed;
mod mirrored;
mod prepared;
mod trained;

pub use cached::Cached;
pub use ensemble::Ensemble;
pub use headed::{Headed, embedded, embedded_views};
pub use mirrored::Mirrored;
pub use prepared::Prepared;
pub use trained::TrainedNetwork;

use crate::data::Preparation;
use crate::engine::PixelGradients;
use crate::files::FileError;
use crate::images::{Features, Images, Shape};

/// An encoder's input, output and identity.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderFacts {
    /// What is done to a picture before the encoder takes it, and the shape that it then has.
    pub preparation: Preparation,
    /// Numbers of an embedding.
    pub dimension: usize,
    /// Whether every embedding has length 1.
    pub unit_length: bool,
    /// Names all that an embedding depends on: embeddings of two encoders can be compared if these are equal.
    pub fingerprint: String,
}

/// Makes a vector of each picture. It is shared between threads.
///
/// ```
/// use alike::encoder::{Encoder, Ensemble, Mirrored, TrainedNetwork};
/// use alike::images::{Images, Shape};
/// use alike::model::{Checkpoint, Network, initial};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let shape = Shape { h: 12, w: 12, c: 1 };
/// let network = Network::new("conv(8) relu gap".parse()?, shape)?;
/// // What training would have left; a run's is had by `Run::open(folder)?.best()?`.
/// let parameters = initial(&network, 1);
/// let plain = TrainedNetwork::new(Checkpoint::new(network.clone(), parameters.clone()))?;
/// let other = Mirrored::new(TrainedNetwork::new(Checkpoint::new(network, parameters))?);
/// let both = Ensemble::new(vec![Box::new(plain), Box::new(other)])?;
/// let embeddings = both.embed(&Images::new(shape, vec![7; 3 * shape.len()]))?;
/// assert_eq!((embeddings.len(), embeddings.d()), (3, both.facts().dimension));
/// # Ok(())
/// # }
/// ```
pub trait Encoder: Send + Sync {
    /// Its input, its dimension and its fingerprint. They never change.
    fn facts(&self) -> &EncoderFacts;

    /// Embeds prepared pictures: `n x dimension` floats, in the images' order. The same image always has the same embedding.
    ///
    /// # Errors
    ///
    /// If the images are not of the shape that it takes, or one cannot be read.
    fn embed(&self, images: &Images) -> Result<Features, EncoderError>;

    /// The encoder that this one stands on, where it is a head: what it has to be better than.
    fn base(&self) -> Option<&dyn Encoder> {
        None
    }

    /// The gradient of an embedding by the pixels, where there is one: what a judgement is explained by.
    fn pixel_gradients(&self) -> Option<PixelGradients> {
        None
    }
}

/// What points to an encoder is one.
macro_rules! pointers {
    ($($pointer:ty),+) => {$(
        impl<E: Encoder + ?Sized> Encoder for $pointer {
            fn facts(&self) -> &EncoderFacts {
                (**self).facts()
            }

            fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
                (**self).embed(images)
            }

            fn base(&self) -> Option<&dyn Encoder> {
                (**self).base()
            }

            fn pixel_gradients(&self) -> Option<PixelGradients> {
                (**self).pixel_gradients()
            }
        }
    )+};
}
pointers!(&E, Box<E>);

/// Images cannot be embedded, or encoders cannot be combined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// Images of another shape.
    #[error("the encoder takes images of {takes}, not of {got}")]
    Shape {
        /// The encoder's input.
        takes: Shape,
        /// The images' shape.
        got: Shape,
    },
    /// An image could not be read.
    #[error(transparent)]
    Image(#[from] FileError),
    /// The member of an ensemble prepares pictures in another way than the first.
    #[error("member {member} of the ensemble prepares images as {its}, but the first as {first}")]
    Preparation {
        /// Counted from 1.
        member: usize,
        /// The first member's preparation.
        first: Box<Preparation>,
        /// That of the other.
        its: Box<Preparation>,
    },
    /// An encoder of another crate failed.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// An ensemble of nobody.
    #[error("an ensemble needs at least one encoder")]
    Empty,
}

/// Refuses images that an encoder does not take: what every encoder does first.
///
/// # Errors
///
/// If their shape is another than the encoder's input.
pub fn check_shape(facts: &EncoderFacts, images: &Images) -> Result<(), EncoderError> {
    let (takes, got) = (facts.preparation.shape, images.shape());
    if takes == got { Ok(()) } else { Err(EncoderError::Shape { takes, got }) }
}
