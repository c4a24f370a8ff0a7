//! From a condition to SQL. Whatever a user wrote is a bound parameter: no text of theirs is SQL.

use super::{Condition, Field, Filter, Kind, Operator, Own, Value};
use rusqlite::types::Value as Sql;

/// A condition on `items i JOIN occasions o`, and its parameters, numbered from the first that is free.
pub(crate) struct Bound {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Sql>,
}

impl Filter {
    /// As SQL, with parameters from `?first` on.
    pub(crate) fn bound(&self, first: usize) -> Bound {
        let mut writer = Writer { first, parameters: Vec::new() };
        let sql = writer.condition(&self.condition);
        Bound { sql, parameters: writer.parameters }
    }
}

struct Writer {
    first: usize,
    parameters: Vec<Sql>,
}

impl Writer {
    fn parameter(&mut self, value: Sql) -> String {
        self.parameters.push(value);
        format!("?{}", self.first + self.parameters.len() - 1)
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Or(all) => self.joined(all, " OR "),
            Condition::And(all) => self.joined(all, " AND "),
            Condition::Not(inner) => format!("(NOT {})", self.condition(inner)),
            Condition::Compare(field, operator, value) => self.compare(field, *operator, value),
            Condition::In(field, values) => {
                let each: Vec<String> =
                    values.iter().map(|v| self.compare(field, Operator::Equal, v)).collect();
                format!("({})", each.join(" OR "))
            }
            Condition::Like(field, pattern) => {
                let field = self.field(field, Kind::Text);
                let pattern = self.parameter(Sql::Text(pattern.clone()));
                format!("({field} LIKE {pattern} ESCAPE '\\')")
            }
            Condition::IsNull(Field::Own(own)) => format!("({} IS NULL)", column(*own)),
            Condition::IsNull(Field::Fact(name)) => {
                let path = self.path(name);
                format!("(coalesce(json_type(i.facts, {path}), 'null') = 'null')")
            }
        }
    }

    fn joined(&mut self, all: &[Condition], by: &str) -> String {
        let each: Vec<String> = all.iter().map(|c| self.condition(c)).collect();
        format!("({})", each.join(by))
    }

    fn compare(&mut self, field: &Field, operator: Operator, value: &Value) -> String {
        let sql = self.field(field, value.kind());
        if let Value::Date(first, end) = value {
            // Facts are texts, of which the earlier is the smaller; own fields are numbers.
            let at = |seconds: i64| match field {
                Field::Own(Own::Modified) => Sql::Integer(seconds.saturating_mul(1_000_000_000)),
                Field::Own(_) => Sql::Integer(seconds),
                Field::Fact(_) => Sql::Text(crate::time::shown(seconds)),
            };
            let (first, end) = (at(*first), at(*end));
            let mut test = |sign: &str, bound| format!("{sql} {sign} {}", self.parameter(bound));
            return match operator {
                Operator::Equal => format!("({} AND {})", test(">=", first), test("<", end)),
                Operator::Unequal => format!("({} OR {})", test("<", first), test(">=", end)),
                Operator::Less => format!("({})", test("<", first)),
                Operator::LessOrEqual => format!("({})", test("<", end)),
                Operator::More => format!("({})", test(">=", end)),
                Operator::MoreOrEqual => format!("({})", test(">=", first)),
            };
        }
        let bound = self.parameter(match value {
            Value::Text(text) => Sql::Text(text.clone()),
            Value::Number(n) => Sql::Real(*n),
            Value::Whole(n) => Sql::Integer(*n),
            Value::Truth(truth) => Sql::Integer(i64::from(*truth)),
            Value::Date(first, _) => Sql::Integer(*first),
        });
        let sign = match operator {
            Operator::Equal => "=",
            Operator::Unequal => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::More => ">",
            Operator::MoreOrEqual => ">=",
        };
        format!("({sql} {sign} {bound})")
    }

    fn path(&mut self, name: &str) -> String {
        // The parser lets no quotes through.
        self.parameter(Sql::Text(format!("$.\"{name}\"")))
    }

    /// A field's value, or null where it is of another kind.
    fn field(&mut self, field: &Field, kind: Kind) -> String {
        let name = match field {
            Field::Own(own) => return column(*own).to_owned(),
            Field::Fact(name) => name,
        };
        let path = self.path(name);
        let types = match kind {
            Kind::Number => "'integer', 'real'",
            Kind::Truth => "'true', 'false'",
            Kind::Text | Kind::Date => "'text'",
        };
        let value = format!(
            "CASE WHEN json_type(i.facts, {path}) IN ({types}) THEN json_extract(i.facts, {path}) END"
        );
        if kind == Kind::Date {
            // A day is its first second; a space may stand for the T.
            let day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]";
            return format!(
                "(SELECT CASE WHEN v GLOB '{day}' THEN v || 'T00:00:00' WHEN v GLOB '{day}[T ]*' THEN replace(v, ' ', 'T') END \
                 FROM (SELECT {value} AS v))"
            );
        }
        format!("({value})")
    }
}

fn column(own: Own) -> &'static str {
    match own {
        Own::Id => "i.id",
        Own::Path => "i.place",
        Own::Class => "i.class",
        Own::Group => "i.\"group\"",
        Own::ByHand => "i.by_hand",
        Own::Size => "i.size",
        Own::Modified => "i.modified",
        Own::Added => "o.at",
        Own::How => "o.how",
        Own::With => "o.what",
    }
}
