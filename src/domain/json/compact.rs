//! The check every pushed record passes: structure, depth, duplicate keys.

use std::borrow::Cow;
use std::collections::HashSet;

use super::scalar::{key_value, unescape};
use super::walk::{scalar_end, space_end, string_end};
use super::{FEW_KEYS, JsonFault, MAX_DEPTH};

/// How much of a key an error message repeats, in characters.
const KEY_IN_MESSAGE: usize = 64;

/// What may stand next in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// Checks the text of a JSON value and copies it without white space, in one
/// pass and without recursion, so that no depth can exhaust the stack.
///
/// The structure is checked in full. The inside of strings and numbers is not:
/// `serde_json` has done that for whoever holds a `RawValue`.
pub(super) fn compact(text: &str) -> Result<Box<str>, JsonFault> {
    let bytes = text.as_bytes();
    let mut open = OpenValues::new();
    let mut expect = Expect::Value;
    let mut too_deep = false;
    // The text before `kept` has been copied or dropped. White space is rare
    // in what programs send; a text without any is copied at once at the end.
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let mut escapes = false;
        let end = match byte {
            b'"' => {
                let quote;
                (quote, escapes) = string_end(bytes, at + 1).ok_or(JsonFault::Malformed)?;
                quote + 1
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => scalar_end(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => space_end(bytes, at),
            _ => at + 1,
        };
        expect = match (byte, expect) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {
                if out.capacity() == 0 {
                    out.reserve_exact(text.len());
                }
                out.push_str(text.get(kept..at).ok_or(JsonFault::Malformed)?);
                kept = end;
                expect
            }
            (b'"', Expect::Key | Expect::KeyOrEnd) => {
                let key = text.get(at + 1..end - 1).ok_or(JsonFault::Malformed)?;
                open.add_key(key, escapes)?;
                Expect::Colon
            }
            (b'{', Expect::Value | Expect::ValueOrEnd) => {
                too_deep |= open.push_object() > MAX_DEPTH;
                Expect::KeyOrEnd
            }
            // The outermost value must be an object.
            (_, Expect::Value) if open.is_empty() => return Err(JsonFault::NotAnObject),
            (b'[', Expect::Value | Expect::ValueOrEnd) => {
                too_deep |= open.push_array() > MAX_DEPTH;
                Expect::ValueOrEnd
            }
            (b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Expect::Value | Expect::ValueOrEnd) => Expect::CommaOrEnd,
            (b':', Expect::Colon) => Expect::Value,
            (b',', Expect::CommaOrEnd) if open.in_array() => Expect::Value,
            (b',', Expect::CommaOrEnd) => Expect::Key,
            (b'}', Expect::KeyOrEnd | Expect::CommaOrEnd) if !open.in_array() => open.pop(),
            (b']', Expect::ValueOrEnd | Expect::CommaOrEnd) if open.in_array() => open.pop(),
            _ => return Err(JsonFault::Malformed),
        };
        at = end;
    }
    if expect != Expect::Nothing {
        return Err(JsonFault::Malformed);
    }
    // Only now: a duplicate key further on would have come first.
    if too_deep {
        return Err(JsonFault::TooDeep);
    }
    if kept == 0 {
        return Ok(text.into());
    }
    out.push_str(text.get(kept..).ok_or(JsonFault::Malformed)?);
    Ok(out.into_boxed_str())
}

/// The objects and arrays around a place in the text, with the keys seen so far.
struct OpenValues<'a> {
    levels: Vec<Level>,
    /// The keys of all open objects that have few of them, outermost first.
    keys: Vec<Cow<'a, [u8]>>,
    /// The keys of the open objects that have many, outermost first.
    key_sets: Vec<HashSet<Cow<'a, [u8]>>>,
}

#[derive(Clone, Copy)]
enum Level {
    Array,
    /// An object whose keys are those from this one on in `keys`.
    Object(usize),
    /// An object whose keys are in one of `key_sets`.
    LargeObject,
}

impl<'a> OpenValues<'a> {
    /// Has room for most records, so that they need not allocate again.
    fn new() -> Self {
        Self { levels: Vec::with_capacity(8), keys: Vec::with_capacity(FEW_KEYS), key_sets: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    fn in_array(&self) -> bool {
        matches!(self.levels.last(), Some(Level::Array))
    }

    /// Opens an array and says how many values are open now.
    fn push_array(&mut self) -> usize {
        self.levels.push(Level::Array);
        self.levels.len()
    }

    /// Opens an object and says how many values are open now.
    fn push_object(&mut self) -> usize {
        self.levels.push(Level::Object(self.keys.len()));
        self.levels.len()
    }

    /// Closes the innermost value and says what may follow it.
    fn pop(&mut self) -> Expect {
        match self.levels.pop() {
            Some(Level::Object(first)) => self.keys.truncate(first),
            Some(Level::LargeObject) => drop(self.key_sets.pop()),
            Some(Level::Array) | None => {}
        }
        if self.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd }
    }

    /// Adds a key, as it stands between its quotes, to the innermost object.
    fn add_key(&mut self, spelling: &'a str, escapes: bool) -> Result<(), JsonFault> {
        let key = key_value(spelling, escapes).ok_or(JsonFault::Malformed)?;
        let fresh = match self.levels.last_mut() {
            Some(Level::LargeObject) => self.key_sets.last_mut().is_some_and(|set| set.insert(key)),
            Some(level @ &mut Level::Object(first)) => {
                let seen = self.keys.get(first..).unwrap_or_default();
                let fresh = !seen.contains(&key);
                if fresh && seen.len() < FEW_KEYS {
                    self.keys.push(key);
                } else if fresh {
                    let mut set: HashSet<_> = self.keys.drain(first..).collect();
                    set.insert(key);
                    self.key_sets.push(set);
                    *level = Level::LargeObject;
                }
                fresh
            }
            // Keys are expected in objects only.
            Some(Level::Array) | None => return Err(JsonFault::Malformed),
        };
        if fresh { Ok(()) } else { Err(duplicate_key(spelling)) }
    }
}

/// Kept out of the way of the keys that are not duplicates.
#[cold]
fn duplicate_key(spelling: &str) -> JsonFault {
    let key = unescape(spelling).unwrap_or_default();
    JsonFault::DuplicateKey { key: String::from_utf8_lossy(&key).chars().take(KEY_IN_MESSAGE).collect() }
}
