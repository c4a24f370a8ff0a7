//! What keeps an ONNX file from being an encoder.

use crate::contents::Contents;
use crate::draft::Setting;
use alike::encoder::EncoderError;
use alike::files::FileError;
use alike::limits::LimitError;
use alike::suggest::did_you_mean;
use std::path::{Path, PathBuf};

/// An ONNX file cannot be used as an encoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not the beginning of an ONNX file.
    #[error("{} is not an ONNX file; give a model that was exported as .onnx", .0.display())]
    NotOnnx(PathBuf),
    /// The end is missing.
    #[error("{} is cut short: its end is missing; copy or download it again", .0.display())]
    Cut(PathBuf),
    /// It begins as an ONNX file, but does not go on as one.
    #[error("{} is a damaged ONNX file ({why}); copy or download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        why: String,
    },
    /// A model that was trained here cannot be written as ONNX.
    #[error("it cannot be written as an ONNX encoder: {0}")]
    Export(String),
    /// No manifest beside the file.
    #[error("{} has no manifest: {} would say which output is the embedding and how pictures are prepared", model.display(), manifest.display())]
    NoManifest {
        /// The model.
        model: PathBuf,
        /// Where its manifest would be.
        manifest: PathBuf,
    },
    /// A file that does not say all that a manifest states.
    #[error("{} does not say {}", path.display(), listed(settings, outputs))]
    Missing {
        /// The model.
        path: PathBuf,
        /// What it does not say.
        settings: Vec<Setting>,
        /// Its outputs.
        outputs: Vec<String>,
    },
    /// A manifest that makes no sense.
    #[error("{} is not a valid manifest: {why}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A manifest of another file.
    #[error("{} describes another file than {}: its SHA-256 is {expected}, but the file's is {found}; write the manifest anew, or put the right file back", manifest.display(), file.display())]
    OtherFile {
        /// The manifest.
        manifest: PathBuf,
        /// The file.
        file: PathBuf,
        /// The sum that the manifest names.
        expected: String,
        /// The file's.
        found: String,
    },
    /// More or fewer inputs than one.
    #[error("{} has {} inputs ({}), but an image encoder has one; export the image part alone", path.display(), names.len(), names.join(", "))]
    Inputs {
        /// The model.
        path: PathBuf,
        /// The inputs' names.
        names: Vec<String>,
    },
    /// An input that is no batch of images.
    #[error("the input '{input}' of {} is {what}, but images are given as 32-bit floats of four dimensions; export the model with such an input", path.display())]
    Input {
        /// The model.
        path: PathBuf,
        /// Its name.
        input: String,
        /// Its type and shape.
        what: String,
    },
    /// A batch that is fixed, and is not one.
    #[error("{} takes exactly {batch} images at a time; export it with a dynamic batch, or with a batch of 1", path.display())]
    FixedBatch {
        /// The model.
        path: PathBuf,
        /// Images.
        batch: usize,
    },
    /// A size or layout that the input does not take.
    #[error("the input '{input}' of {} takes {takes}, but the preparation makes {makes}", path.display())]
    InputShape {
        /// The model.
        path: PathBuf,
        /// The input's name.
        input: String,
        /// Its shape.
        takes: String,
        /// The shape that the preparation makes.
        makes: String,
    },
    /// No value of that name.
    #[error("{} computes no value called '{output}'{hint} (outputs: {})", path.display(), outputs.join(", "))]
    NoOutput {
        /// The model.
        path: PathBuf,
        /// What was asked for.
        output: String,
        /// A name that is near, as in `; did you mean 'x'?`.
        hint: String,
        /// The outputs' names.
        outputs: Vec<String>,
    },
    /// An output that the pooling does not make a vector of.
    #[error("the output '{output}' of {} has the shape {shape:?}, which pooling '{pooling}' does not make a vector of: {fits}", path.display())]
    OutputRank {
        /// The model.
        path: PathBuf,
        /// The output's name.
        output: String,
        /// Its shape, for one image.
        shape: Vec<usize>,
        /// The pooling.
        pooling: &'static str,
        /// What would fit.
        fits: &'static str,
    },
    /// An output that is not made of 32-bit floats.
    #[error("the output '{output}' of {} is not made of 32-bit floats; name another output", path.display())]
    OutputType {
        /// The model.
        path: PathBuf,
        /// The output's name.
        output: String,
    },
    /// Numbers that are none.
    #[error("the output '{output}' of {} has values that are not finite (NaN or infinite) for {picture}; the model is damaged, or its preparation wrong", path.display())]
    NotFinite {
        /// The model.
        path: PathBuf,
        /// The output's name.
        output: String,
        /// The picture.
        picture: String,
    },
    /// An operator that the runtime does not have.
    #[error("{} needs the operator {operator} (opset {opset}, node '{node}'), which {} does not have{why}; export the model with other operators", path.display(), crate::runtime())]
    Operator {
        /// The model.
        path: PathBuf,
        /// Its type, with its domain where that is not ONNX's own.
        operator: String,
        /// The version of the operator set.
        opset: i64,
        /// The node's name.
        node: String,
        /// More of it, as in `: an attribute`.
        why: String,
    },
    /// Cubic interpolation, which the runtime silently makes linear.
    #[error("{} resizes by cubic interpolation (node '{node}'), which {} would replace by linear interpolation; export the model for one fixed input size, so that the resize of position embeddings is computed at export, or with linear interpolation", path.display(), crate::runtime())]
    CubicResize {
        /// The model.
        path: PathBuf,
        /// The node's name.
        node: String,
    },
    /// A file of weights that is not there.
    #[error("{} keeps weights in {}, which cannot be read: {why}; put it beside the model", path.display(), file.display())]
    ExternalData {
        /// The model.
        path: PathBuf,
        /// The file of weights.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Weights outside the model's folder.
    #[error("{} keeps weights in '{file}', which is not the name of a file in the same folder; export the model with its weights beside it", path.display())]
    ExternalPath {
        /// The model.
        path: PathBuf,
        /// The name in the model.
        file: String,
    },
    /// A library that is no ONNX Runtime of a version that can be used.
    #[error("{} cannot be used as ONNX Runtime ({why}); name a recent libonnxruntime (1.32 is tested), as `pip install onnxruntime` brings it", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The runtime refuses the model.
    #[error("{} cannot be loaded: {why}", path.display())]
    Load {
        /// The model.
        path: PathBuf,
        /// What the runtime said.
        why: String,
    },
    /// The runtime cannot run the model.
    #[error("{} cannot be run: {why}", path.display())]
    Run {
        /// The model.
        path: PathBuf,
        /// What the runtime said.
        why: String,
    },
    /// The runtime panicked.
    #[error("{} makes the runtime fail; the model is damaged, or the runtime has a fault", .0.display())]
    Panicked(PathBuf),
    /// The test run took too long.
    #[error("the test run of {} was stopped after {seconds} s; the model is damaged, or needs more time than that", path.display())]
    TimedOut {
        /// The model.
        path: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// The test run took too much memory.
    #[error("the test run of {} failed: {limit}", path.display())]
    Memory {
        /// The model.
        path: PathBuf,
        /// Which limit.
        limit: LimitError,
    },
    /// The process of the test run ended without an answer.
    #[error("the test run of {} ended without an answer ({how}); the model is damaged, or the runtime has a fault", path.display())]
    Died {
        /// The model.
        path: PathBuf,
        /// How it ended.
        how: String,
    },
    /// What the process of the test run found.
    #[error("{0}")]
    Refused(String),
    /// A process for the test run could not be started.
    #[error("no process could be started for the test run of {}: {why}", path.display())]
    NoProcess {
        /// The model.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// No encoder of that name.
    #[error("there is no encoder called '{name}'{hint}")]
    NoEncoder {
        /// The name.
        name: String,
        /// A name that is near, as in `; did you mean 'x'?`.
        hint: String,
    },
    /// A name that cannot be a folder's.
    #[error(
        "'{0}' is no name for an encoder; use letters, digits, '.', '-' and '_', and begin with a letter or a digit"
    )]
    Name(String),
    /// There is one of that name already.
    #[error("there is an encoder called '{0}' already")]
    Exists(String),
    /// The system names no folder for a user's data.
    #[error("this system names no folder for a user's data; set ALIKE_ENCODERS to a folder for encoders")]
    NoFolder,
    /// Reference outputs that cannot be compared with.
    #[error("{} cannot be compared with: {why}", path.display())]
    Reference {
        /// The file of reference outputs.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Pictures cannot be read.
    #[error(transparent)]
    Data(#[from] alike::data::DataError),
}

impl OnnxError {
    /// No value that a model computes has a name.
    pub(crate) fn no_output(path: &Path, contents: &Contents, output: &str) -> OnnxError {
        OnnxError::NoOutput {
            path: path.to_owned(),
            output: output.to_owned(),
            hint: did_you_mean(output, contents.values.iter().map(|v| v.name.as_str())),
            outputs: contents.outputs.iter().map(|o| o.name.clone()).collect(),
        }
    }
}

impl From<OnnxError> for EncoderError {
    fn from(e: OnnxError) -> EncoderError {
        EncoderError::Other(Box::new(e))
    }
}

/// What is missing, in words.
fn listed(settings: &[Setting], outputs: &[String]) -> String {
    let word = |s: &Setting| match s {
        Setting::Output => format!("{s} (outputs: {})", outputs.join(", ")),
        _ => s.to_string(),
    };
    settings.iter().map(word).collect::<Vec<_>>().join(", ")
}
