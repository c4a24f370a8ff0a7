//! The JSON Schemas of what verbs print with `--json`: files in `schemas/`, written from the types by this file's test.

/// A verb's words, and its schema.
pub(crate) const SCHEMAS: [(&str, &str); 48] = [
    ("anomaly", include_str!("../schemas/anomaly.json")),
    ("classify", include_str!("../schemas/classify.json")),
    ("cluster", include_str!("../schemas/cluster.json")),
    ("collection add", include_str!("../schemas/collection-add.json")),
    ("collection backup", include_str!("../schemas/collection-backup.json")),
    ("collection check", include_str!("../schemas/collection-check.json")),
    ("collection compact", include_str!("../schemas/collection-compact.json")),
    ("collection create", include_str!("../schemas/collection-create.json")),
    ("collection export", include_str!("../schemas/collection-export.json")),
    ("collection import", include_str!("../schemas/collection-import.json")),
    ("collection list", include_str!("../schemas/collection-list.json")),
    ("collection reembed", include_str!("../schemas/collection-reembed.json")),
    ("collection remove", include_str!("../schemas/collection-remove.json")),
    ("collection say", include_str!("../schemas/collection-say.json")),
    ("collection set", include_str!("../schemas/collection-set.json")),
    ("collection show", include_str!("../schemas/collection-show.json")),
    ("collection sync", include_str!("../schemas/collection-sync.json")),
    ("compare", include_str!("../schemas/compare.json")),
    ("data cache", include_str!("../schemas/data-cache.json")),
    ("data fetch", include_str!("../schemas/data-fetch.json")),
    ("data list", include_str!("../schemas/data-list.json")),
    ("data show", include_str!("../schemas/data-show.json")),
    ("data stats", include_str!("../schemas/data-stats.json")),
    ("demo", include_str!("../schemas/demo.json")),
    ("duplicates", include_str!("../schemas/duplicates.json")),
    ("embed", include_str!("../schemas/embed.json")),
    ("encoders add", include_str!("../schemas/encoders-add.json")),
    ("encoders check", include_str!("../schemas/encoders-check.json")),
    ("encoders fetch", include_str!("../schemas/encoders-fetch.json")),
    ("encoders list", include_str!("../schemas/encoders-list.json")),
    ("encoders remove", include_str!("../schemas/encoders-remove.json")),
    ("encoders show", include_str!("../schemas/encoders-show.json")),
    ("enroll", include_str!("../schemas/enroll.json")),
    ("eval", include_str!("../schemas/eval.json")),
    ("eval anomaly", include_str!("../schemas/eval-anomaly.json")),
    ("eval few-shot", include_str!("../schemas/eval-few-shot.json")),
    ("eval verification", include_str!("../schemas/eval-verification.json")),
    ("explain", include_str!("../schemas/explain.json")),
    ("export", include_str!("../schemas/export.json")),
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

#[cfg(all(test, feature = "collections", feature = "onnx"))]
mod tests {
    use super::*;
    use crate::commands::{
        collection, data, demo, duplicates, encoders, explain, export, losses, map, model, report, train,
        tune,
    };
    use alike::eval::{
        AccuracyAnswer, AnomalyProtocolAnswer, ConsistencyAnswer, FewShotAnswer, OneShotAnswer,
        VerificationAnswer,
    };
    use alike::tasks;
    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, Schema};
    use std::path::Path;

    /// What few-shot prints: episodes, or Omniglot's runs.
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    #[expect(dead_code, reason = "a schema is made from it, nothing else")]
    enum FewShot {
        Episodes(FewShotAnswer),
        Runs(OneShotAnswer),
    }

    /// What eval prints: accuracy, or without classes consistency.
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    #[expect(dead_code, reason = "a schema is made from it, nothing else")]
    enum Eval {
        Accuracy(Box<AccuracyAnswer>),
        WithoutClasses(ConsistencyAnswer),
    }

    /// The schema of what is written, which is not always what could be read.
    fn of<T: JsonSchema>() -> Schema {
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
    }

    fn schemas() -> Vec<(&'static str, Schema)> {
        vec![
            ("anomaly", of::<tasks::AnomalyAnswer>()),
            ("classify", of::<tasks::ClassifyAnswer>()),
            ("cluster", of::<tasks::ClusterAnswer>()),
            ("collection add", of::<alike_store::SyncAnswer>()),
            ("collection backup", of::<alike_store::BackupAnswer>()),
            ("collection check", of::<alike_store::CheckAnswer>()),
            ("collection compact", of::<alike_store::CompactAnswer>()),
            ("collection create", of::<alike_store::Summary>()),
            ("collection export", of::<tasks::EmbedAnswer>()),
            ("collection import", of::<collection::import::Imported>()),
            ("collection list", of::<collection::list::Listed>()),
            ("collection reembed", of::<alike_store::ReembedAnswer>()),
            ("collection remove", of::<collection::remove::Removed>()),
            ("collection say", of::<collection::say::SaidOfPictures>()),
            ("collection set", of::<collection::set::Changed>()),
            ("collection show", of::<collection::show::ShownCollection>()),
            ("collection sync", of::<alike_store::SyncAnswer>()),
            ("compare", of::<tasks::CompareAnswer>()),
            ("data cache", of::<data::CacheContents>()),
            ("data fetch", of::<data::Fetched>()),
            ("data list", of::<data::DataSets>()),
            ("data show", of::<data::ShownData>()),
            ("data stats", of::<alike::data::Inspection>()),
            ("demo", of::<demo::Demonstrated>()),
            ("duplicates", of::<duplicates::DuplicatesResult>()),
            ("embed", of::<tasks::EmbedAnswer>()),
            ("encoders add", of::<encoders::add::AddedEncoder<'_>>()),
            ("encoders check", of::<encoders::check::CheckedEncoder<'_>>()),
            ("encoders fetch", of::<encoders::add::AddedEncoder<'_>>()),
            ("encoders list", of::<encoders::list::EncoderList>()),
            ("encoders remove", of::<encoders::remove::RemovedEncoder<'_>>()),
            ("encoders show", of::<encoders::show::ShownEncoder<'_>>()),
            ("enroll", of::<tasks::EnrollAnswer>()),
            ("eval", of::<Eval>()),
            ("eval anomaly", of::<AnomalyProtocolAnswer>()),
            ("eval few-shot", of::<FewShot>()),
            ("eval verification", of::<VerificationAnswer>()),
            ("explain", of::<explain::Printed>()),
            ("export", of::<export::ExportedModel<'_>>()),
            ("health", of::<tasks::HealthAnswer>()),
            ("losses", of::<losses::Listed>()),
            ("map", of::<map::Printed>()),
            ("model show", of::<model::ShownNetwork>()),
            ("report", of::<report::Reported>()),
            ("search", of::<tasks::SearchAnswer>()),
            ("train", of::<train::Trained>()),
            ("tune", of::<tune::Found>()),
            ("verify", of::<tasks::VerifyAnswer>()),
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
