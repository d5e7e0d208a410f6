//! Names as the protocol allows them (PROTOCOL.md §1, §7). A value of these types has been checked; nothing checks it again.

use std::fmt;
use std::sync::Arc;

use super::cursor::Scope;

/// Why a text is not a name. The sentence says what is allowed; the caller adds where the text stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Not `[a-z0-9][a-z0-9_-]{0,62}`.
    #[error("must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or a digit")]
    Name,
    /// Not 1 to 256 bytes.
    #[error("must be 1 to 256 bytes of UTF-8")]
    IdLength,
    /// A control character (Unicode category Cc).
    #[error("must not contain control characters")]
    IdControl,
    /// Not 1 to 128 visible ASCII characters.
    #[error("must be 1 to 128 visible ASCII characters")]
    Client,
    /// A list of collections with nothing in it.
    #[error("must name at least one collection")]
    NoCollections,
}

fn check_name(text: &str) -> Result<(), NameFault> {
    let mut bytes = text.bytes();
    let first = bytes.next().ok_or(NameFault::Name)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if text.len() <= 63 && plain(first) && bytes.all(|b| plain(b) || b == b'_' || b == b'-') {
        Ok(())
    } else {
        Err(NameFault::Name)
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// [`NameFault::Name`] when the text is no name.
            pub fn new(text: &str) -> Result<Self, NameFault> {
                check_name(text).map(|()| Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameFault;

            fn from_str(text: &str) -> Result<Self, NameFault> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type! {
    /// The name of a space: `[a-z0-9][a-z0-9_-]{0,62}` (§1). Cloning is cheap.
    SpaceName
}

name_type! {
    /// The name of a collection, by the same rule as a space's (§1). Cloning is cheap.
    CollectionName
}

/// A record's id within its collection: 1 to 256 bytes of UTF-8 without control characters (§1). Ordered by bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(Box<str>);

impl RecordId {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`NameFault::IdLength`] or [`NameFault::IdControl`].
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, NameFault> {
        let text = text.into();
        if text.is_empty() || text.len() > 256 {
            return Err(NameFault::IdLength);
        }
        // Control characters begin with a byte below 0x20, with 0x7f, or (C1) with 0xc2: most ids have none of these.
        let suspicious = text.bytes().any(|b| b < 0x20 || b == 0x7f || b == 0xc2);
        if suspicious && text.chars().any(char::is_control) {
            return Err(NameFault::IdControl);
        }
        Ok(Self(text))
    }

    /// Takes an id that was checked when it was stored.
    #[must_use]
    pub fn from_stored(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client calls itself in `Strandline-Client`: 1 to 128 visible ASCII characters (§7).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(Box<str>);

impl ClientName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`NameFault::Client`].
    pub fn new(text: &str) -> Result<Self, NameFault> {
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        if text.is_empty() || text.len() > 128 || !visible {
            return Err(NameFault::Client);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A choice of collections: sorted, each once, at least one. Its [`Scope`] goes into every cursor earned over it (§1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collections {
    names: Vec<CollectionName>,
    scope: Scope,
}

impl Collections {
    /// Sorts and dedupes `names`, so that the order a client writes them in does not matter (§3).
    ///
    /// # Errors
    /// [`NameFault::NoCollections`] when there are none.
    pub fn new(mut names: Vec<CollectionName>) -> Result<Self, NameFault> {
        if names.is_empty() {
            return Err(NameFault::NoCollections);
        }
        names.sort();
        names.dedup();
        let scope = Scope::of(&names);
        Ok(Self { names, scope })
    }

    /// Parses comma-separated names, as in `?collections=todos,lists`.
    ///
    /// # Errors
    /// [`NameFault::Name`] when one of them is none; [`NameFault::NoCollections`] for an empty text.
    pub fn parse(list: &str) -> Result<Self, NameFault> {
        if list.is_empty() {
            return Err(NameFault::NoCollections);
        }
        Self::new(list.split(',').map(CollectionName::new).collect::<Result<_, _>>()?)
    }

    /// The names in ascending order.
    #[must_use]
    pub fn names(&self) -> &[CollectionName] {
        &self.names
    }

    /// The mark of this choice in a cursor.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether `name` is among them.
    #[must_use]
    pub fn contains(&self, name: &CollectionName) -> bool {
        self.names.binary_search(name).is_ok()
    }
}

impl fmt::Display for Collections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.names.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(name.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_name_is_short_lower_case_and_begins_with_a_letter_or_digit() {
        let long = "a".repeat(63);
        for good in ["a", "0", "team-1", "a_b", long.as_str()] {
            assert!(SpaceName::new(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in ["", "-a", "_a", "A", "a.b", "a/b", "ä", "a b", too_long.as_str()] {
            assert_eq!(SpaceName::new(bad), Err(NameFault::Name), "{bad}");
        }
    }

    #[test]
    fn an_id_is_any_unicode_without_control_characters() {
        let longest = "é".repeat(128);
        for good in ["a", "src/main.rs", "日本", "a b", "©", "..", "\u{a0}", longest.as_str()] {
            assert!(RecordId::new(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(257);
        for (bad, fault) in [
            ("", NameFault::IdLength),
            (too_long.as_str(), NameFault::IdLength),
            ("a\n", NameFault::IdControl),
            ("\u{7f}", NameFault::IdControl),
            ("\u{85}", NameFault::IdControl),
        ] {
            assert_eq!(RecordId::new(bad), Err(fault), "{bad:?}");
        }
    }

    #[test]
    fn a_client_name_is_visible_ascii() {
        assert!(ClientName::new("phone-7!~").is_ok());
        for bad in ["", "a b", "é", "\t", "a".repeat(129).as_str()] {
            assert_eq!(ClientName::new(bad), Err(NameFault::Client), "{bad:?}");
        }
    }

    #[test]
    fn a_choice_of_collections_does_not_depend_on_its_order() {
        let one = Collections::parse("b,a,b").unwrap();
        let other = Collections::parse("a,b").unwrap();
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "a,b");
        assert_eq!(Collections::parse(""), Err(NameFault::NoCollections));
        assert_eq!(Collections::parse("a,,b"), Err(NameFault::Name));
        // `a,b` and `ab` must not meet in one scope.
        assert_ne!(other.scope(), Collections::parse("ab").unwrap().scope());
    }
}
