//! Choices with values, as a person writes them: `name`, or `name:key=value,key=value`.
//!
//! A choice is an enum that serde tags by `kind`, whose variants hold structs with defaults. One text serves the command
//! line, the TOML file and the run folder, and what is misspelt is answered with the nearest right name.

use crate::suggest::did_you_mean;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What is wrong with a text that should be TOML, in one line: where, then what the reader says.
pub fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    let said = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    match error.span() {
        Some(span) => {
            format!("line {}: {said}", 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count())
        }
        None => said,
    }
}

/// A choice that can be written as text.
pub trait Choice: Serialize + DeserializeOwned {
    /// What is chosen, for messages: "loss".
    const WHAT: &'static str;

    /// Every choice with its default values.
    fn all() -> Vec<Self>;

    /// The name.
    fn name(&self) -> String {
        match self.object().remove("kind") {
            Some(Value::String(name)) => name,
            _ => String::new(),
        }
    }

    /// Names and values of the parameters.
    fn values(&self) -> Map<String, Value> {
        let mut object = self.object();
        object.remove("kind");
        object
    }

    #[doc(hidden)]
    fn object(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        }
    }
}

/// A text is not a choice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct ChoiceError {
    why: String,
    unknown: Option<String>,
}

impl ChoiceError {
    fn new(why: String) -> ChoiceError {
        ChoiceError { why, unknown: None }
    }

    /// The name, where the text names something that is not among the choices.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }
}

/// Reads a choice.
///
/// # Errors
///
/// If no choice has the name, or a value is not what it should be.
pub fn parse<C: Choice>(text: &str) -> Result<C, ChoiceError> {
    let refuse = |why: String| Err(ChoiceError::new(why));
    let (name, rest) = text.split_once(':').map_or((text, ""), |(name, rest)| (name, rest));
    let name = name.trim();
    let all = C::all();
    let Some(default) = all.iter().find(|c| c.name() == name) else {
        let names: Vec<String> = all.iter().map(Choice::name).collect();
        let hint = did_you_mean(name, names.iter().map(String::as_str));
        let why = format!("there is no {} '{name}'{hint} (there are: {})", C::WHAT, names.join(", "));
        return Err(ChoiceError { why, unknown: Some(name.to_owned()) });
    };
    let mut object = default.object();
    for pair in rest.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return refuse(format!("'{pair}' in '{text}' is not KEY=VALUE"));
        };
        set(default, &mut object, key.trim(), value.trim())?;
    }
    serde_json::from_value(Value::Object(object))
        .or_else(|e| refuse(format!("{} '{text}' cannot be read: {e}", C::WHAT)))
}

/// The choice with another value, given as [`parse`] reads it.
///
/// # Errors
///
/// If the choice has no such value, or cannot have this one.
pub fn with<C: Choice>(choice: &C, key: &str, value: &str) -> Result<C, ChoiceError> {
    let mut object = choice.object();
    set(choice, &mut object, key, value)?;
    serde_json::from_value(Value::Object(object)).map_err(|e| {
        ChoiceError::new(format!("{} '{}' cannot have {key}={value}: {e}", C::WHAT, choice.name()))
    })
}

/// Writes a value over that of the same name.
fn set<C: Choice>(
    choice: &C,
    object: &mut Map<String, Value>,
    key: &str,
    value: &str,
) -> Result<(), ChoiceError> {
    let Some(old) = object.get(key).filter(|_| key != "kind") else {
        let known: Vec<String> = choice.values().keys().cloned().collect();
        let hint = did_you_mean(key, known.iter().map(String::as_str));
        let known = if known.is_empty() { "it has none".to_owned() } else { known.join(", ") };
        let (what, name) = (C::WHAT, choice.name());
        return Err(ChoiceError::new(format!(
            "{what} '{name}' has no value '{key}'{hint} (values: {known})"
        )));
    };
    let read = read(old, value);
    object.insert(key.to_owned(), read);
    Ok(())
}

/// Why something of one's own cannot have this name among the choices, if it cannot: settings could not tell it from others.
pub(crate) fn refusal_of_own<C: Choice>(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Some("a name is made of letters, digits, - and _".to_owned());
    }
    let taken = C::all().iter().any(|c| c.name() == name);
    taken.then(|| format!("this is the name of a built-in {}; choose another", C::WHAT))
}

/// A value in the kind that its default has; left as text where it is not, for serde to refuse.
fn read(old: &Value, text: &str) -> Value {
    let as_number = || serde_json::from_str::<Value>(text).ok().filter(Value::is_number);
    match old {
        Value::Bool(_) => text.parse::<bool>().map(Value::Bool).unwrap_or_else(|_| text.into()),
        Value::Array(_) if text.is_empty() => Value::Array(Vec::new()),
        Value::Array(_) => text.split('/').map(|part| read(&Value::Null, part)).collect(),
        Value::Number(_) | Value::Null => as_number().unwrap_or_else(|| text.into()),
        _ => text.into(),
    }
}

/// Writes a choice so that [`parse`] reads it back.
pub fn write<C: Choice>(choice: &C) -> String {
    let values: Vec<String> = choice
        .values()
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| format!("{key}={}", show(value)))
        .collect();
    if values.is_empty() { choice.name() } else { format!("{}:{}", choice.name(), values.join(",")) }
}

/// A value as [`parse`] reads it.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Array(list) => list.iter().map(show).collect::<Vec<_>>().join("/"),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// Writes a choice's text where serde would write a table: `#[serde(with = "text::as_text")]`.
pub mod as_text {
    use super::Choice;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// For `serialize_with`.
    ///
    /// # Errors
    ///
    /// As the serializer has it.
    pub fn serialize<C: Choice, S: Serializer>(choice: &C, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::write(choice))
    }

    /// For `deserialize_with`.
    ///
    /// # Errors
    ///
    /// If the text is no choice.
    pub fn deserialize<'de, C: Choice, D: Deserializer<'de>>(from: D) -> Result<C, D::Error> {
        super::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// The JSON Schema of a type that serialises as text by hand.
#[cfg(feature = "schema")]
macro_rules! text_schema {
    ($type:ty) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                String::schema_name()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }
        }
    };
}
#[cfg(feature = "schema")]
pub(crate) use text_schema;

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "kebab-case")]
    enum Fruit {
        Apple(Apple),
        Pear,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
    struct Apple {
        weight: f64,
        is_red: bool,
        seeds: Option<usize>,
    }

    impl Default for Apple {
        fn default() -> Apple {
            Apple { weight: 0.5, is_red: true, seeds: None }
        }
    }

    impl Choice for Fruit {
        const WHAT: &'static str = "fruit";
        fn all() -> Vec<Fruit> {
            vec![Fruit::Apple(Apple::default()), Fruit::Pear]
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["apple", "apple:weight=0.25", "apple: is-red=false, seeds=3", "pear"] {
            let fruit: Fruit = parse(text).unwrap();
            assert_eq!(parse::<Fruit>(&write(&fruit)).unwrap(), fruit, "{text}");
        }
        assert_eq!(write(&parse::<Fruit>("apple:seeds=7").unwrap()), "apple:is-red=true,seeds=7,weight=0.5");
    }

    #[test]
    fn what_is_misspelt_is_answered_with_what_is_right() {
        let refused = |text: &str| parse::<Fruit>(text).unwrap_err().to_string();
        assert!(refused("aple").contains("did you mean 'apple'"), "{}", refused("aple"));
        assert!(refused("apple:wieght=1").contains("did you mean 'weight'"), "{}", refused("apple:wieght=1"));
        assert!(refused("apple:weight=heavy").contains("apple:weight=heavy"));
        assert!(refused("apple:weight").contains("KEY=VALUE"));
        assert!(refused("pear:x=1").contains("it has none"));
        assert!(refused("apple:kind=pear").contains("no value 'kind'"));
    }
}
