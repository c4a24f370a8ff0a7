//! The flag that helps against an error: tasks know nothing of flags.

use alike::eval::{EvalError, ProtocolError};
use alike::tasks::TaskError;
use alike::train::RunError;

/// The flag that helps, if there is one.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let of_task = cause.downcast_ref::<TaskError>().and_then(of_task);
        let of_run = || cause.downcast_ref::<RunError>().and_then(of_run);
        let of_eval = || cause.downcast_ref::<EvalError>().and_then(of_eval);
        #[cfg(feature = "onnx")]
        let of_onnx = || cause.downcast_ref::<alike_onnx::OnnxError>().and_then(of_onnx);
        #[cfg(not(feature = "onnx"))]
        let of_onnx = || None;
        let of_protocol = || cause.downcast_ref::<ProtocolError>().and_then(of_protocol);
        of_task.or_else(of_run).or_else(of_eval).or_else(of_protocol).or_else(of_onnx)
    })
}

fn of_task(error: &TaskError) -> Option<&'static str> {
    match error {
        TaskError::Run(error) => of_run(error),
        TaskError::PreparedFeatures { .. } => Some("leave --prepare out"),
        TaskError::PreparedShape { .. } => Some("leave size and channels out of --prepare"),
        TaskError::Misfit { .. } => Some("or name other data with --data, where the verb has it"),
        TaskError::NoGallery => Some("name it with --gallery"),
        TaskError::NoGroups { .. } | TaskError::NoGroup(_) => Some("or leave --leave-group out"),
        TaskError::NoClasses(_) => Some("name another with --gallery"),
        TaskError::NoPairs(_) => Some("with --gallery, or give a --threshold"),
        TaskError::NothingNormal { .. } => Some("name them with --gallery"),
        TaskError::HowMany => Some("with -k"),
        TaskError::TooManyClusters { .. } => Some("lower -k"),
        TaskError::OtherPreparation { .. } => Some("leave this run out of --with"),
        TaskError::OtherImages { .. } => Some("name them with --data"),
        TaskError::NoLabels(_) => Some("alike data stats tells of duplicates without them"),
        TaskError::Eval(error) => of_eval(error),
        _ => None,
    }
}

fn of_eval(error: &EvalError) -> Option<&'static str> {
    match error {
        EvalError::NoGroups(_) => Some("or leave --leave-group out"),
        EvalError::KTooLarge { .. } => Some("lower --k"),
        EvalError::KZero => Some("give --k 1 or more"),
        _ => None,
    }
}

fn of_protocol(error: &ProtocolError) -> Option<&'static str> {
    match error {
        ProtocolError::Eval(error) => of_eval(error),
        ProtocolError::NoClasses(_) => {
            Some("verification takes pairs instead, by --pairs, and anomaly another data set, by --against")
        }
        ProtocolError::SmallClasses { .. } => Some("name other methods with --method"),
        _ => None,
    }
}

fn of_run(error: &RunError) -> Option<&'static str> {
    match error {
        RunError::Moved { .. } => Some("or name other data with --data, where the verb has it"),
        _ => None,
    }
}

#[cfg(feature = "onnx")]
fn of_onnx(error: &alike_onnx::OnnxError) -> Option<&'static str> {
    use alike_onnx::OnnxError;
    match error {
        OnnxError::NoManifest { .. } => Some("alike encoders add writes it"),
        OnnxError::OtherFile { .. } => Some("alike encoders add --force writes the manifest anew"),
        OnnxError::NoOutput { .. } => {
            Some("alike encoders show --values lists all that --output of alike encoders add may name")
        }
        OnnxError::NoEncoder { .. } => Some("alike encoders list shows those there are"),
        OnnxError::Exists(_) => Some("give --force to replace it"),
        OnnxError::TimedOut { .. } => Some("--time-limit raises the limit of alike encoders add and check"),
        _ => None,
    }
}
