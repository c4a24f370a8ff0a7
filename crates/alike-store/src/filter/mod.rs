//! Conditions on pictures: a small typed language, compiled to SQL with bound parameters.
//!
//! ```text
//! condition  = conjunction { "or" conjunction }
//! conjunction = negation { "and" negation }
//! negation   = "not" negation | "(" condition ")" | test
//! test       = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | field [ "not" ] "in" "(" value { "," value } ")"
//!            | field [ "not" ] "like" text
//!            | field "is" [ "not" ] "null"
//! field      = "id" | "path" | "class" | "group" | "by_hand" | "size" | "modified" | "added" | "how" | "with"
//!            | "facts." name | "facts." '"' any name '"'
//! value      = text | number | date | "true" | "false"
//! text       = "'" { any character, a quote twice } "'"
//! number     = [ "-" ] digits [ "." digits ] [ "e" [ "-" ] digits ]
//! date       = YYYY-MM-DD [ "T" HH:MM [ ":" SS ] ]
//! ```
//!
//! Words of the language may be in capitals. `id` and `size` are numbers, `modified` and `added` dates (UTC), `by_hand` is true or false, and the rest
//! are texts. Facts are whatever they are: a fact of another type than the value says nothing. A date without a time is the whole day:
//! `added = 2024-05-01` holds all day, `added > 2024-05-01` begins the day after; a fact is a date if its text begins like one. In `like`, `%` stands for
//! any characters and `_` for one, capitals of ASCII are as small letters, and `\` takes the meaning from what follows.
//!
//! Logic has three values, as in SQL: what is not known is neither equal nor unequal to anything, `not` leaves it unknown, and pictures of which a
//! condition is unknown are not chosen.

mod lex;
mod parse;
#[cfg(test)]
mod plain;
mod sql;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub(crate) use sql::Bound;

/// A condition on pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    condition: Condition,
    text: String,
}

/// A condition cannot be read, or does not type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the condition \"{text}\" cannot be used: {why}{}", if *at < text.len() { format!(", at '{}'", shortened(&text[*at..])) } else { String::new() })]
pub struct FilterError {
    /// The whole condition.
    pub text: String,
    /// What is wrong.
    pub why: String,
    /// Where, in bytes.
    pub at: usize,
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(20).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Field, Operator, Value),
    In(Field, Vec<Value>),
    Like(Field, String),
    IsNull(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    /// A whole number, as SQL compares it without rounding.
    Whole(i64),
    Truth(bool),
    /// The first second, the first after it, and both as text to the second.
    Date(i64, i64),
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Own(Own),
    /// By its name.
    Fact(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Id,
    Path,
    Class,
    Group,
    ByHand,
    Size,
    Modified,
    Added,
    How,
    With,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
    Date,
}

impl Own {
    const ALL: [(&str, Own); 10] = [
        ("id", Own::Id),
        ("path", Own::Path),
        ("class", Own::Class),
        ("group", Own::Group),
        ("by_hand", Own::ByHand),
        ("size", Own::Size),
        ("modified", Own::Modified),
        ("added", Own::Added),
        ("how", Own::How),
        ("with", Own::With),
    ];

    fn name(self) -> &'static str {
        Own::ALL.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }

    fn kind(self) -> Kind {
        match self {
            Own::Id | Own::Size => Kind::Number,
            Own::Path | Own::Class | Own::Group | Own::How | Own::With => Kind::Text,
            Own::ByHand => Kind::Truth,
            Own::Modified | Own::Added => Kind::Date,
        }
    }
}

impl Kind {
    /// With an article.
    fn name(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::Truth => "true or false",
            Kind::Date => "a date",
        }
    }

    /// How a value of it is written.
    fn example(self) -> &'static str {
        match self {
            Kind::Text => "'...' in quotes",
            Kind::Number => "as in 12.5",
            Kind::Truth => "without quotes",
            Kind::Date => "as in 2024-05-01",
        }
    }
}

impl Value {
    fn kind(&self) -> Kind {
        match self {
            Value::Text(_) => Kind::Text,
            Value::Number(_) | Value::Whole(_) => Kind::Number,
            Value::Truth(_) => Kind::Truth,
            Value::Date(..) => Kind::Date,
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        Ok(Filter { condition: parse::parse(text)?, text: text.to_owned() })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
