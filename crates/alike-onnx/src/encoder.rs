//! An ONNX file as an encoder.

use crate::error::OnnxError;
use crate::file::ModelFile;
use crate::manifest::{Channels, Layout, Manifest};
use crate::network::{Network, OneThread};
use alike::encoder::{Encoder, EncoderError, EncoderFacts, check_shape};
use alike::images::{Features, Images, Shape};
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A network from an ONNX file, with the preparation that its manifest states.
///
/// Images are embedded side by side, each by one thread, so an embedding does not depend on how many threads there are.
pub struct OnnxEncoder {
    facts: EncoderFacts,
    network: Network,
    manifest: Manifest,
    values: Vec<[f32; 256]>,
}

impl fmt::Debug for OnnxEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxEncoder").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl OnnxEncoder {
    /// Reads a model and the manifest beside it. The model is trusted: see the crate's front page.
    ///
    /// # Errors
    ///
    /// If the manifest is missing or describes another file, or the runtime cannot run the model.
    pub fn open(model: &Path) -> Result<OnnxEncoder, OnnxError> {
        OnnxEncoder::with_manifest(model, Manifest::of(model)?)
    }

    /// Reads a model that a manifest describes. The model is trusted: see the crate's front page.
    ///
    /// # Errors
    ///
    /// As [`OnnxEncoder::open`].
    pub fn with_manifest(model: &Path, manifest: Manifest) -> Result<OnnxEncoder, OnnxError> {
        if let Some(why) = manifest.fault() {
            return Err(OnnxError::Manifest { path: Manifest::beside(model), why });
        }
        let network = Network::load(ModelFile::read(model, &manifest)?, &manifest)?;
        let values = manifest.preparation.values();
        let preparation = manifest.preparation.pictures();
        let facts = EncoderFacts {
            preparation,
            dimension: 0,
            unit_length: manifest.normalize,
            fingerprint: manifest.fingerprint(),
        };
        let mut encoder = OnnxEncoder { facts, network, manifest, values };
        // How many numbers come out is known once one image was embedded.
        let grey = vec![128; preparation.shape.len()];
        let thread = OneThread::new();
        let vector = thread.work(|| encoder.vector(&thread, &grey, || "an even grey image".to_owned()))?;
        encoder.facts.dimension = vector.len();
        Ok(encoder)
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The network's own outputs, pooled but not scaled to any length: `n x dimension` floats.
    ///
    /// # Errors
    ///
    /// As [`Encoder::embed`].
    pub fn raw(&self, images: &Images) -> Result<Features, EncoderError> {
        check_shape(&self.facts, images)?;
        let d = self.facts.dimension;
        let mut out = vec![0.0; images.len() * d];
        let rows = Mutex::new(out.chunks_exact_mut(d).enumerate());
        let failed: Mutex<Option<(usize, EncoderError)>> = Mutex::new(None);
        let work = || {
            let thread = OneThread::new();
            thread.work(|| {
                let mut scratch = Vec::new();
                loop {
                    let next = lock(&rows).next();
                    let Some((i, row)) = next.filter(|_| lock(&failed).is_none()) else { return };
                    match self.one(&thread, images, i, &mut scratch) {
                        Ok(vector) => row.copy_from_slice(&vector),
                        Err(e) => {
                            let mut failed = lock(&failed);
                            if failed.as_ref().is_none_or(|(first, _)| i < *first) {
                                *failed = Some((i, e));
                            }
                        }
                    }
                }
            });
        };
        let threads = rayon::current_num_threads().min(images.len());
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, e)) => Err(e),
            None => Ok(Features::new(d, out)),
        }
    }

    fn one(
        &self,
        thread: &OneThread,
        images: &Images,
        i: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Vec<f32>, EncoderError> {
        let pixels = images.image(i, scratch)?;
        let vector = self.vector(thread, pixels, || format!("image {}", i + 1))?;
        let d = self.facts.dimension;
        if vector.len() == d {
            return Ok(vector);
        }
        let why = format!("it gives {} numbers for image {}, and {d} for another", vector.len(), i + 1);
        Err(self.failed(why).into())
    }

    /// An error of running it.
    pub(crate) fn failed(&self, why: String) -> OnnxError {
        self.network.failed(why)
    }

    /// The vector of one prepared image. In a thread of the runtime.
    fn vector(
        &self,
        thread: &OneThread,
        pixels: &[u8],
        picture: impl FnOnce() -> String,
    ) -> Result<Vec<f32>, OnnxError> {
        self.network.run(thread, self.input(pixels), picture)
    }

    /// What the network takes for one image.
    fn input(&self, pixels: &[u8]) -> Vec<f32> {
        let p = &self.manifest.preparation;
        let Shape { h, w, c } = self.facts.preparation.shape;
        // The channel of the picture for each of the network's.
        let from = |k: usize| if p.channels == Channels::Bgr { c - 1 - k } else { k };
        match p.layout {
            Layout::Nchw => (0..c)
                .flat_map(|k| {
                    let values = &self.values[k];
                    pixels.iter().skip(from(k)).step_by(c).map(|v| values[usize::from(*v)])
                })
                .collect(),
            Layout::Nhwc => (0..h * w)
                .flat_map(|at| (0..c).map(move |k| (at * c + from(k), k)))
                .map(|(at, k)| self.values[k][usize::from(pixels[at])])
                .collect(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is kept is whole even if a thread panicked beside it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Encoder for OnnxEncoder {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        let features = self.raw(images)?;
        if !self.manifest.normalize {
            return Ok(features);
        }
        let d = features.d();
        let mut data = features.into_data();
        for row in data.chunks_exact_mut(d) {
            let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
            }
        }
        Ok(Features::new(d, data))
    }
}
