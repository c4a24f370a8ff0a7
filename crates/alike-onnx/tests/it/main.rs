//! ONNX files as encoders, sound and broken.

mod bad;
mod golden;
mod models;
mod scene;
