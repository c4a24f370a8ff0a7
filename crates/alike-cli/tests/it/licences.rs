//! Every dependency may be used as `deny.toml` says, and comes from a registry.

use serde_json::Value;
use std::process::Command;

/// Whether a licence expression leaves a choice that is allowed. `/` is an old way to write `OR`.
fn allowed(expression: &str, list: &[String]) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    // Parentheses are only ever written around choices that are then joined.
    if expression.contains('(') {
        return flat
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| list.iter().any(|l| l == one.trim())));
    }
    flat.split(" OR ").any(|choice| choice.split(" AND ").all(|one| list.iter().any(|l| l == one.trim())))
}

#[test]
fn every_dependency_has_an_allowed_licence_and_comes_from_a_registry() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let deny: toml::Table = std::fs::read_to_string(format!("{root}/deny.toml")).unwrap().parse().unwrap();
    let list: Vec<String> = deny["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l.as_str().unwrap().to_owned())
        .collect();
    // Crates of other platforms were never downloaded here, so this platform's are what can be checked offline.
    let version = Command::new(env!("CARGO")).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for p in packages {
        let (name, licence) = (p["name"].as_str().unwrap(), p["license"].as_str().unwrap_or("none"));
        assert!(allowed(licence, &list), "{name} is licensed {licence}, which deny.toml does not allow");
        let own = p["source"].is_null() && name.starts_with("alike");
        assert!(
            own || p["source"].as_str().unwrap().starts_with("registry+"),
            "{name} comes from {}",
            p["source"]
        );
    }
}

#[test]
fn a_licence_that_is_not_on_the_list_is_noticed() {
    let list = ["MIT".to_owned(), "ISC".to_owned()];
    for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "MIT AND ISC", "(MIT OR GPL-3.0) AND ISC"] {
        assert!(allowed(good, &list), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "none", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!allowed(bad, &list), "{bad}");
    }
}
