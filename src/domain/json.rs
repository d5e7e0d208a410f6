//! JSON objects kept as text: checking, equality and merge patch (RFC 7396).
//!
//! A record's `data` is stored as the client wrote it, except insignificant
//! white space, which is dropped because the change feeds are made of lines. No
//! tree of values ever stands for a record: numbers keep every digit, keys keep
//! their order and strings keep their spelling. The functions below therefore
//! walk the text itself and only borrow from it.
//!
//! - `compact` checks a text and takes the white space out of it.
//! - `walk` goes through checked texts, `scalar` compares strings and numbers.
//! - Equality and merge patch are here.

mod compact;
mod scalar;
#[cfg(test)]
mod tests;
mod walk;

use serde_json::value::RawValue;

use compact::compact;
use scalar::same_scalar;
use walk::{Cursor, Finder, Member, Node};

/// How many levels a document may nest; the object itself is the first one.
pub const MAX_DEPTH: usize = 128;

/// Up to this many keys, comparing with each in turn beats hashing.
const FEW_KEYS: usize = 16;

/// Why a JSON text cannot be a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// The text is JSON, but no object.
    #[error("the value must be a JSON object")]
    NotAnObject,
    /// Two keys of one object are the same string, however they are spelled.
    #[error("the key {key:?} stands more than once in the same object")]
    DuplicateKey {
        /// The key, unescaped as far as it is Unicode, and cut when it is long.
        key: String,
    },
    /// The text nests deeper than [`MAX_DEPTH`].
    #[error("the value nests more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// The text is not JSON.
    #[error("the text is not valid JSON")]
    Malformed,
}

/// A JSON object as text: valid, without insignificant white space, without a
/// duplicate key, and at most [`MAX_DEPTH`] levels deep.
///
/// `==` compares the text; [`Document::equals`] compares what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(Box<str>);

// A document is at least `{}`, so an `is_empty` would say nothing.
#[allow(clippy::len_without_is_empty)]
impl Document {
    /// Checks a JSON value and takes the white space out of it.
    ///
    /// # Errors
    ///
    /// Says what keeps the value from being a document. Of several faults a
    /// duplicate key is reported rather than too much depth.
    pub fn parse(raw: &RawValue) -> Result<Self, JsonFault> {
        compact(raw.get()).map(Self)
    }

    /// Takes back a text that was a document when it was stored; nothing is
    /// checked. Should the text be no document after all, then what comes of
    /// comparing and merging it is arbitrary, but nothing panics or hangs.
    #[must_use]
    pub fn from_stored(text: Box<str>) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The length of the text in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The text, to be stored.
    #[must_use]
    pub fn into_boxed_str(self) -> Box<str> {
        self.0
    }

    /// Whether both are the same JSON value: the order of keys and the spelling
    /// of numbers (`1`, `1.0`, `10e-1`) and of strings (escapes) do not count.
    /// Numbers are compared by their exact decimal value.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.0 == other.0
            || Node::read(&self.0).is_some_and(|node| same_value(&node, &mut Cursor::new(&other.0)).is_some())
    }

    /// What an RFC 7396 merge patch makes of this document. Members the patch
    /// does not name keep their text, replaced members keep their place, and
    /// new members follow in the order of the patch.
    ///
    /// Every value of the result stands on the level where it stood in one of
    /// the two, so the result nests no deeper than the deeper of them.
    #[must_use]
    pub fn merge(&self, patch: &Patch) -> Self {
        let mut merged = String::with_capacity(self.len() + patch.len());
        let done = Node::read(patch.as_str()).and_then(|node| match node {
            Node::Object(members) => merge_object(&mut Cursor::new(&self.0), &members, &mut merged),
            Node::Array { .. } | Node::Scalar(_) => None,
        });
        match done {
            Some(()) => Self(merged.into_boxed_str()),
            // Only a stored text that is no document leads here.
            None => self.clone(),
        }
    }
}

/// An RFC 7396 merge patch whose top level is an object; any other patch would
/// put something that is no object in the record's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch(Document);

// See `Document`.
#[allow(clippy::len_without_is_empty)]
impl Patch {
    /// Checks a JSON value as [`Document::parse`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Document::parse`].
    pub fn parse(raw: &RawValue) -> Result<Self, JsonFault> {
        Document::parse(raw).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The length of the text in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Steps over the value at `other` if it is the same as `value`; `None` if it
/// is not. Goes as deep as `value` does.
fn same_value(value: &Node<'_>, other: &mut Cursor<'_>) -> Option<()> {
    match value {
        Node::Scalar(text) => same_scalar(text, other.value()?).then_some(()),
        Node::Array { items, .. } => {
            let mut items = items.iter();
            let mut more = other.enter(b'[', b']')?;
            while more {
                same_value(items.next()?, other)?;
                more = other.more(b']')?;
            }
            items.next().is_none().then_some(())
        }
        Node::Object(members) => {
            let mut finder = Finder::new(members);
            let mut found = 0;
            let mut more = other.enter(b'{', b'}')?;
            while more {
                let (_, key) = other.key()?;
                let (_, member) = finder.find(&key)?;
                same_value(&member.value, other)?;
                found += 1;
                more = other.more(b'}')?;
            }
            // Keys are unique, so equally many are the same ones.
            (found == members.len()).then_some(())
        }
    }
}

/// Writes to `out` what the members of a patch make of the object at `target`,
/// and steps over that. Goes as deep as the patch does.
fn merge_object(target: &mut Cursor<'_>, patch: &[Member<'_>], out: &mut String) -> Option<()> {
    let mut finder = Finder::new(patch);
    let mut applied = vec![false; patch.len()];
    let mut separator = '{';
    let mut start_member = |out: &mut String, spelling: &str| {
        out.push(separator);
        out.push_str(spelling);
        out.push(':');
        separator = ',';
    };

    let mut more = target.enter(b'{', b'}')?;
    while more {
        let (spelling, key) = target.key()?;
        if let Some((index, member)) = finder.find(&key) {
            *applied.get_mut(index)? = true;
            match &member.value {
                Node::Object(members) if target.peek() == Some(b'{') => {
                    start_member(out, spelling);
                    merge_object(target, members, out)?;
                }
                value => {
                    target.value()?;
                    if !value.is_null() {
                        start_member(out, spelling);
                        put_new(value, out)?;
                    }
                }
            }
        } else {
            start_member(out, spelling);
            out.push_str(target.value()?);
        }
        more = target.more(b'}')?;
    }

    for (member, applied) in patch.iter().zip(applied) {
        if !applied && !member.value.is_null() {
            start_member(out, member.spelling);
            put_new(&member.value, out)?;
        }
    }
    if separator == '{' {
        out.push('{');
    }
    out.push('}');
    Some(())
}

/// Writes what a value of a patch makes of a place where no object is.
fn put_new(value: &Node<'_>, out: &mut String) -> Option<()> {
    match value {
        // As the RFC says: merged into an empty object, which strips the nulls.
        Node::Object(members) => merge_object(&mut Cursor::new("{}"), members, out),
        Node::Array { text, .. } | Node::Scalar(text) => {
            out.push_str(text);
            Some(())
        }
    }
}
