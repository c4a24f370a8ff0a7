//! Conditions evaluated without SQL, for tests alone.

use super::{Condition, Field, Filter, Operator, Own, Value};
use crate::time;
use serde_json::{Map, Value as Json};
use std::cmp::Ordering;

/// A picture as conditions see it. Times are seconds since 1970.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) path: String,
    pub(super) class: Option<String>,
    pub(super) group: Option<String>,
    pub(super) by_hand: bool,
    pub(super) size: Option<i64>,
    pub(super) modified: Option<i64>,
    pub(super) added: i64,
    pub(super) how: String,
    pub(super) with: String,
    pub(super) facts: Map<String, Json>,
}

impl Filter {
    /// Whether it holds; nothing where that is unknown.
    pub(super) fn holds(&self, row: &Row) -> Option<bool> {
        holds(&self.condition, row)
    }
}

fn holds(condition: &Condition, row: &Row) -> Option<bool> {
    // One that is decided decides, else one that is unknown.
    let any = |each: Vec<Option<bool>>, decides: bool| {
        if each.contains(&Some(decides)) {
            Some(decides)
        } else if each.contains(&None) {
            None
        } else {
            Some(!decides)
        }
    };
    match condition {
        Condition::Or(all) => any(all.iter().map(|c| holds(c, row)).collect(), true),
        Condition::And(all) => any(all.iter().map(|c| holds(c, row)).collect(), false),
        Condition::Not(inner) => holds(inner, row).map(|h| !h),
        Condition::Compare(field, operator, value) => compare(field, *operator, value, row),
        Condition::In(field, values) => {
            any(values.iter().map(|v| compare(field, Operator::Equal, v, row)).collect(), true)
        }
        Condition::Like(field, pattern) => {
            let text = text(field, row)?;
            let pattern: Vec<char> = pattern.chars().collect();
            Some(like(&text.chars().collect::<Vec<_>>(), &pattern))
        }
        Condition::IsNull(field) => Some(match field {
            Field::Own(own) => match own {
                Own::Class => row.class.is_none(),
                Own::Group => row.group.is_none(),
                Own::Size => row.size.is_none(),
                Own::Modified => row.modified.is_none(),
                _ => false,
            },
            Field::Fact(name) => row.facts.get(name).is_none_or(Json::is_null),
        }),
    }
}

fn text(field: &Field, row: &Row) -> Option<String> {
    match field {
        Field::Own(Own::Path) => Some(row.path.clone()),
        Field::Own(Own::Class) => row.class.clone(),
        Field::Own(Own::Group) => row.group.clone(),
        Field::Own(Own::How) => Some(row.how.clone()),
        Field::Own(Own::With) => Some(row.with.clone()),
        Field::Own(_) => None,
        Field::Fact(name) => row.facts.get(name)?.as_str().map(str::to_owned),
    }
}

fn compare(field: &Field, operator: Operator, value: &Value, row: &Row) -> Option<bool> {
    let fact = |name: &String| row.facts.get(name);
    let is = |order: Ordering| match operator {
        Operator::Equal => order.is_eq(),
        Operator::Unequal => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::More => order.is_gt(),
        Operator::MoreOrEqual => order.is_ge(),
    };
    match value {
        Value::Text(expected) => Some(is(text(field, row)?.as_str().cmp(expected.as_str()))),
        Value::Number(_) | Value::Whole(_) => {
            let expected = match value {
                Value::Whole(n) => *n as f64,
                Value::Number(n) => *n,
                _ => return None,
            };
            let got = match field {
                Field::Own(Own::Id) => row.id as f64,
                Field::Own(Own::Size) => row.size? as f64,
                Field::Own(_) => return None,
                Field::Fact(name) => fact(name)?.as_f64()?,
            };
            got.partial_cmp(&expected).map(is)
        }
        Value::Truth(expected) => {
            let got = match field {
                Field::Own(_) => row.by_hand,
                Field::Fact(name) => fact(name)?.as_bool()?,
            };
            Some(is(got.cmp(expected)))
        }
        Value::Date(first, end) => {
            let got = match field {
                Field::Own(Own::Modified) => row.modified?,
                Field::Own(_) => row.added,
                Field::Fact(name) => time::span(fact(name)?.as_str()?)?.0,
            };
            // Where a point lies as to an interval.
            Some(is(if got < *first {
                Ordering::Less
            } else if got < *end {
                Ordering::Equal
            } else {
                Ordering::Greater
            }))
        }
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|i| like(&text[i..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', c, rest @ ..] | [c, rest @ ..] => {
            text.first().is_some_and(|t| t.eq_ignore_ascii_case(c)) && like(&text[1..], rest)
        }
    }
}
