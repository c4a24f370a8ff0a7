//! What was called otherwise in version 0.1: flags are refused with the name of today, keys of settings files are read as before.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// A verb, its flag in version 0.1, and its name of today.
const FLAGS: [(&str, &str, &str); 8] = [
    ("train", "batch", "batch-size"),
    ("train", "class-rate", "proxy-rate"),
    ("classify", "out", "csv"),
    ("classify", "o", "csv"),
    ("anomaly", "reference", "gallery"),
    ("verify", "known", "gallery"),
    ("cluster", "least", "min-cluster-size"),
    ("map", "most", "max-images"),
];

/// Protocols, which stood behind the run in version 0.1.
const PROTOCOLS: [&str; 3] = ["few-shot", "verification", "anomaly"];

/// The key of today, for one of version 0.1.
pub(crate) fn key<'a>(verb: &str, key: &'a str) -> &'a str {
    FLAGS.iter().find(|(of, old, _)| *of == verb && *old == key).map_or(key, |(.., new)| new)
}

/// What to type instead of what clap refuses, if version 0.1 took it.
pub(crate) fn flag(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let has = |word: &str| argv.iter().any(|a| a == word);
    match error.kind() {
        // An option between `eval` and a protocol ends here too.
        ErrorKind::ArgumentConflict if has("eval") => {
            let protocol = PROTOCOLS.into_iter().find(|p| has(p))?;
            Some(format!(
                "the protocol stands right behind eval: alike eval {protocol} MODEL, then its options"
            ))
        }
        ErrorKind::UnknownArgument => {
            let Some(ContextValue::String(said)) = error.get(ContextKind::InvalidArg) else { return None };
            let name = said.trim_start_matches('-').split(['=', ' ']).next()?;
            let (_, _, new) = FLAGS.iter().find(|(verb, old, _)| *old == name && has(verb))?;
            Some(format!("{said} is called --{new} since version 0.2"))
        }
        _ => None,
    }
}
