//! Walking through JSON texts without building values.
//!
//! The texts are valid, but nothing here relies on that more than for a correct
//! result: on any other text a walk ends early and gives `None`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::scalar::key_value;
use super::{FEW_KEYS, MAX_DEPTH};

/// Where the closing quote is of the string whose inside starts at `from`, and
/// whether there are escapes in it.
///
/// Most of a record is strings, and most of the time of parsing would go into
/// looking at their bytes one by one; hence eight at once.
pub(super) fn string_end(bytes: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut at = from;
    let mut escapes = false;
    loop {
        let rest = bytes.get(at..)?;
        let skipped = if let Some(word) = rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let hits = marks(word, b'"') | marks(word, b'\\');
            // Eight if there is none. The first byte is the lowest one.
            hits.trailing_zeros() as usize / 8
        } else {
            rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?
        };
        at += match rest.get(skipped) {
            Some(b'"') => return Some((at + skipped, escapes)),
            // The backslash and what it escapes.
            Some(b'\\') => {
                escapes = true;
                skipped + 2
            }
            _ => skipped,
        };
    }
}

/// Sets the highest bit of every byte of `word` that is `wanted`; perhaps also
/// in bytes above such a byte, but never below the first.
fn marks(word: u64, wanted: u8) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zeros = word ^ (ONES * u64::from(wanted));
    zeros.wrapping_sub(ONES) & !zeros & (ONES << 7)
}

/// Where the first byte is, from `at` on, that does not satisfy `belongs`.
fn run_end(bytes: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| belongs(**byte)).count()
}

/// Where the number or literal ends that starts at `at`.
pub(super) fn scalar_end(bytes: &[u8], at: usize) -> usize {
    run_end(bytes, at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Where the white space ends that starts at `at`.
pub(super) fn space_end(bytes: &[u8], at: usize) -> usize {
    run_end(bytes, at, |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// A place in a text without white space. Every step forward either takes
/// bytes or gives `None`, so that no text can keep a walk going for ever.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it stands here.
    fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Steps over the bracket that opens an object or array, and says whether
    /// there is anything in it.
    pub(super) fn enter(&mut self, open: u8, close: u8) -> Option<bool> {
        self.eat(open).then(|| !self.eat(close))
    }

    /// Steps over the comma or bracket behind an item, and says whether another
    /// item follows.
    pub(super) fn more(&mut self, close: u8) -> Option<bool> {
        if self.eat(b',') {
            Some(true)
        } else if self.eat(close) {
            Some(false)
        } else {
            None
        }
    }

    /// Steps over a key and its colon. Gives the key with its quotes, and
    /// unescaped.
    pub(super) fn key(&mut self) -> Option<(&'a str, Cow<'a, [u8]>)> {
        let start = self.at;
        if !self.eat(b'"') {
            return None;
        }
        let (quote, escapes) = string_end(self.text.as_bytes(), self.at)?;
        let key = key_value(self.text.get(self.at..quote)?, escapes)?;
        self.at = quote + 1;
        let spelling = self.text.get(start..self.at)?;
        self.eat(b':').then_some((spelling, key))
    }

    /// Steps over a value and gives its text.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            let end = match self.peek()? {
                b'"' => string_end(bytes, self.at + 1)?.0 + 1,
                b'{' | b'[' => {
                    depth += 1;
                    self.at + 1
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at + 1
                }
                b',' | b':' if depth > 0 => self.at + 1,
                _ => scalar_end(bytes, self.at),
            };
            if end == self.at {
                return None;
            }
            self.at = end;
            if depth == 0 {
                return self.text.get(start..end);
            }
        }
    }
}

/// A value taken apart as far as comparing and patching need it.
pub(super) enum Node<'a> {
    /// A string, number, `true`, `false` or `null`.
    Scalar(&'a str),
    Array {
        text: &'a str,
        items: Vec<Node<'a>>,
    },
    Object(Vec<Member<'a>>),
}

/// A member of an object.
pub(super) struct Member<'a> {
    /// The key as it is written, with its quotes.
    pub(super) spelling: &'a str,
    key: Cow<'a, [u8]>,
    pub(super) value: Node<'a>,
}

impl<'a> Node<'a> {
    /// Takes a text apart; `None` if it is no document.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        let node = Self::read_at(&mut cursor, 1)?;
        cursor.peek().is_none().then_some(node)
    }

    fn read_at(cursor: &mut Cursor<'a>, depth: usize) -> Option<Self> {
        let start = cursor.at;
        let open = cursor.peek()?;
        if !matches!(open, b'{' | b'[') {
            return cursor.value().map(Self::Scalar);
        }
        // Bounds the recursion, here and wherever a node is walked through.
        if depth > MAX_DEPTH {
            return None;
        }
        if open == b'{' {
            let mut members = Vec::new();
            let mut more = cursor.enter(b'{', b'}')?;
            while more {
                let (spelling, key) = cursor.key()?;
                let value = Self::read_at(cursor, depth + 1)?;
                members.push(Member { spelling, key, value });
                more = cursor.more(b'}')?;
            }
            return Some(Self::Object(members));
        }
        let mut items = Vec::new();
        let mut more = cursor.enter(b'[', b']')?;
        while more {
            items.push(Self::read_at(cursor, depth + 1)?);
            more = cursor.more(b']')?;
        }
        let text = cursor.text.get(start..cursor.at)?;
        Some(Self::Array { text, items })
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar("null"))
    }
}

/// Finds the members of an object by key. Cheapest when they are asked for in
/// the order in which they stand, and never quadratic.
pub(super) struct Finder<'n, 'a> {
    members: &'n [Member<'a>],
    /// Where the next member asked for should be.
    next: usize,
    /// Made when it is first needed.
    places: Option<HashMap<&'n [u8], usize>>,
}

impl<'n, 'a> Finder<'n, 'a> {
    pub(super) fn new(members: &'n [Member<'a>]) -> Self {
        Self { members, next: 0, places: None }
    }

    /// Gives the place of a member among the others, and the member.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<(usize, &'n Member<'a>)> {
        let members = self.members;
        let place = if members.get(self.next).is_some_and(|member| *member.key == *key) {
            self.next
        } else if members.len() <= FEW_KEYS {
            members.iter().position(|member| *member.key == *key)?
        } else {
            let places = self.places.get_or_insert_with(|| {
                members.iter().enumerate().map(|(place, member)| (&*member.key, place)).collect()
            });
            *places.get(key)?
        };
        self.next = place + 1;
        Some((place, members.get(place)?))
    }
}
