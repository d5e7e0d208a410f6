//! Tests of the module, of its parts through it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn parse(text: &str) -> Result<Document, JsonFault> {
    Document::parse(&raw(text))
}

fn doc(text: &str) -> Document {
    parse(text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

fn patch(text: &str) -> Patch {
    Patch::parse(&raw(text)).unwrap()
}

fn merged(target: &str, with: &str) -> String {
    doc(target).merge(&patch(with)).into_boxed_str().into()
}

/// Whether the values are equal as members of two objects, either way round.
fn equal(one: &str, other: &str) -> bool {
    let one = doc(&format!(r#"{{"k":{one}}}"#));
    let other = doc(&format!(r#"{{"k":{other}}}"#));
    let equal = one.equals(&other);
    assert_eq!(equal, other.equals(&one), "{one:?} {other:?}");
    equal
}

/// Asserts that values are equal exactly when they are in the same class.
fn assert_classes(classes: &[&[&str]]) {
    for (i, class) in classes.iter().enumerate() {
        for (j, other_class) in classes.iter().enumerate() {
            for (one, other) in class.iter().flat_map(|one| other_class.iter().map(move |other| (one, other))) {
                assert_eq!(equal(one, other), i == j, "{one} and {other}");
            }
        }
    }
}

fn duplicate(key: &str) -> Result<Document, JsonFault> {
    Err(JsonFault::DuplicateKey { key: key.into() })
}

/// An object nesting `levels` levels.
fn nested(levels: usize) -> String {
    format!("{}{}", r#"{"a":"#.repeat(levels - 1) + "{", "}".repeat(levels))
}

// --- parse

#[test]
fn white_space_goes_except_in_strings() {
    let text = " {\t\"a b\\\" \" :\r\n[ 1 , \" x\\\\\" ,{ } , [ ] , null ] , \"n\": -1.10E+400 }\n";
    let document = doc(text);
    assert_eq!(document.as_str(), r#"{"a b\" ":[1," x\\",{},[],null],"n":-1.10E+400}"#);
    assert_eq!(document.len(), document.as_str().len());
    assert_eq!(doc(document.as_str()), document);
}

#[test]
fn texts_are_kept_to_the_letter() {
    for text in [
        "{}",
        r#"{"n":1e400,"m":1.10,"l":1234567890123456789012345678901234567890}"#,
        r#"{"z":1,"a":"\u0061\/\ud800","":"é😀\uD83D\ude00"}"#,
        r#"{"true":true,"false":false,"null":null,"a":[[],{}]}"#,
    ] {
        assert_eq!(doc(text).as_str(), text);
        assert_eq!(patch(text).as_str(), text);
    }
}

#[test]
fn strings_end_where_they_end() {
    // Whatever way they fall on the eight bytes looked at in one go.
    for before in 0..20 {
        for after in 0..20 {
            for middle in ["", r#"\""#, r"\\", r#"\\\""#, "é", "#\u{7f}", r#"!\"\"!"#] {
                let string = format!("\"{}{middle}{}\"", "x".repeat(before), "]".repeat(after));
                let text = format!("{{{string}:[{string},{string}]}}");
                assert_eq!(doc(&text.replace(',', " , ")).as_str(), text);
            }
        }
    }
}

#[test]
fn only_objects_are_documents() {
    for text in ["1", "null", r#""{}""#, "[]", r#"[{"a":1,"a":2}]"#, "-0", "true"] {
        assert_eq!(parse(text), Err(JsonFault::NotAnObject), "{text}");
        assert_eq!(Patch::parse(&raw(text)), Err(JsonFault::NotAnObject), "{text}");
    }
}

#[test]
fn duplicate_keys_are_found() {
    for (text, key) in [
        (r#"{"a":1,"a":1}"#, "a"),
        (r#"{"a":1,"b":{},"\u0061":2}"#, "a"),
        (r#"{"\u0061":1,"a":2}"#, "a"),
        (r#"{"x":[{"":0,"b":1,"":2}]}"#, ""),
        (r#"{"a":{"b":1},"c":[],"a":{}}"#, "a"),
        (r#"{"😀":1,"\ud83d\uDE00":2}"#, "😀"),
        (r#"{"\/":1,"/":2}"#, "/"),
        (r#"{"\n\"":1,"\u000a\u0022":2}"#, "\n\""),
        (r#"{"\ud800":1,"\uD800":2}"#, "\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(parse(text), duplicate(key), "{text}");
    }
    for text in [
        r#"{"a":{"a":{"a":[{"a":1},{"a":2}]}},"b":{"a":1}}"#,
        r#"{"a":1,"A":2,"\\u0061":3,"a ":4}"#,
        r#"{"\ud800":1,"\ud801":2,"\udc00":3,"\ud800\udc00":4,"\udc00\ud800":5,"\ufffd":6}"#,
    ] {
        assert_eq!(doc(text).as_str(), text);
    }
    let long = "é".repeat(100);
    assert_eq!(parse(&format!(r#"{{"{long}":1,"{long}":2}}"#)), duplicate(&"é".repeat(64)));
}

#[test]
fn duplicate_keys_are_found_among_many() {
    for count in [15, 16, 17, 18, 33, 1000] {
        let mut members: Vec<_> = (0..count).map(|i| format!(r#""k{i}":{{"k0":{i}}}"#)).collect();
        // An inner object with many keys, too, and a key after it.
        members.push(format!(r#""inner":{{{}}}"#, members.join(",")));
        members.push(r#""last":0"#.into());
        let object = format!("{{{}}}", members.join(","));
        assert_eq!(doc(&object).as_str(), object);
        for key in ["k0".into(), format!("k{}", count - 1), "inner".into(), "last".into()] {
            let again = format!(r#"{{{},"{key}":0}}"#, members.join(","));
            assert_eq!(parse(&again), duplicate(&key));
        }
    }
}

#[test]
fn depth_is_bounded() {
    assert_eq!(doc(&nested(128)).as_str(), nested(128));
    assert_eq!(parse(&nested(129)), Err(JsonFault::TooDeep));
    let arrays = |levels| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&arrays(127)).is_ok());
    assert_eq!(parse(&arrays(128)), Err(JsonFault::TooDeep));
    assert_eq!(Patch::parse(&raw(&arrays(128))), Err(JsonFault::TooDeep));
}

#[test]
fn great_depth_is_refused_quickly() {
    for text in [nested(100_000), format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000))] {
        let start = Instant::now();
        assert_eq!(parse(&text), Err(JsonFault::TooDeep));
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn a_duplicate_key_wins_over_depth() {
    for text in [format!(r#"{{"d":{},"x":1,"x":2}}"#, nested(200)), nested(200).replace("{}", r#"{"x":1,"x":2}"#)] {
        assert_eq!(parse(&text), duplicate("x"));
    }
}

#[test]
fn faults_are_sentences() {
    let fault = parse(r#"{"a\n":1,"a\n":2}"#).unwrap_err();
    assert_eq!(fault.to_string(), r#"the key "a\n" stands more than once in the same object"#);
    assert_eq!(JsonFault::TooDeep.to_string(), "the value nests more than 128 levels deep");
}

#[test]
fn broken_structure_is_malformed() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "{]",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{,}",
        r#"{"a":1"#,
        "{}{}",
        "{} x",
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":[1}]"#,
        r#"{"a":1:2}"#,
        "{1:2}",
        r#"{"a" "b"}"#,
        r#"{"a":"#,
        r#"{"a":""#,
        r#"{"a":"\"#,
        r#"{"a\"#,
        r#"{"\u00":1}"#,
        r#"{"\x":1}"#,
        r#"{"a":1]"#,
        "{\u{a0}}",
        r#"{"a":é}"#,
        r#"{"a":[1"#,
    ] {
        let fault = compact(text).unwrap_err();
        let acceptable = matches!(fault, JsonFault::Malformed | JsonFault::NotAnObject);
        assert!(acceptable, "{text}: {fault}");
    }
}

// --- equals

#[test]
fn numbers_are_compared_by_value() {
    let n40 = "1234567890123456789012345678901234567890";
    let big = "9".repeat(50);
    // 10^50 - 1 and 10^50 as exponents.
    let (big_and_one, one_more) = (format!("1e1{}", "0".repeat(50)), format!("10e{big}"));
    let (tiny, also_tiny) = (format!("0.1e-{big}"), format!("1e-1{}", "0".repeat(50)));
    assert_classes(&[
        &["0", "-0", "0.0e5", "0E400", "-0.00e-99999999999999999999999", "0e+0"],
        &["1", "1.0", "10e-1", "1E0", "1e-0", "1e+00", "0.1e1", "0.0001e4", "100.00e-0002"],
        &["-1", "-1.0", "-10e-1", "-0.1E1"],
        &["10", "1e1", "1.0E+1", "100e-1", "0.10e2"],
        &["1.1", "1.10", "11e-1", "0.11e1"],
        &["1.01", "101e-2", "1.010"],
        &["0.1", "1e-1", "0.10", "10e-2"],
        &["0.01", "1e-2", "0.1e-1"],
        &["1e400", "10e399", "1E+400", "0.001e403"],
        &["1e-400", "0.1e-399", "10e-401"],
        &["1e401"],
        &[
            n40,
            &format!("{n40}.0"),
            "123456789012345678901234567890123456789e1",
            "1.23456789012345678901234567890123456789e39",
        ],
        &["1234567890123456789012345678901234567891"],
        &["9007199254740993", "9007199254740993.0"],
        &["9007199254740992"],
        // Around the ends of i64, and far beyond.
        &["1e9223372036854775807", "10e9223372036854775806", "0.1e9223372036854775808"],
        &["1e9223372036854775808", "10e9223372036854775807"],
        &["1e-9223372036854775808", "0.1e-9223372036854775807", "10e-9223372036854775809"],
        &[&big_and_one, &one_more, &format!("0.01e1{}2", "0".repeat(49))],
        &[&format!("1e{big}")],
        &[&tiny, &also_tiny],
        // Differences that fit no i64, and the same last digits.
        &["1e18446744073709551616"],
        &["1e18446744073709551617"],
        &["1e36893488147419103232"],
        // No other kind of value.
        &[r#""1""#],
        &["true"],
        &["false"],
        &["null"],
    ]);
}

#[test]
fn huge_exponents_cost_nothing() {
    let start = Instant::now();
    assert!(!equal("1e999999999999999999", "1e-999999999999999999"));
    assert!(equal("10e999999999999999999999", "1e1000000000000000000000"));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn strings_are_compared_by_value() {
    assert_classes(&[
        &[r#""a""#, r#""\u0061""#],
        &[r#""A""#, r#""\u0041""#],
        &[r#""""#],
        &[r#""/""#, r#""\/""#, r#""\u002f""#, r#""\u002F""#],
        &[r#""\n""#, r#""\u000a""#],
        &[r#""\\n""#, r#""\u005cn""#],
        &[r#""\"\\\b\f\r\t""#, r#""\u0022\u005c\u0008\u000c\u000d\u0009""#],
        &[r#""\u0000""#],
        &[r#""é""#, r#""\u00e9""#, r#""\u00E9""#],
        // The same to the eye, but other code points.
        &[r#""e\u0301""#, "\"e\u{301}\""],
        &[r#""😀""#, r#""\ud83d\ude00""#, r#""\uD83D\uDE00""#],
        &[r#""😀a""#, r#""\ud83d\ude00\u0061""#],
        &[r#""\ud83d""#, r#""\uD83D""#],
        &[r#""\ude00""#],
        &[r#""\ude00\ud83d""#, r#""\uDE00\uD83D""#],
        // A lone one before a pair; the pair stays one.
        &[r#""\ud83d\ud83d\ude00""#, r#""\ud83d😀""#],
        &[r#""\ud83da""#, r#""\ud83d\u0061""#],
        &[r#""\ufffd""#, "\"\u{fffd}\""],
        &[r#""\ud7ff""#, "\"\u{d7ff}\""],
        &[r#""\ue000""#, "\"\u{e000}\""],
        &[r#""\uffff""#, "\"\u{ffff}\""],
        &[r#""\u0800""#],
    ]);
}

#[test]
fn structures_are_compared_by_value() {
    assert_classes(&[
        &["{}"],
        &["[]"],
        &["[[]]"],
        &["[1,2]", "[1.0,2]"],
        &["[2,1]"],
        &["[1]"],
        &["[1,2,3]"],
        &["[null]"],
        &[r#"{"a":1,"b":[{"c":1,"d":2}]}"#, r#"{"b":[{"d":2,"c":1}],"\u0061":1.0}"#],
        &[r#"{"a":1,"b":[{"c":1,"d":3}]}"#],
        &[r#"{"a":1}"#],
        &[r#"{"a":null}"#],
        &[r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#],
        &[r#"{"a":2,"b":1}"#],
        &[r#"{"\ud800":1,"b":2}"#, r#"{"b":2,"\uD800":1}"#],
    ]);
    assert!(doc(r#"{"a":1}"#).equals(&doc(r#" { "a" : 1 } "#)));
    assert!(doc(&nested(128)).equals(&doc(&nested(128).replace('a', r"\u0061"))));
}

#[test]
fn many_keys_in_another_order_are_no_trouble() {
    let object = |keys: &mut dyn Iterator<Item = u32>| {
        let mut text = String::from("{");
        for key in keys {
            write!(text, r#""key{key}":{key},"#).unwrap();
        }
        doc(&(text + r#""":0}"#))
    };
    let start = Instant::now();
    let forward = object(&mut (0..100_000));
    let backward = object(&mut (0..100_000).rev());
    let shuffled = object(&mut (0..100_000).map(|i| i * 7919 % 100_000));
    let other = object(&mut (1..100_001).rev());
    assert!(forward.equals(&backward) && backward.equals(&shuffled));
    assert!(!forward.equals(&other));
    let all_gone = backward.as_str().replace(':', ":null,\"x").replace("null,\"x", "null,\"x\":");
    drop(all_gone);
    let merged = forward.merge(&Patch(shuffled.clone()));
    assert_eq!(merged, forward);
    assert!(start.elapsed() < Duration::from_secs(10));
}

// --- merge

#[test]
fn rfc_7396_appendix_a() {
    for (target, with, result) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(merged(target, with), result);
    }
}

#[test]
fn rfc_7396_example_document() {
    let target = r#"{
        "title": "Goodbye!",
        "author" : { "givenName" : "John", "familyName" : "Doe" },
        "tags":[ "example", "sample" ],
        "content": "This will be unchanged" }"#;
    let with = r#"{
        "title": "Hello!", "phoneNumber": "+01-123-456-7890",
        "author": { "familyName": null }, "tags": [ "example" ] }"#;
    assert_eq!(
        merged(target, with),
        r#"{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}"#
    );
}

#[test]
fn merging_keeps_order_place_and_spelling() {
    for (target, with, result) in [
        ("{}", "{}", "{}"),
        (r#"{"a":1.10}"#, "{}", r#"{"a":1.10}"#),
        (
            r#"{"z":1e400,"m":"\u0061","a":0}"#,
            r#"{"y":2.50,"a":1.0,"b":3}"#,
            r#"{"z":1e400,"m":"\u0061","a":1.0,"y":2.50,"b":3}"#,
        ),
        // The key is the target's, also where the patch escapes it.
        (r#"{"x":1,"\u0061":2,"y":3}"#, r#"{"a":4,"\u0079":null}"#, r#"{"x":1,"\u0061":4}"#),
        (r#"{"\ud800":1}"#, r#"{"\uD800":2}"#, r#"{"\ud800":2}"#),
        (r#"{"a":1,"b":2,"c":3}"#, r#"{"c":null,"a":null}"#, r#"{"b":2}"#),
        (r#"{"a":1}"#, r#"{"b":null,"a":null}"#, "{}"),
        // An object for something else, and something else for an object.
        (r#"{"a":1,"b":2}"#, r#"{"a":{"x":null,"y":{"z":null,"w":[null]}}}"#, r#"{"a":{"y":{"w":[null]}},"b":2}"#),
        (r#"{"a":[{"x":1}]}"#, r#"{"a":{"x":2}}"#, r#"{"a":{"x":2}}"#),
        (r#"{"a":{"x":1}}"#, r#"{"a":[{"x":null}]}"#, r#"{"a":[{"x":null}]}"#),
        (r#"{"a":null}"#, r#"{"a":{"b":null}}"#, r#"{"a":{}}"#),
        (r#"{"a":{"b":1}}"#, r#"{"a":{}}"#, r#"{"a":{"b":1}}"#),
        (r#"{"a":{"b":1}}"#, r#"{"a":{"b":null}}"#, r#"{"a":{}}"#),
        (r#"{"a":"null"}"#, r#"{"a":"null"}"#, r#"{"a":"null"}"#),
        // Members that stand in the patch twice by name, on two levels.
        (r#"{"a":{"a":1,"b":2},"b":3}"#, r#"{"b":4,"a":{"b":5}}"#, r#"{"a":{"a":1,"b":5},"b":4}"#),
    ] {
        assert_eq!(merged(target, with), result);
    }
}

#[test]
fn merging_keeps_the_depth() {
    let deep = nested(128).replace("{}", r#"{"x":1}"#);
    let with = nested(128).replace("{}", r#"{"y":2}"#);
    assert_eq!(merged(&deep, &with), nested(128).replace("{}", r#"{"x":1,"y":2}"#));
    assert_eq!(merged("{}", &with), with);
    assert!(parse(&merged(&deep, &with)).is_ok());
}

#[test]
fn large_patches() {
    let members = |count: u32, value: &str| {
        let members: Vec<_> = (0..count).map(|i| format!(r#""{i}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(merged(&members(1000, "1"), &members(1000, "null")), "{}");
    assert_eq!(merged(&members(40, "1"), &members(60, "2")), members(60, "2"));
    assert_eq!(merged("{}", &members(40, "{}")), members(40, "{}"));
}

// --- properties

/// The definition in RFC 7396, section 2.
fn reference_merge(target: &mut Value, with: &Value) {
    let Value::Object(with) = with else {
        *target = with.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in with {
        if value.is_null() {
            target.remove(key);
        } else {
            reference_merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Objects whose keys often meet, and sometimes more than `FEW_KEYS` of them.
fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        2 => (-20_i64..20).prop_map(|n| Value::from(n * 10)),
        // No integers, which serde_json takes for another value than as i64.
        2 => any::<f64>().prop_filter("an integer", |n| n.fract() != 0.0 || n.abs() > 1e19).prop_map(Value::from),
        2 => any::<String>().prop_map(Value::from),
        2 => "[a \\\\\"/\n\u{e9}\u{1f600}]{0,8}".prop_map(Value::from),
    ];
    let key = || prop_oneof![4 => "[a-e]", 1 => "[a-z\"\\\\/\u{e9}\u{1f600}\t]{0,3}"];
    let map = move |value: BoxedStrategy<Value>, most| {
        prop::collection::btree_map(key(), value, 0..most)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    };
    let value = leaf.prop_recursive(4, 30, 6, move |value| {
        prop_oneof![
            1 => prop::collection::vec(value.clone(), 0..5).prop_map(Value::Array),
            3 => map(value, 8),
        ]
    });
    map(value.boxed(), 24)
}

/// Decisions by chance, for the writer below.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }
}

/// Writes a value with white space, order and spelling by chance.
fn write_freely(value: &Value, chance: &mut Chance, out: &mut String) {
    let space = |chance: &mut Chance, out: &mut String| {
        for _ in 0..[0, 0, 0, 1, 3][chance.below(5)] {
            out.push([' ', '\n', '\t', '\r'][chance.below(4)]);
        }
    };
    space(chance, out);
    match value {
        Value::Null | Value::Bool(_) => write!(out, "{value}").unwrap(),
        Value::Number(number) => {
            let text = number.to_string();
            match chance.below(4) {
                0 => write!(out, "{text}{}", ["", "E0", "e-00"][chance.below(3) * usize::from(!text.contains('e'))])
                    .unwrap(),
                1 if !text.contains(['.', 'e']) => write!(out, "{text}.00").unwrap(),
                2 if text != "0" && !text.contains(['.', 'e']) => {
                    write!(out, "{text}00e-2").unwrap();
                }
                3 if !text.contains('e') && text.ends_with('0') && text.len() > 2 && !text.contains('.') => {
                    write!(out, "{}e+1", &text[..text.len() - 1]).unwrap();
                }
                _ => out.push_str(&text),
            }
        }
        Value::String(string) => write_string(string, chance, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_freely(item, chance, out);
            }
            space(chance, out);
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for i in 1..members.len() {
                members.swap(i, chance.below(i + 1));
            }
            out.push('{');
            for (i, (key, value)) in members.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                space(chance, out);
                write_string(key, chance, out);
                space(chance, out);
                out.push(':');
                write_freely(value, chance, out);
            }
            space(chance, out);
            out.push('}');
        }
    }
    space(chance, out);
}

fn write_string(string: &str, chance: &mut Chance, out: &mut String) {
    out.push('"');
    for character in string.chars() {
        let quoted = Value::from(character.to_string()).to_string();
        match chance.below(8) {
            0 => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            }
            _ => out.push_str(&quoted[1..quoted.len() - 1]),
        }
    }
    out.push('"');
}

fn freely(value: &Value, seed: u64) -> String {
    let mut out = String::new();
    write_freely(value, &mut Chance(seed | 1), &mut out);
    out
}

/// A text like JSON, whole or in disorder.
fn garbage() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"\\u0061\"",
        "\\ud800",
        "\\u",
        "null",
        "1",
        "-",
        ".",
        "e",
        "1e9",
        "{\"a\":",
        "\"b\":1,",
        " ",
        "é",
        "{\"a\":1}",
        "\"b\":{}",
    ]);
    prop_oneof![
        prop::collection::vec(token, 0..20).prop_map(|tokens| tokens.concat()),
        (object(), any::<u64>(), any::<prop::sample::Index>()).prop_map(|(value, seed, at)| {
            let mut text = freely(&value, seed);
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.remove(at);
            text
        }),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_keeps_the_value(value in object(), seed: u64) {
        let text = freely(&value, seed);
        let document = doc(&text);
        let read: Value = serde_json::from_str(document.as_str()).unwrap();
        prop_assert_eq!(read, serde_json::from_str::<Value>(&text).unwrap());
        prop_assert_eq!(doc(document.as_str()), document.clone());
        prop_assert!(!document.as_str().contains(['\n', '\r']));
        if !text.contains('"') {
            prop_assert_eq!(document.as_str(), text.replace([' ', '\n', '\t', '\r'], ""));
        }
    }

    #[test]
    fn every_spelling_equals_the_value(value in object(), one: u64, other: u64) {
        let plain = doc(&value.to_string());
        prop_assert_eq!(plain.as_str(), value.to_string());
        let (one, other) = (doc(&freely(&value, one)), doc(&freely(&value, other)));
        prop_assert!(plain.equals(&one) && one.equals(&plain));
        prop_assert!(one.equals(&other));
    }

    #[test]
    fn different_values_are_not_equal(value in object(), other in object(), seed: u64) {
        let texts = (doc(&freely(&value, seed)), doc(&freely(&other, seed)));
        prop_assert_eq!(texts.0.equals(&texts.1), value == other);
        let mut with_one_more = value.clone();
        with_one_more["one more"] = Value::Null;
        let with_one_more = doc(&with_one_more.to_string());
        prop_assert!(!texts.0.equals(&with_one_more) && !with_one_more.equals(&texts.0));
    }

    #[test]
    fn numbers_are_compared_as_integers_would(digits in -3000_i128..3000, other in -3000_i128..3000, shift in 0_u32..6, up in 0_u32..6) {
        // digits × 10^(shift - up), once with an exponent and once written out.
        let scaled = digits * 10_i128.pow(shift);
        let sign = if scaled < 0 { "-" } else { "" };
        let padded = format!("{:0>8}", scaled.abs());
        let (whole, fraction) = padded.split_at(padded.len() - up as usize);
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        let plain = format!("{sign}{whole}{point}{fraction}");
        let exponent = i64::from(shift) - i64::from(up);
        prop_assert!(equal(&plain, &format!("{digits}e{exponent}")), "{} {}e{}", plain, digits, exponent);
        prop_assert_eq!(equal(&plain, &format!("{other}e{exponent}")), digits == other);
        prop_assert_eq!(equal(&plain, &other.to_string()), scaled == other * 10_i128.pow(up));
    }

    #[test]
    fn merging_does_what_the_rfc_says(target in object(), with in object(), seed: u64) {
        let document = doc(&freely(&target, seed));
        let patch = patch(&freely(&with, seed.rotate_left(7)));
        let merged = document.merge(&patch);
        prop_assert_eq!(&doc(merged.as_str()), &merged);
        let mut expected = target;
        reference_merge(&mut expected, &with);
        prop_assert!(merged.equals(&doc(&expected.to_string())), "{:?} {}", merged, expected);
    }

    #[test]
    fn garbage_never_panics_or_hangs(one in garbage(), other in garbage(), sound in object()) {
        let _ = compact(&one);
        let [one, other, sound] = [one, other, sound.to_string()].map(|text| Document::from_stored(text.into()));
        for (a, b) in [(&one, &other), (&one, &sound), (&sound, &one), (&other, &one)] {
            let _ = a.equals(b);
            let _ = a.merge(&Patch(b.clone()));
        }
    }

    #[test]
    fn valid_json_is_never_malformed(text in garbage()) {
        // Not the other way round: the inside of scalars is not looked at.
        if serde_json::from_str::<&RawValue>(&text).is_ok() {
            let fault = compact(&text).err();
            let object = text.trim_start().starts_with('{');
            prop_assert_eq!(fault == Some(JsonFault::NotAnObject), !object, "{}", text);
            prop_assert!(fault != Some(JsonFault::Malformed), "{}", text);
        }
    }
}
