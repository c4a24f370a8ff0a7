//! `alike schema`.

use crate::printer::lines;
use crate::schema::SCHEMAS;
use alike::suggest::did_you_mean;
use anyhow::bail;

pub(crate) fn run(verb: &[String]) -> anyhow::Result<()> {
    let words = verb.join(" ");
    match SCHEMAS.iter().find(|(name, _)| *name == words) {
        Some((_, schema)) => lines(schema.trim_end()),
        None => {
            let names = SCHEMAS.map(|(name, _)| name);
            bail!("{words} prints no JSON{} (verbs: {})", did_you_mean(&words, names), names.join(", "))
        }
    }
}
