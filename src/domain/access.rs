//! Who may do what where (PROTOCOL.md §10): grants on spaces and collections, and what they come to.

mod template;
mod token;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Object;
use super::names::{CollectionName, Collections, NameFault, SpaceName};

pub use template::SpaceTemplate;
pub use token::{TOKEN_START, Token, TokenFault, TokenHash, TokenId, TokenKind, TokenName};

/// Grants of a token, at the most. More are a mistake, and each request looks at all of them.
pub const MOST_GRANTS: usize = 100;

/// What a grant lets its holder do; each level has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Pull, manifest, fetch, GET.
    Read,
    /// Also push and records.
    Write,
    /// Also create, configure, delete, compact, clients, metrics, tokens.
    Admin,
}

impl Access {
    const ALL: [(Self, &str); 3] = [(Self::Read, "read"), (Self::Write, "write"), (Self::Admin, "admin")];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(access, _)| *access == self).map_or("read", |(_, word)| word)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Access {
    type Err = GrantFault;

    fn from_str(text: &str) -> Result<Self, GrantFault> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(access, _)| *access).ok_or(GrantFault::Access)
    }
}

/// Why something is no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantFault {
    /// Not a pattern of spaces.
    #[error("space must be a space's name, or the beginning of names and a * behind it")]
    Pattern,
    /// Not a level.
    #[error("access must be read, write or admin")]
    Access,
    /// Not a choice of collections.
    #[error("collections: each {0}")]
    Collections(NameFault),
    /// There are none, or too many.
    #[error("there must be 1 to {MOST_GRANTS} grants")]
    Count,
    /// Not `SPACE:ACCESS`.
    #[error("a grant is a space and what it allows, such as team-*:write")]
    Short,
    /// Not a template.
    #[error(
        "a template is a space's name with {{sub}} or {{sub:sha256}} in it once, and what it allows, such as user-{{sub}}:write"
    )]
    Template,
}

/// The spaces that a grant is about: one by its name, or all whose names begin alike.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SpacePattern(Arc<str>);

impl SpacePattern {
    /// `text` is a name, or what names begin with and a `*`.
    ///
    /// # Errors
    /// [`GrantFault::Pattern`].
    pub fn new(text: &str) -> Result<Self, GrantFault> {
        let start = text.strip_suffix('*').unwrap_or(text);
        let all = start.is_empty() && !text.is_empty();
        if all || SpaceName::new(start).is_ok() { Ok(Self(text.into())) } else { Err(GrantFault::Pattern) }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the names begin with; `None` for a pattern that is one name.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// Whether `name` is one of these spaces.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.prefix().map_or(*self.0 == *name, |prefix| name.starts_with(prefix))
    }

    /// Whether all spaces of `other` are among these.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self.prefix(), other.prefix()) {
            (Some(prefix), Some(narrower)) => narrower.starts_with(prefix),
            (None, Some(_)) => false,
            (_, None) => self.matches(&other.0),
        }
    }
}

impl fmt::Display for SpacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SpacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One grant: `{"space":"team-*","access":"read","collections":["todos"]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Object<Written>", into = "Written")]
pub struct Grant {
    /// Where.
    pub space: SpacePattern,
    /// What.
    pub access: Access,
    /// In which collections; `None` for all, and for what is of the space as a whole.
    pub collections: Option<Collections>,
}

/// A grant as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    space: String,
    access: Access,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collections: Option<Vec<String>>,
}

impl TryFrom<Object<Written>> for Grant {
    type Error = GrantFault;

    fn try_from(Object(written): Object<Written>) -> Result<Self, GrantFault> {
        let choice = |names: Vec<String>| {
            let names = names.iter().map(|name| CollectionName::new(name)).collect::<Result<_, _>>()?;
            Collections::new(names)
        };
        let collections = written.collections.map(choice).transpose().map_err(GrantFault::Collections)?;
        Ok(Self { space: SpacePattern::new(&written.space)?, access: written.access, collections })
    }
}

impl From<Grant> for Written {
    fn from(grant: Grant) -> Self {
        let names = |choice: Collections| choice.names().iter().map(ToString::to_string).collect();
        Self { space: grant.space.to_string(), access: grant.access, collections: grant.collections.map(names) }
    }
}

/// `team-*:write`: for people. Of all collections.
impl FromStr for Grant {
    type Err = GrantFault;

    fn from_str(text: &str) -> Result<Self, GrantFault> {
        let (space, access) = text.split_once(':').ok_or(GrantFault::Short)?;
        Ok(Self { space: SpacePattern::new(space)?, access: access.parse()?, collections: None })
    }
}

/// `team-*:write`, and `(a,b)` behind it for a choice of collections.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.space, self.access)?;
        self.collections.as_ref().map_or(Ok(()), |choice| write!(f, "({choice})"))
    }
}

/// What a token may do: the union of its grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

/// How far grants reach into a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No grant is about this space: to its holder it does not exist.
    Nowhere,
    /// Some grant is, but allows less.
    TooLittle,
    /// These collections.
    Part(Collections),
    /// All of it.
    Whole,
}

impl Grants {
    /// These grants.
    ///
    /// # Errors
    /// [`GrantFault::Count`].
    pub fn new(grants: Vec<Grant>) -> Result<Self, GrantFault> {
        if (1..=MOST_GRANTS).contains(&grants.len()) { Ok(Self(grants)) } else { Err(GrantFault::Count) }
    }

    /// Reads what somebody holds already, as JSON text: it may be nothing, and a template may have made it one more than may be
    /// issued.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse_held(json: &str) -> Result<Self, String> {
        let grants: Vec<Grant> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if grants.len() > MOST_GRANTS + 1 { Err(GrantFault::Count.to_string()) } else { Ok(Self(grants)) }
    }

    /// Reads an array of grants as JSON text.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(json: &str) -> Result<Self, String> {
        let grants = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Self::new(grants).map_err(|fault| fault.to_string())
    }

    /// As an array in JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings in structs and arrays: writing them cannot fail.
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// One by one.
    #[must_use]
    pub fn all(&self) -> &[Grant] {
        &self.0
    }

    /// With one more.
    pub fn add(&mut self, grant: Grant) {
        self.0.push(grant);
    }

    /// How far they let their holder do `access` in a space.
    #[must_use]
    pub fn reach(&self, space: &str, access: Access) -> Reach {
        let mut reach = Reach::Nowhere;
        for grant in self.0.iter().filter(|grant| grant.space.matches(space)) {
            reach = match (reach, &grant.collections) {
                (Reach::Nowhere, _) if grant.access < access => Reach::TooLittle,
                (reach, _) if grant.access < access => reach,
                (Reach::Whole, _) | (_, None) => Reach::Whole,
                (Reach::Part(one), Some(other)) => Reach::Part(union(&one, other)),
                (_, Some(choice)) => Reach::Part(choice.clone()),
            };
        }
        reach
    }

    /// Whether they let their holder do everything everywhere: what is of no single space.
    #[must_use]
    pub fn rule_everything(&self) -> bool {
        let everything =
            |grant: &Grant| grant.access == Access::Admin && grant.collections.is_none() && grant.space.as_str() == "*";
        self.0.iter().any(everything)
    }

    /// Whether they let their holder administer anything at all.
    #[must_use]
    pub fn administer(&self) -> bool {
        self.0.iter().any(|grant| grant.access == Access::Admin)
    }

    /// Whether their holder may hand out `others`: each of them lies within what one of these lets it administer.
    #[must_use]
    pub fn administer_all(&self, others: &Self) -> bool {
        let within = |other: &Grant, own: &Grant| {
            let part = match (&own.collections, &other.collections) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(own), Some(other)) => other.names().iter().all(|name| own.contains(name)),
            };
            own.access == Access::Admin && own.space.covers(&other.space) && part
        };
        others.0.iter().all(|other| self.0.iter().any(|own| within(other, own)))
    }

    /// The patterns of spaces that they let their holder read, in order, none of them within another.
    #[must_use]
    pub fn patterns(&self) -> Vec<SpacePattern> {
        let mut patterns: Vec<SpacePattern> = Vec::new();
        for grant in &self.0 {
            if !patterns.iter().any(|known| known.covers(&grant.space)) {
                patterns.retain(|known| !grant.space.covers(known));
                patterns.push(grant.space.clone());
            }
        }
        let start = |pattern: &SpacePattern| pattern.prefix().unwrap_or(pattern.as_str()).to_owned();
        patterns.sort_by_key(start);
        patterns
    }
}

fn union(one: &Collections, other: &Collections) -> Collections {
    let names = one.names().iter().chain(other.names()).cloned().collect();
    // Neither is empty, so that this is not either.
    Collections::new(names).unwrap_or_else(|_| one.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(json: &str) -> Grants {
        Grants::parse(json).unwrap()
    }

    #[test]
    fn a_pattern_is_a_name_or_a_beginning() {
        for good in ["a", "team-7", "team-*", "*", "a_*"] {
            assert_eq!(SpacePattern::new(good).unwrap().to_string(), good);
        }
        for bad in ["", "**", "a*b", "-*", "A*", "a b", "team-*-x", "_*", &"x".repeat(64)] {
            assert_eq!(SpacePattern::new(bad), Err(GrantFault::Pattern), "{bad}");
        }
        for (pattern, name, matches) in [
            ("team-7", "team-7", true),
            ("team-7", "team-70", false),
            ("team-*", "team-7", true),
            ("team-*", "team-", true),
            ("team-*", "tea", false),
            ("*", "anything", true),
        ] {
            assert_eq!(SpacePattern::new(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn grants_are_read_as_they_are_written() {
        for json in [
            r#"[{"space":"team-*","access":"read","collections":["lists","todos"]}]"#,
            r#"[{"space":"a","access":"admin"},{"space":"*","access":"write"}]"#,
        ] {
            assert_eq!(grants(json).to_json(), json);
        }
        for (bad, says) in [
            ("[]", "1 to 100"),
            ("{}", "expected a sequence"),
            (r#"[["a","admin"]]"#, "expected an object"),
            (r#"[{"space":"a"}]"#, "missing field `access`"),
            (r#"[{"space":"a","access":"root"}]"#, "unknown variant `root`"),
            (r#"[{"space":"A","access":"read"}]"#, "space must be"),
            (r#"[{"space":"a","access":"read","collections":[]}]"#, "at least one"),
            (r#"[{"space":"a","access":"read","collections":["A"]}]"#, "collections: each must be"),
            (r#"[{"space":"a","access":"read","colections":["a"]}]"#, "unknown field `colections`"),
        ] {
            let fault = Grants::parse(bad).unwrap_err();
            assert!(fault.contains(says), "{bad}: {fault}");
        }
    }

    #[test]
    fn grants_on_one_space_add_up_level_by_level() {
        let held = grants(
            r#"[{"space":"team-*","access":"read"},{"space":"team-7","access":"write","collections":["todos"]},
                {"space":"team-7","access":"write","collections":["lists"]},{"space":"team-8","access":"admin"}]"#,
        );
        let both = Reach::Part(Collections::parse("lists,todos").unwrap());
        for (space, access, reach) in [
            ("team-1", Access::Read, Reach::Whole),
            ("team-1", Access::Write, Reach::TooLittle),
            ("team-7", Access::Read, Reach::Whole),
            ("team-7", Access::Write, both),
            ("team-7", Access::Admin, Reach::TooLittle),
            ("team-8", Access::Admin, Reach::Whole),
            ("other", Access::Read, Reach::Nowhere),
        ] {
            assert_eq!(held.reach(space, access), reach, "{space} {access}");
        }
    }

    #[test]
    fn nobody_hands_out_more_than_it_administers() {
        let own = grants(
            r#"[{"space":"team-*","access":"admin"},{"space":"x","access":"write"},
                {"space":"y","access":"admin","collections":["a","b"]}]"#,
        );
        for (json, may) in [
            (r#"[{"space":"team-7","access":"admin"}]"#, true),
            (r#"[{"space":"team-1*","access":"read"}]"#, true),
            (r#"[{"space":"team*","access":"read"}]"#, false),
            (r#"[{"space":"*","access":"read"}]"#, false),
            (r#"[{"space":"x","access":"read"}]"#, false),
            (r#"[{"space":"y","access":"read"}]"#, false),
            (r#"[{"space":"y","access":"admin","collections":["b"]}]"#, true),
            (r#"[{"space":"y","access":"read","collections":["b","c"]}]"#, false),
            (r#"[{"space":"team-7","access":"read"},{"space":"x","access":"read"}]"#, false),
        ] {
            assert_eq!(own.administer_all(&grants(json)), may, "{json}");
        }
        assert!(own.administer() && !own.rule_everything());
        assert!(grants(r#"[{"space":"*","access":"admin"}]"#).rule_everything());
        assert!(!grants(r#"[{"space":"*","access":"admin","collections":["a"]}]"#).rule_everything());
    }

    #[test]
    fn patterns_are_in_order_and_none_lies_within_another() {
        let held = grants(
            r#"[{"space":"team-7","access":"read"},{"space":"b","access":"read"},{"space":"team-*","access":"read"},
                {"space":"a*","access":"write"},{"space":"abc","access":"read"},{"space":"b","access":"admin"}]"#,
        );
        let patterns: Vec<String> = held.patterns().iter().map(ToString::to_string).collect();
        assert_eq!(patterns, ["a*", "b", "team-*"]);
    }
}
