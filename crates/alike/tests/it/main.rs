//! Everything that needs more than one room of the library.

mod engine;
