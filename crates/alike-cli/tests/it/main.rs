//! The binary, as a user types it.

mod bad_input;
mod cleaning;
mod collections;
mod command;
mod demo;
mod download;
mod duplicates;
mod encoders;
mod galleries;
mod groups;
#[cfg(feature = "onnx")]
mod heads;
mod hostile;
#[cfg(feature = "onnx")]
mod hub;
mod layouts;
mod licences;
mod order;
mod pages;
mod photos;
mod protocols;
mod schemas;
mod sources;
mod tables;
mod trust;
mod unread;
mod using;
mod verbs;
mod version_0_1;
