//! From text to words.

use super::{FilterError, Value};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A field, or a word of the language.
    Word(String),
    /// The name of a fact.
    Fact(String),
    Value(Value),
    Sign(&'static str),
}

const SIGNS: [&str; 10] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn all(text: &'a str) -> Result<Vec<(usize, Token)>, FilterError> {
        let mut lexer = Lexer { text, at: 0 };
        let mut tokens = Vec::new();
        loop {
            lexer.at += lexer.rest().len() - lexer.rest().trim_start().len();
            if lexer.rest().is_empty() {
                return Ok(tokens);
            }
            let at = lexer.at;
            tokens.push((at, lexer.token()?));
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self, why: impl Into<String>) -> FilterError {
        FilterError { text: self.text.to_owned(), why: why.into(), at: self.at }
    }

    fn take(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn token(&mut self) -> Result<Token, FilterError> {
        let rest = self.rest();
        if let Some(sign) = SIGNS.into_iter().find(|s| rest.starts_with(s)) {
            self.at += sign.len();
            return Ok(Token::Sign(sign));
        }
        match rest.chars().next().unwrap_or(' ') {
            '\'' => Ok(Token::Value(Value::Text(self.quoted('\'')?))),
            '"' => Err(self.wrong("a text stands in single quotes, as in class = 'cup'")),
            c if c.is_ascii_digit() || c == '-' || c == '.' => self.number_or_date().map(Token::Value),
            c if c.is_alphabetic() || c == '_' => self.word(),
            _ => Err(self.wrong("this means nothing here")),
        }
    }

    /// What stands in quotes; a quote within is written twice.
    fn quoted(&mut self, quote: char) -> Result<String, FilterError> {
        let begin = self.at;
        let mut found = String::new();
        self.at += 1;
        loop {
            let Some(end) = self.rest().find(quote) else {
                self.at = begin;
                return Err(self.wrong("a quote is not closed"));
            };
            found.push_str(&self.rest()[..end]);
            self.at += end + 1;
            if !self.rest().starts_with(quote) {
                return Ok(found);
            }
            found.push(quote);
            self.at += 1;
        }
    }

    fn number_or_date(&mut self) -> Result<Value, FilterError> {
        let begin = self.at;
        let word = self.take(|c| c.is_ascii_alphanumeric() || "+-.:".contains(c));
        // A sign that follows without a space is no part of it.
        let is_date = word.len() >= 10 && word.as_bytes()[4] == b'-' && !word.starts_with('-');
        if is_date {
            if let Some((first, end)) = crate::time::span(word) {
                return Ok(Value::Date(first, end));
            }
            self.at = begin;
            return Err(
                self.wrong(format!("'{word}' is no date; write it as 2024-05-01 or 2024-05-01T12:30"))
            );
        }
        if let Ok(whole) = word.parse::<i64>() {
            return Ok(Value::Whole(whole));
        }
        if let Some(number) = word.parse::<f64>().ok().filter(|n| n.is_finite()) {
            return Ok(Value::Number(number));
        }
        self.at = begin;
        Err(self.wrong(format!("'{word}' is neither a number nor a date; a text stands in quotes")))
    }

    fn word(&mut self) -> Result<Token, FilterError> {
        let begin = self.at;
        let word = self.take(|c| c.is_alphanumeric() || c == '_');
        if !word.eq_ignore_ascii_case("facts") {
            return Ok(match word.to_ascii_lowercase().as_str() {
                "true" => Token::Value(Value::Truth(true)),
                "false" => Token::Value(Value::Truth(false)),
                small => Token::Word(small.to_owned()),
            });
        }
        if !self.rest().starts_with('.') {
            self.at = begin;
            return Err(self.wrong("say which fact, as in facts.camera"));
        }
        self.at += 1;
        let name = if self.rest().starts_with('"') {
            self.quoted('"')?
        } else {
            self.take(|c| c.is_alphanumeric() || c == '_').to_owned()
        };
        if name.is_empty() {
            self.at = begin;
            return Err(self.wrong("say which fact, as in facts.camera or facts.\"lens type\""));
        }
        if name.contains(['"', '\\']) || name.contains(char::is_control) {
            self.at = begin;
            return Err(self.wrong("the name of a fact has no quotes and no backslashes"));
        }
        Ok(Token::Fact(name))
    }
}
