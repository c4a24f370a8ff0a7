//! What verbs print with `--json` is what `alike schema` says.

use crate::command::Scene;
use serde_json::{Map, Value};

/// Checks a value against a schema. It knows what the schemas of Alike use, and refuses any other word; fields that no schema names are
/// refused too.
struct Schema {
    root: Value,
}

impl Schema {
    fn check(&self, value: &Value, schema: &Value, at: &str) -> Result<(), String> {
        let Value::Object(rules) = schema else {
            return if schema == &Value::Bool(true) {
                Ok(())
            } else {
                Err(format!("{at}: nothing may be here"))
            };
        };
        let mut named: Vec<&str> = Vec::new();
        for (word, rule) in rules {
            match word.as_str() {
                "$schema" | "title" | "description" | "$defs" | "format" | "default" => {}
                "$ref" => {
                    let path = rule.as_str().unwrap().trim_start_matches('#');
                    self.check(value, self.root.pointer(path).ok_or(format!("no {path}"))?, at)?;
                }
                "type" => check_type(value, rule, at)?,
                "const" if rule == value => {}
                "enum" if rule.as_array().unwrap().contains(value) => {}
                "const" | "enum" => return Err(format!("{at}: {value} is not {rule}")),
                "minimum" => {
                    let least = rule.as_f64().unwrap();
                    if value.as_f64().is_some_and(|v| v < least) {
                        return Err(format!("{at}: {value} is below {least}"));
                    }
                }
                "maximum" => {
                    if value.as_f64().is_some_and(|v| v > rule.as_f64().unwrap()) {
                        return Err(format!("{at}: {value} is above {rule}"));
                    }
                }
                "minItems" | "maxItems" => {
                    let (n, bound) = (value.as_array().map_or(0, Vec::len) as u64, rule.as_u64().unwrap());
                    if (word == "minItems" && n < bound) || (word == "maxItems" && n > bound) {
                        return Err(format!("{at}: {n} items"));
                    }
                }
                "items" => {
                    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(item, rule, &format!("{at}[{i}]"))?;
                    }
                }
                "anyOf" | "oneOf" => {
                    let tried: Vec<_> =
                        rule.as_array().unwrap().iter().map(|s| self.check(value, s, at)).collect();
                    if !tried.iter().any(Result::is_ok) {
                        let why: Vec<String> = tried.into_iter().filter_map(Result::err).collect();
                        return Err(why.join("; or "));
                    }
                }
                "properties" => {
                    for (name, rule) in rule.as_object().unwrap() {
                        named.push(name);
                        if let Some(v) = value.get(name) {
                            self.check(v, rule, &format!("{at}.{name}"))?;
                        }
                    }
                }
                // Tables by number, as of k.
                "patternProperties" => {
                    for (pattern, rule) in rule.as_object().unwrap() {
                        assert_eq!(pattern, r"^\d+$", "a pattern that this test does not know");
                        let is_number = |name: &&String| name.bytes().all(|b| b.is_ascii_digit());
                        for name in value.as_object().into_iter().flat_map(Map::keys).filter(is_number) {
                            named.push(name);
                            self.check(&value[name], rule, &format!("{at}.{name}"))?;
                        }
                    }
                }
                "required" => {
                    let missing =
                        rule.as_array().unwrap().iter().find(|n| value.get(n.as_str().unwrap()).is_none());
                    if let (Some(name), true) = (missing, value.is_object()) {
                        return Err(format!("{at}: no {name}"));
                    }
                }
                "additionalProperties" => {}
                other => {
                    return Err(format!("{at}: the schema says '{other}', which this test does not know"));
                }
            }
        }
        self.others(value, rules, &named, at)
    }

    /// Fields that `properties` does not name.
    fn others(
        &self,
        value: &Value,
        rules: &Map<String, Value>,
        named: &[&str],
        at: &str,
    ) -> Result<(), String> {
        let Some(object) = value.as_object() else { return Ok(()) };
        for (name, v) in object.iter().filter(|(name, _)| !named.contains(&name.as_str())) {
            match rules.get("additionalProperties") {
                Some(rule) => self.check(v, rule, &format!("{at}.{name}"))?,
                None if rules.contains_key("properties") => {
                    return Err(format!("{at}: nothing is said of {name}"));
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn check_type(value: &Value, rule: &Value, at: &str) -> Result<(), String> {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        _ => false,
    };
    let fits = match rule {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|k| is(k.as_str().unwrap())),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{at}: {value} is no {rule}")) }
}

#[test]
fn a_value_that_a_schema_forbids_is_told() {
    let root = serde_json::json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": "integer", "minimum": 0 }, "b": { "anyOf": [{ "$ref": "#/$defs/B" }, { "type": "null" }] } },
        "$defs": { "B": { "type": "array", "items": { "type": "string" }, "maxItems": 1 } } });
    let schema = Schema { root: root.clone() };
    let is_good = |text: &str| schema.check(&serde_json::from_str(text).unwrap(), &root, "x").is_ok();
    for good in [r#"{"a":1}"#, r#"{"a":1,"b":null}"#, r#"{"a":1,"b":["c"]}"#] {
        assert!(is_good(good), "{good}");
    }
    for bad in [
        "[]",
        "{}",
        r#"{"a":-1}"#,
        r#"{"a":1.5}"#,
        r#"{"a":1,"b":[2]}"#,
        r#"{"a":1,"b":["c","d"]}"#,
        r#"{"a":1,"c":1}"#,
    ] {
        assert!(!is_good(bad), "{bad}");
    }
}

#[test]
fn every_verb_prints_what_its_schema_says() {
    let scene = Scene::new();
    for (class, base) in [("ant", 30u8), ("bee", 120), ("cat", 200)] {
        for i in 0..8u8 {
            let pixel = |p: usize| base.wrapping_add(i * 3).wrapping_add((p * p % 23) as u8);
            let bytes: Vec<u8> = b"P5 12 10 255\n".iter().copied().chain((0..120).map(pixel)).collect();
            scene.write(&format!("pictures/{class}/{i}.pgm"), &bytes);
        }
    }
    let dog: Vec<u8> =
        b"P5 12 10 255\n".iter().copied().chain((0..120).map(|p| (p % 7 * 30) as u8)).collect();
    scene.write("dog.pgm", &dog);
    crate::encoders::bring(&scene, &["tiny.onnx"]);
    let train = "train --data pictures --recipe seed --batch-size 4 --epochs 1";
    scene.ok(&format!("{train} --out run --seed 1 -q"));
    scene.ok(&format!("{train} --out unseen --exclude-class cat -q"));
    scene.ok("embed run pictures -o known.npy -q");
    let (a, b) = ("pictures/ant/0.pgm", "pictures/bee/1.pgm");
    let commands = [
        ("anomaly", format!("anomaly run {a} --gallery pictures")),
        ("anomaly", format!("anomaly unseen {a} --method mahalanobis")),
        ("classify", format!("classify run {a} {b}")),
        ("classify", format!("classify run {a} --gallery known.npy --threshold 0.5 --rule means")),
        ("cluster", "cluster run pictures -k 2".to_owned()),
        ("cluster", "cluster run --method density --min-cluster-size 2".to_owned()),
        // In this order: what is added is listed, changed, removed.
        ("collection create", "collection create ./kept.alike run".to_owned()),
        ("collection add", "collection add kept.alike pictures/ant".to_owned()),
        ("collection sync", "collection sync kept.alike pictures".to_owned()),
        ("collection set", format!("collection set kept.alike {a} --class wasp --fact legs=6")),
        ("collection say", format!("collection say kept.alike different {a} {b}")),
        ("collection list", "collection list".to_owned()),
        ("collection list", "collection list kept.alike --most 5".to_owned()),
        ("collection show", format!("collection show kept.alike {a} --vectors")),
        ("collection export", "collection export kept.alike -o exported.npy".to_owned()),
        ("collection import", "collection import kept.alike known.npy".to_owned()),
        ("collection check", "collection check kept.alike".to_owned()),
        ("collection backup", "collection backup kept.alike copy.alike".to_owned()),
        ("search", format!("search kept.alike {a} --within 9 --best class")),
        ("classify", format!("classify kept.alike {b}")),
        ("enroll", "enroll kept.alike --class dog dog.pgm".to_owned()),
        ("collection remove", "collection remove kept.alike dog.pgm".to_owned()),
        ("collection compact", "collection compact kept.alike".to_owned()),
        ("collection reembed", "collection reembed kept.alike unseen".to_owned()),
        ("compare", "compare run unseen".to_owned()),
        ("data cache", "data cache".to_owned()),
        ("data list", "data list".to_owned()),
        ("data show", "data show pictures -o sheet.png".to_owned()),
        ("data stats", "data stats pictures".to_owned()),
        ("duplicates", "duplicates pictures --move-to aside --kinds bytes,encoded,turned,altered".to_owned()),
        ("duplicates", "duplicates --undo aside".to_owned()),
        ("duplicates", format!("duplicates --different {a} {b}")),
        ("embed", format!("embed run {a} -o one.npy")),
        // In this order: what is added is shown, listed, checked and deleted.
        ("encoders add", "encoders add tiny.onnx --preset imagenet --name tiny".to_owned()),
        ("encoders show", "encoders show tiny --values".to_owned()),
        ("encoders list", "encoders list".to_owned()),
        ("encoders check", "encoders check tiny".to_owned()),
        ("embed", format!("embed tiny {a} -o two.npy")),
        ("explain", format!("explain tiny {a} {b} -o occluded.png")),
        ("compare", "compare run tiny --data pictures".to_owned()),
        ("encoders remove", "encoders remove tiny".to_owned()),
        ("enroll", "enroll run --gallery known.npy --class dog dog.pgm".to_owned()),
        ("eval", "eval run".to_owned()),
        ("eval", "eval unseen --weighted".to_owned()),
        ("eval anomaly", "eval anomaly run --method knn".to_owned()),
        ("eval few-shot", "eval few-shot run --episodes 5".to_owned()),
        ("eval verification", "eval verification run".to_owned()),
        ("explain", format!("explain run {a} {b} -o why.png")),
        ("export", "export run --onnx run.onnx".to_owned()),
        ("health", "health run".to_owned()),
        ("health", "health run -o health".to_owned()),
        ("losses", "losses --all".to_owned()),
        ("losses", "losses circle".to_owned()),
        ("map", "map run pictures -o map.html --method pca".to_owned()),
        ("model show", "model show run".to_owned()),
        ("report", "report run".to_owned()),
        ("search", format!("search run {a} {b} --gallery known.npy")),
        ("train", format!("{train} --out again")),
        ("train", format!("{train} --out seeds --seeds 1,2")),
        ("tune", "tune --data data --recipe seed --out tuned --candidates 2 --epochs 1".to_owned()),
        ("verify", format!("verify run {a} {b} --gallery pictures")),
        ("verify", format!("verify run {a} {b} --threshold 0.5")),
        ("demo", "demo --data digits:train=300,test=100 --epochs 1 -o demo".to_owned()),
    ];
    for (verb, command) in &commands {
        let root: Value = serde_json::from_str(&scene.ok(&format!("schema {verb}"))).unwrap();
        let printed = scene.ok(&format!("{command} --json -q"));
        let value: Value =
            serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{command}: {e}: {printed}"));
        assert!(value.is_object(), "{command} prints one object");
        let schema = Schema { root: root.clone() };
        schema.check(&value, &root, verb).unwrap_or_else(|why| panic!("alike {command}: {why}"));
    }
    // Fetching is tested where there is a server; every other verb that prints JSON is above.
    let told = scene.alike("schema nothing");
    let known = told.stderr.split("verbs: ").nth(1).unwrap().trim().trim_end_matches(')');
    for verb in known.split(", ").filter(|v| !v.ends_with(" fetch")) {
        assert!(commands.iter().any(|(v, _)| *v == verb), "no command shows what {verb} prints");
    }
    scene.refused("schema serch", 1, &["did you mean 'search'"]);
}
