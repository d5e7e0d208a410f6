//! Objects that are objects: serde also reads the members of a struct from an array, in their order, which the protocol never
//! means.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What is read from an object, and from nothing else.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair<'a> {
        one: u8,
        #[serde(borrow)]
        other: Option<&'a RawValue>,
    }

    #[test]
    fn members_are_read_from_an_object_alone() {
        let read = |text| serde_json::from_str::<Object<Pair<'_>>>(text);
        let Object(pair) = read(r#"{"other":[ 1 ],"one":7}"#).unwrap();
        assert_eq!((pair.one, pair.other.map(RawValue::get)), (7, Some("[ 1 ]")));
        for (bad, says) in [
            ("[7]", "expected an object"),
            ("[7,null]", "expected an object"),
            ("7", "expected an object"),
            (r#"{"one":7,"three":1}"#, "unknown field `three`"),
            (r#"{"one":7,"one":7}"#, "duplicate field `one`"),
            ("{}", "missing field `one`"),
        ] {
            let fault = read(bad).unwrap_err().to_string();
            assert!(fault.contains(says), "{bad}: {fault}");
        }
    }
}
