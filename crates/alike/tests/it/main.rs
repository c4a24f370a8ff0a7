//! Everything that needs more than one room of the library.

mod golden;

mod api;
mod encoder;
mod engine;
mod judging;
mod losses;
#[cfg(feature = "projection")]
mod maps;
mod mnist;
mod outside;
#[cfg(feature = "report")]
mod report;
mod retrieval;
mod rooms;
mod training;
