//! A naive reader of JSON, which the product's own, that never builds a tree, is compared with.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Deserializer as Json;
use serde_json::value::RawValue;

/// Beyond this depth nothing is compared: naive readers recurse.
const DEEPEST: usize = 300;

/// A JSON value by what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTree {
    /// It is no JSON.
    Malformed,
    /// A key stands twice in one object.
    Duplicate,
    /// It is JSON that this reader does not read: half a surrogate pair, an exponent beyond all reason, too many levels.
    Unsayable,
}

/// `± DIGITS × 10^exponent`, without zeros at either end of the digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    digits: String,
    exponent: i128,
}

impl Tree {
    pub fn read(text: &str) -> Result<Self, NoTree> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| NoTree::Malformed)?;
        if depth(text) > DEEPEST { Err(NoTree::Unsayable) } else { Self::of(raw) }
    }

    fn of(raw: &RawValue) -> Result<Self, NoTree> {
        let text = raw.get();
        Ok(match text.as_bytes()[0] {
            b'n' => Self::Null,
            b't' | b'f' => Self::Bool(text == "true"),
            b'"' => Self::Text(serde_json::from_str(text).map_err(|_| NoTree::Unsayable)?),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NoTree::Malformed)?;
                Self::List(items.into_iter().map(Self::of).collect::<Result<_, _>>()?)
            }
            b'{' => {
                let mut object = BTreeMap::new();
                for (key, value) in members(text).ok_or(NoTree::Unsayable)? {
                    if object.insert(key, Self::of(value)?).is_some() {
                        return Err(NoTree::Duplicate);
                    }
                }
                Self::Object(object)
            }
            _ => Self::Number(Number::read(text).ok_or(NoTree::Unsayable)?),
        })
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        if let Self::Object(members) = self { members.get(key) } else { None }
    }

    /// What the merge patch `patch` makes of this value: the pseudocode of RFC 7396, as it stands there.
    pub fn merge(self, patch: &Self) -> Self {
        let Self::Object(changes) = patch else { return patch.clone() };
        let mut members = if let Self::Object(members) = self { members } else { BTreeMap::new() };
        for (key, value) in changes {
            if *value == Self::Null {
                members.remove(key);
            } else {
                let before = members.remove(key).unwrap_or(Self::Null);
                members.insert(key.clone(), before.merge(value));
            }
        }
        Self::Object(members)
    }

    /// The same value written as differently as can be: keys the other way round, every character escaped, numbers with
    /// another exponent.
    pub fn respelled(&self) -> String {
        let text = |text: &str| {
            let escapes = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
            format!("\"{}\"", escapes.collect::<String>())
        };
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Text(value) => text(value),
            Self::Number(number) => number.respelled(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::respelled).collect();
                format!("[ {} ]", items.join(" ,\t"))
            }
            Self::Object(members) => {
                let members = members.iter().rev();
                let members: Vec<String> =
                    members.map(|(key, value)| format!("{} :\r\n{}", text(key), value.respelled())).collect();
                format!("{{ {} }}", members.join(" , "))
            }
        }
    }
}

impl Number {
    fn read(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
        if exponent.len() > 18 {
            return None;
        }
        let mut exponent: i128 = exponent.parse().ok()?;
        let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |mantissa| (true, mantissa));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        exponent -= i128::try_from(fraction.len()).ok()?;
        let mut digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
        while digits.ends_with('0') {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        Some(Self { negative, digits, exponent })
    }

    /// About this much; infinite where that is beyond floating point.
    pub fn approximate(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0{}e{}", self.digits, self.exponent).parse().unwrap()
    }

    fn respelled(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        let places = i128::try_from(digits.len()).unwrap();
        format!("{sign}0.0{digits}00E{:+}", self.exponent + places + 1)
    }
}

/// The text of an object's member.
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    members(object)?.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.get())
}

/// The members of an object in their order, also those that stand twice; `None` where a key is half a surrogate pair.
fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    use serde_json::de::StrRead;

    struct Members;

    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    let mut json: Json<StrRead<'_>> = Json::from_str(text);
    serde::Deserializer::deserialize_map(&mut json, Members).ok()
}

/// How many levels the text of a JSON value nests.
pub fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for byte in outside_strings(text) {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// The bytes of a JSON text that are in no string.
fn outside_strings(text: &str) -> impl Iterator<Item = u8> {
    let (mut inside, mut escaped) = (false, false);
    text.bytes().filter(move |byte| {
        let was_inside = inside;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = inside,
            b'"' => inside = !inside,
            _ => {}
        }
        !(was_inside || inside)
    })
}

/// A JSON text without the white space between its parts.
pub fn without_space(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let significant = text.chars().filter(|character| {
        let drop = !inside && matches!(character, ' ' | '\t' | '\n' | '\r');
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = inside,
            '"' => inside = !inside,
            _ => {}
        }
        !drop
    });
    significant.collect()
}
