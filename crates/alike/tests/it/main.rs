//! Everything that needs more than one room of the library.

mod engine;
mod mnist;
mod report;
mod rooms;
mod training;
