//! What a network is: its specification, its parameters, their initial values, and the files that hold them.

mod checkpoint;
mod init;
mod layer;
mod network;
mod spec;
mod zoo;

pub use checkpoint::{Checkpoint, CheckpointError, FORMAT_VERSION};
pub use init::initial;
pub use layer::Layer;
pub use network::{LayerInfo, Network, NetworkError, ParameterInfo, ParameterKind};
pub use spec::{Spec, SpecError};
pub use zoo::{NETWORKS, named_network};

/// The network of the project's first page: 18,946 parameters for 28 x 28 grey images.
pub const SEED_SPEC: &str = "\
norm relu conv(32) maxpool(3, stride=2)
norm relu conv(32) maxpool(3, stride=2)
norm relu conv(32) gap";
