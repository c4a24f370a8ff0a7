//! What a user can do about an error of the library, in the command line's own words: the library knows nothing of flags.

use alike::eval::EvalError;
use alike::tasks::TaskError;
use alike::train::RunError;

/// The flag that helps, if there is one.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let of_task = cause.downcast_ref::<TaskError>().and_then(of_task);
        let of_run = || cause.downcast_ref::<RunError>().and_then(of_run);
        of_task.or_else(of_run)
    })
}

fn of_task(error: &TaskError) -> Option<&'static str> {
    match error {
        TaskError::Run(error) => of_run(error),
        TaskError::PreparedFeatures { .. } => Some("leave --prepare out"),
        TaskError::PreparedShape { .. } => Some("leave size and channels out of --prepare"),
        TaskError::Misfit { .. } => Some("--data names other data to judge it on"),
        TaskError::NoImages | TaskError::NoGallery => Some("--gallery names what to compare with"),
        TaskError::NoGroups { .. } | TaskError::NoGroup(_) => Some("or leave --leave-group out"),
        TaskError::NoClasses(_) => Some("--gallery names them, and for verify --known, or a --threshold"),
        TaskError::NoPairs(_) => Some("with --known, or give a --threshold"),
        TaskError::NothingNormal { .. } => Some("--reference names them"),
        TaskError::NoGradients => Some("leave --with and --flip out"),
        TaskError::HowMany => Some("-k says it"),
        TaskError::TooManyClusters { .. } => Some("lower -k"),
        TaskError::OtherPreparation { .. } => Some("leave this run out of --with"),
        TaskError::Eval(EvalError::NoGroups(_)) => Some("or leave --leave-group out"),
        _ => None,
    }
}

fn of_run(error: &RunError) -> Option<&'static str> {
    match error {
        RunError::Moved { .. } => Some("or use other images with --data where a verb has it"),
        _ => None,
    }
}
