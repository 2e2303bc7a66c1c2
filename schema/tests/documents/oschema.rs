//! A reader of the oschema language, written from its grammar and not from our writer:
//!
//! ```text
//! schema   := { comment | service | typedef }
//! typedef  := Name '=' type  |  Name ':' primitive '=' union
//! type     := primary { '|' primary }
//! primary  := '{' fields '}' | '{' prim ':' type '}' | '[' type ']' | '(' tuple ')' | literal | Name
//! field    := name ['?'] ':' type ['=' literal] ['@index'] ['# comment']     (newline separated)
//! service  := 'service' Name '{' ['version:' "s"] ['description:' "s"] { method } '}'
//! method   := name '(' [p['?']':' type {',' ...}] ')' ['->' type] ['error:' E { '|' E }]
//! ```

use std::collections::BTreeSet;

const PRIMITIVES: [&str; 17] = [
    "bool",
    "u8",
    "u16",
    "u32",
    "u64",
    "i8",
    "i16",
    "i32",
    "i64",
    "f32",
    "f64",
    "str",
    "otime",
    "ocur",
    "olocation",
    "oaddress",
    "sid",
];

/// What a document declares.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub(crate) types: BTreeSet<String>,
    pub(crate) root_objects: BTreeSet<String>,
    pub(crate) methods: BTreeSet<String>,
    references: BTreeSet<String>,
}

/// Reads a document; the error is a message, with `line:column:` before it where it is one of syntax.
pub(crate) fn check(text: &str) -> Result<Schema, String> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, schema: Schema::default() };
    reader.document()?;
    let Schema { types, references, .. } = &reader.schema;
    match references.iter().find(|name| !types.contains(*name)) {
        Some(name) => Err(format!("`{name}` is not defined")),
        None => Ok(reader.schema),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text,
    Mark(&'static str),
    Comment(String),
    Newline,
    End,
}

struct Placed {
    token: Token,
    place: String,
}

fn tokens(text: &str) -> Result<Vec<Placed>, String> {
    let mut tokens = Vec::new();
    let mut last = (0, 0);
    for (line, content) in text.lines().enumerate() {
        let mut rest = content.trim_end();
        loop {
            rest = rest.trim_start();
            let column = content.trim_end().chars().count() - rest.chars().count();
            last = (line, column);
            if rest.is_empty() {
                break;
            }
            let place = format!("{}:{}", line + 1, column + 1);
            let (token, length) = token(rest).map_err(|why| format!("{place}: {why}"))?;
            tokens.push(Placed { token, place });
            rest = &rest[length..];
        }
        tokens.push(Placed {
            token: Token::Newline,
            place: format!("{}:{}", last.0 + 1, last.1 + 1),
        });
    }
    tokens.push(Placed { token: Token::End, place: format!("{}:{}", last.0 + 1, last.1 + 1) });
    Ok(tokens)
}

fn token(rest: &str) -> Result<(Token, usize), String> {
    if rest.starts_with('#') {
        return Ok((Token::Comment(rest.to_owned()), rest.len()));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let length = inside.find('"').ok_or("expected a closing `\"`")?;
        return Ok((Token::Text, length + 2));
    }
    let marks = ["->", "{", "}", "[", "]", "(", ")", "|", ":", "=", "?", ",", "@"];
    if let Some(mark) = marks.into_iter().find(|mark| rest.starts_with(mark)) {
        return Ok((Token::Mark(mark), mark.len()));
    }
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    if length == 0 {
        return Err(format!("expected a word, found `{}`", &rest[..1]));
    }
    Ok((Token::Word(rest[..length].to_owned()), length))
}

struct Reader {
    tokens: Vec<Placed>,
    at: usize,
    schema: Schema,
}

impl Reader {
    fn document(&mut self) -> Result<(), String> {
        let mut is_root_object = false;
        loop {
            match self.next() {
                Token::End => return Ok(()),
                Token::Newline => {}
                Token::Comment(text) => is_root_object |= text.contains("[rootobject]"),
                Token::Word(word) if word == "service" => self.service()?,
                Token::Word(name) => {
                    self.typedef(&name, is_root_object)?;
                    is_root_object = false;
                }
                _ => return Err(self.before("a definition")),
            }
        }
    }

    fn typedef(&mut self, name: &str, is_marked: bool) -> Result<(), String> {
        if self.take(":") {
            self.word()?;
        }
        self.expect("=")?;
        if !self.schema.types.insert(name.to_owned()) {
            return Err(format!("`{name}` is defined twice"));
        }
        let fields = self.union(name)?;
        if is_marked || fields.contains("sid") {
            self.schema.root_objects.insert(name.to_owned());
        }
        Ok(())
    }

    /// Gives the names of the fields, for an object.
    fn union(&mut self, owner: &str) -> Result<BTreeSet<String>, String> {
        let fields = self.primary(owner)?;
        while self.take("|") {
            self.primary(owner)?;
        }
        Ok(fields)
    }

    fn primary(&mut self, owner: &str) -> Result<BTreeSet<String>, String> {
        match self.next() {
            Token::Text => {}
            Token::Mark("{") => return self.braces(owner),
            Token::Mark("[") => {
                self.union(owner)?;
                self.expect("]")?;
            }
            Token::Mark("(") => {
                self.union(owner)?;
                while self.take(",") {
                    self.union(owner)?;
                }
                self.expect(")")?;
            }
            Token::Word(name) => self.refer_to(name),
            _ => return Err(self.before("a type")),
        }
        Ok(BTreeSet::new())
    }

    /// A map where a primitive stands in the place of a name, else fields.
    fn braces(&mut self, owner: &str) -> Result<BTreeSet<String>, String> {
        let mut fields = BTreeSet::new();
        self.skip_newlines();
        while let Token::Word(name) = self.peek().clone() {
            self.at += 1;
            self.take("?");
            self.expect(":")?;
            self.union(owner)?;
            if !fields.insert(name.clone()) {
                return Err(format!("`{owner}.{name}` is defined twice"));
            }
            if self.take("=") {
                self.next();
            }
            if *self.peek() == Token::Mark("@")
                && self.tokens[self.at + 1].token == Token::Word("index".into())
            {
                self.at += 2;
            }
            if let Token::Comment(_) = self.peek() {
                self.at += 1;
            }
            if *self.peek() != Token::Newline {
                break;
            }
            self.skip_newlines();
        }
        self.expect("}")?;
        Ok(fields)
    }

    fn service(&mut self) -> Result<(), String> {
        let service = self.word()?;
        self.expect("{")?;
        self.skip_newlines();
        while let Token::Word(name) = self.peek().clone() {
            self.at += 1;
            if matches!(name.as_str(), "version" | "description") && self.take(":") {
                if self.next() != Token::Text {
                    return Err(self.before("text in quotes"));
                }
            } else {
                self.method(&service, &name)?;
            }
            self.skip_newlines();
        }
        self.expect("}")
    }

    fn method(&mut self, service: &str, name: &str) -> Result<(), String> {
        let full = format!("{service}.{name}");
        self.expect("(")?;
        while let Token::Word(_) = self.peek() {
            self.at += 1;
            self.take("?");
            self.expect(":")?;
            self.union(&full)?;
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        if self.take("->") {
            self.union(&full)?;
        }
        if *self.peek() == Token::Word("error".into()) {
            self.at += 1;
            self.expect(":")?;
            self.union(&full)?;
        }
        if !self.schema.methods.insert(full.clone()) {
            return Err(format!("`{full}` is defined twice"));
        }
        Ok(())
    }

    fn refer_to(&mut self, name: String) {
        if name != "any" && !PRIMITIVES.contains(&name.as_str()) {
            self.schema.references.insert(name);
        }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        // The end stays where it is, so that nothing reads past it.
        self.at += usize::from(token != Token::End);
        token
    }

    fn take(&mut self, mark: &'static str) -> bool {
        let is_next = *self.peek() == Token::Mark(mark);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_newlines(&mut self) {
        while *self.peek() == Token::Newline {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.next() {
            Token::Word(word) => Ok(word),
            _ => Err(self.before("a name")),
        }
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(self.here(&format!("`{mark}`"))) }
    }

    fn before(&self, expected: &str) -> String {
        let back = usize::from(*self.peek() != Token::End || self.at == 0);
        self.message(self.at.saturating_sub(back), expected)
    }

    fn here(&self, expected: &str) -> String {
        self.message(self.at, expected)
    }

    fn message(&self, at: usize, expected: &str) -> String {
        let Placed { token, place } = &self.tokens[at];
        let found = match token {
            Token::Word(word) => format!("`{word}`"),
            Token::Mark(mark) => format!("`{mark}`"),
            Token::Text => "text in quotes".into(),
            Token::Comment(_) => "a comment".into(),
            Token::Newline | Token::End => "the end".into(),
        };
        format!("{place}: expected {expected}, found {found}")
    }
}
