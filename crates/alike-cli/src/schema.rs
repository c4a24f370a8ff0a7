//! The JSON Schemas of what verbs print with `--json`: files in `schemas/`, written from the types by this file's test.

/// A verb's words, and its schema.
pub(crate) const SCHEMAS: [(&str, &str); 26] = [
    ("anomaly", include_str!("../schemas/anomaly.json")),
    ("classify", include_str!("../schemas/classify.json")),
    ("cluster", include_str!("../schemas/cluster.json")),
    ("compare", include_str!("../schemas/compare.json")),
    ("data cache", include_str!("../schemas/data-cache.json")),
    ("data fetch", include_str!("../schemas/data-fetch.json")),
    ("data list", include_str!("../schemas/data-list.json")),
    ("data show", include_str!("../schemas/data-show.json")),
    ("data stats", include_str!("../schemas/data-stats.json")),
    ("demo", include_str!("../schemas/demo.json")),
    ("embed", include_str!("../schemas/embed.json")),
    ("enroll", include_str!("../schemas/enroll.json")),
    ("eval", include_str!("../schemas/eval.json")),
    ("eval anomaly", include_str!("../schemas/eval-anomaly.json")),
    ("eval few-shot", include_str!("../schemas/eval-few-shot.json")),
    ("eval verification", include_str!("../schemas/eval-verification.json")),
    ("explain", include_str!("../schemas/explain.json")),
    ("health", include_str!("../schemas/health.json")),
    ("losses", include_str!("../schemas/losses.json")),
    ("map", include_str!("../schemas/map.json")),
    ("model show", include_str!("../schemas/model-show.json")),
    ("report", include_str!("../schemas/report.json")),
    ("search", include_str!("../schemas/search.json")),
    ("train", include_str!("../schemas/train.json")),
    ("tune", include_str!("../schemas/tune.json")),
    ("verify", include_str!("../schemas/verify.json")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{data, demo, explain, losses, map, model, report, train, tune};
    use alike::eval::{
        AccuracyAnswer, AnomalyProtocolAnswer, FewShotAnswer, OneShotAnswer, VerificationAnswer,
    };
    use alike::tasks;
    use schemars::{JsonSchema, schema_for};
    use std::path::Path;

    /// What few-shot prints: episodes, or Omniglot's runs.
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    #[expect(dead_code, reason = "a schema is made from it, nothing else")]
    enum FewShot {
        Episodes(FewShotAnswer),
        Runs(OneShotAnswer),
    }

    fn schemas() -> Vec<(&'static str, schemars::Schema)> {
        vec![
            ("anomaly", schema_for!(tasks::AnomalyAnswer)),
            ("classify", schema_for!(tasks::ClassifyAnswer)),
            ("cluster", schema_for!(tasks::ClusterAnswer)),
            ("compare", schema_for!(tasks::CompareAnswer)),
            ("data cache", schema_for!(data::CacheContents)),
            ("data fetch", schema_for!(data::Fetched)),
            ("data list", schema_for!(data::DataSets)),
            ("data show", schema_for!(data::ShownData)),
            ("data stats", schema_for!(alike::data::Inspection)),
            ("demo", schema_for!(demo::Demonstrated)),
            ("embed", schema_for!(tasks::EmbedAnswer)),
            ("enroll", schema_for!(tasks::EnrollAnswer)),
            ("eval", schema_for!(AccuracyAnswer)),
            ("eval anomaly", schema_for!(AnomalyProtocolAnswer)),
            ("eval few-shot", schema_for!(FewShot)),
            ("eval verification", schema_for!(VerificationAnswer)),
            ("explain", schema_for!(explain::Printed)),
            ("health", schema_for!(tasks::HealthAnswer)),
            ("losses", schema_for!(losses::Listed)),
            ("map", schema_for!(map::Printed)),
            ("model show", schema_for!(model::ShownNetwork)),
            ("report", schema_for!(report::Reported)),
            ("search", schema_for!(tasks::SearchAnswer)),
            ("train", schema_for!(train::Trained)),
            ("tune", schema_for!(tune::Found)),
            ("verify", schema_for!(tasks::VerifyAnswer)),
        ]
    }

    #[test]
    fn the_files_say_what_the_types_do() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let made = schemas();
        assert_eq!(made.iter().map(|s| s.0).collect::<Vec<_>>(), SCHEMAS.map(|s| s.0));
        let mut changed = Vec::new();
        for ((verb, schema), (_, file)) in made.into_iter().zip(SCHEMAS) {
            let mut text = serde_json::to_string_pretty(&schema).unwrap();
            text.push('\n');
            if text != file {
                changed.push(verb);
                if std::env::var_os("ALIKE_BLESS").is_some() {
                    std::fs::write(folder.join(format!("{}.json", verb.replace(' ', "-"))), text).unwrap();
                }
            }
        }
        assert!(
            changed.is_empty(),
            "{changed:?} changed; ALIKE_BLESS=1 cargo test -p alike-cli schema writes the files anew"
        );
    }
}
