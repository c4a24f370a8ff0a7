//! Everything that needs more than one room of the library.

mod golden;

mod encoder;
mod engine;
mod judging;
mod losses;
mod maps;
mod mnist;
mod outside;
mod report;
mod retrieval;
mod rooms;
mod training;
