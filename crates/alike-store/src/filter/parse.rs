//! From words to a condition whose types fit.

use super::lex::{Lexer, Token};
use super::{Condition, Field, FilterError, Kind, Operator, Own, Value};
use alike::suggest::did_you_mean;

/// Brackets and `not` within each other.
const DEEPEST: usize = 64;
/// Tests of a condition.
const MOST: usize = 500;

pub(super) fn parse(text: &str) -> Result<Condition, FilterError> {
    let tokens = Lexer::all(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, tests: 0 };
    if tokens.is_empty() {
        return Err(parser.wrong("it is empty; write one as in class = 'cup'"));
    }
    let condition = parser.or(0)?;
    if parser.at < tokens.len() {
        return Err(parser.wrong("'and' or 'or' is missing here"));
    }
    Ok(condition)
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [(usize, Token)],
    at: usize,
    tests: usize,
}

impl Parser<'_> {
    fn wrong(&self, why: impl Into<String>) -> FilterError {
        self.wrong_at(self.at, why)
    }

    fn wrong_at(&self, token: usize, why: impl Into<String>) -> FilterError {
        let at = self.tokens.get(token).map_or(self.text.len(), |t| t.0);
        FilterError { text: self.text.to_owned(), why: why.into(), at }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.1)
    }

    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(w)) if w == word);
        self.at += usize::from(is);
        is
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(is);
        is
    }

    fn or(&mut self, depth: usize) -> Result<Condition, FilterError> {
        let mut all = vec![self.and(depth)?];
        while self.word("or") {
            all.push(self.and(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::Or(all) })
    }

    fn and(&mut self, depth: usize) -> Result<Condition, FilterError> {
        let mut all = vec![self.not(depth)?];
        while self.word("and") {
            all.push(self.not(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::And(all) })
    }

    fn not(&mut self, depth: usize) -> Result<Condition, FilterError> {
        if depth > DEEPEST {
            return Err(self.wrong(format!("more than {DEEPEST} brackets stand within each other")));
        }
        if self.word("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.sign("(") {
            let inner = self.or(depth + 1)?;
            if !self.sign(")") {
                return Err(self.wrong("a bracket is not closed"));
            }
            return Ok(inner);
        }
        self.test()
    }

    fn test(&mut self) -> Result<Condition, FilterError> {
        self.tests += 1;
        if self.tests > MOST {
            return Err(self.wrong(format!("it has more than {MOST} tests")));
        }
        let (begin, field) = (self.at, self.field()?);
        let negated = |no: bool, test| if no { Condition::Not(Box::new(test)) } else { test };
        if self.word("is") {
            let no = self.word("not");
            if !self.word("null") {
                return Err(self.wrong("after 'is' stands 'null' or 'not null'"));
            }
            return Ok(negated(no, Condition::IsNull(field)));
        }
        let no = self.word("not");
        if self.word("in") {
            return Ok(negated(no, Condition::In(field.clone(), self.list(&field)?)));
        }
        if self.word("like") {
            if let Field::Own(own) = field
                && own.kind() != Kind::Text
            {
                let why = format!("{} is {}, and 'like' is for texts alone", own.name(), own.kind().name());
                return Err(self.wrong_at(begin, why));
            }
            let Some(Token::Value(Value::Text(pattern))) = self.peek().cloned() else {
                return Err(self.wrong("after 'like' stands a text in quotes, as in like '%cup%'"));
            };
            self.at += 1;
            return Ok(negated(no, Condition::Like(field, pattern)));
        }
        if no {
            return Err(self.wrong("after 'not' stands 'in' or 'like' here"));
        }
        let operator = match self.peek() {
            Some(Token::Sign("=")) => Operator::Equal,
            Some(Token::Sign("!=" | "<>")) => Operator::Unequal,
            Some(Token::Sign("<")) => Operator::Less,
            Some(Token::Sign("<=")) => Operator::LessOrEqual,
            Some(Token::Sign(">")) => Operator::More,
            Some(Token::Sign(">=")) => Operator::MoreOrEqual,
            _ => {
                return Err(
                    self.wrong("a comparison is missing here: =, !=, <, <=, >, >=, in, like or is null")
                );
            }
        };
        self.at += 1;
        let value = self.value(&field)?;
        if value.kind() == Kind::Truth && !matches!(operator, Operator::Equal | Operator::Unequal) {
            return Err(self.wrong_at(begin, "true and false are equal or not, neither is more"));
        }
        Ok(Condition::Compare(field, operator, value))
    }

    fn field(&mut self) -> Result<Field, FilterError> {
        let field = match self.peek() {
            Some(Token::Fact(name)) => Field::Fact(name.clone()),
            Some(Token::Word(word)) => match Own::ALL.iter().find(|(name, _)| name == word) {
                Some((_, own)) => Field::Own(*own),
                None => {
                    let names = Own::ALL.map(|(name, _)| name);
                    let hint = did_you_mean(word, names);
                    let why = format!(
                        "there is no field '{word}'{hint} (fields: {}, and facts.NAME)",
                        names.join(", ")
                    );
                    return Err(self.wrong(why));
                }
            },
            Some(Token::Value(_)) => {
                return Err(self.wrong("a field stands on the left, as in class = 'cup'"));
            }
            _ => return Err(self.wrong("a test is missing here, as in class = 'cup'")),
        };
        self.at += 1;
        Ok(field)
    }

    fn list(&mut self, field: &Field) -> Result<Vec<Value>, FilterError> {
        if !self.sign("(") {
            return Err(self.wrong("after 'in' stands a list in brackets, as in ('cup', 'mug')"));
        }
        let mut all = vec![self.value(field)?];
        while self.sign(",") {
            all.push(self.value(field)?);
        }
        if !self.sign(")") {
            return Err(self.wrong("the list is not closed"));
        }
        Ok(all)
    }

    /// A value that a field may have.
    fn value(&mut self, field: &Field) -> Result<Value, FilterError> {
        let Some(Token::Value(value)) = self.peek().cloned() else {
            let null = matches!(self.peek(), Some(Token::Word(w)) if w == "null");
            let why = if null {
                "what is not known is asked for with 'is null'"
            } else {
                "a value is missing here: a text in quotes, a number, a date, true or false"
            };
            return Err(self.wrong(why));
        };
        if let Field::Own(own) = field
            && own.kind() != value.kind()
        {
            let why = format!(
                "{} is {} ({}), not {}",
                own.name(),
                own.kind().name(),
                own.kind().example(),
                value.kind().name()
            );
            return Err(self.wrong(why));
        }
        self.at += 1;
        Ok(value)
    }
}
