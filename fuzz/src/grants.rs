//! Grants as JSON and as people write them, and the spaces of users.

use std::collections::BTreeSet;

use strandline::domain::SpaceName;
use strandline::domain::access::{Access, Grant, Grants, MOST_GRANTS, Reach, SpacePattern, SpaceTemplate};

use super::tree::Tree;

const LEVELS: [Access; 3] = [Access::Read, Access::Write, Access::Admin];

/// An array is two claims with a line feed between them; anything else is a template and a subject, likewise, of which the
/// template is also tried as a grant.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    if one.trim_start().starts_with('[') {
        let (one, other) = (claim(one), claim(other));
        if let (Some(one), Some(other)) = (one, other) {
            handed_out(&one, &other);
            handed_out(&other, &one);
        }
    } else {
        short(one);
        template(one, other);
    }
}

fn claim(text: &str) -> Option<Grants> {
    let grants = match Grants::parse(text) {
        Ok(grants) => grants,
        Err(fault) => {
            assert!(fault.len() <= 500 + 10 * text.len(), "{fault}");
            return None;
        }
    };
    assert!((1..=MOST_GRANTS).contains(&grants.all().len()));
    assert_eq!(Grants::parse(&grants.to_json()).as_ref(), Ok(&grants));
    if let Ok(tree) = Tree::read(text) {
        let Tree::List(written) = tree else { panic!("{text:?} is no array") };
        assert_eq!(written.len(), grants.all().len());
        for (written, grant) in written.iter().zip(grants.all()) {
            as_written(written, grant);
        }
    }
    levels(&grants);

    let patterns = grants.patterns();
    for (place, pattern) in patterns.iter().enumerate() {
        assert!(patterns.iter().skip(place + 1).all(|other| !pattern.covers(other) && !other.covers(pattern)));
    }
    assert!(grants.all().iter().all(|grant| patterns.iter().any(|pattern| pattern.covers(&grant.space))));
    Some(grants)
}

/// A grant is the object that was written, and nothing besides.
fn as_written(written: &Tree, grant: &Grant) {
    let Tree::Object(members) = written else { panic!("{written:?} is no object") };
    let known = ["space", "access", "collections"];
    assert!(members.keys().all(|name| known.contains(&name.as_str())), "{written:?}");
    assert_eq!(written.get("space"), Some(&Tree::Text(grant.space.to_string())));
    assert_eq!(written.get("access"), Some(&Tree::Text(grant.access.to_string())));
    match (written.get("collections"), &grant.collections) {
        (None | Some(Tree::Null), None) => {}
        (Some(Tree::List(names)), Some(choice)) => {
            let text = |name: &Tree| if let Tree::Text(name) = name { name.clone() } else { panic!("{name:?}") };
            let names: BTreeSet<String> = names.iter().map(text).collect();
            assert_eq!(choice.names().iter().map(ToString::to_string).collect::<BTreeSet<_>>(), names);
        }
        (written, read) => panic!("{written:?} is read as {read:?}"),
    }
}

/// Names that grants may tell apart: those of their patterns, and some that are a little longer or shorter.
fn names(grants: &Grants) -> Vec<String> {
    let starts = grants.all().iter().map(|grant| grant.space.prefix().unwrap_or(grant.space.as_str()).to_owned());
    let around = starts.flat_map(|start| {
        let shorter = start.get(..start.len().saturating_sub(1)).unwrap_or_default().to_owned();
        [format!("{start}x"), shorter, start]
    });
    around.filter(|name| SpaceName::new(name).is_ok()).collect()
}

/// What a higher level reaches a lower one reaches too, and each is the union of the grants of that level.
fn levels(grants: &Grants) {
    for name in names(grants) {
        let mut lower = None;
        for access in LEVELS {
            let reach = grants.reach(&name, access);
            let matching: Vec<&Grant> = grants.all().iter().filter(|grant| grant.space.matches(&name)).collect();
            let enough: Vec<_> = matching.iter().filter(|grant| grant.access >= access).collect();
            let naive = if matching.is_empty() {
                Reach::Nowhere
            } else if enough.is_empty() {
                Reach::TooLittle
            } else if enough.iter().any(|grant| grant.collections.is_none()) {
                Reach::Whole
            } else {
                let names = enough.iter().flat_map(|grant| grant.collections.as_ref().unwrap().names());
                Reach::Part(strandline::domain::Collections::new(names.cloned().collect()).unwrap())
            };
            assert_eq!(reach, naive, "{name} {access}");
            if let Some(lower) = lower {
                assert!(within(&reach, &lower), "{name}: {access} is {reach:?}, and the level before it {lower:?}");
            }
            lower = Some(reach);
        }
        if grants.rule_everything() {
            assert_eq!(grants.reach(&name, Access::Admin), Reach::Whole);
        }
    }
}

/// Whoever may hand out grants could do itself whatever they allow.
fn handed_out(own: &Grants, others: &Grants) {
    if own.all().iter().all(|grant| grant.access == Access::Admin) {
        assert!(own.administer_all(own));
    }
    assert!(!own.administer_all(others) || own.administer());
    if own.rule_everything() {
        assert!(own.administer_all(others));
    }
    if own.administer_all(others) {
        for name in names(others).iter().chain(&names(own)) {
            let most = own.reach(name, Access::Admin);
            for access in LEVELS {
                let reach = others.reach(name, access);
                assert!(within(&reach, &most), "{name}: {reach:?} is handed out of {most:?}");
            }
        }
    }
    for pattern in own.all().iter().map(|grant| &grant.space) {
        for other in others.all().iter().map(|grant| &grant.space) {
            covers(pattern, other, &names(others));
        }
    }
}

/// A pattern covers another one exactly if it matches whatever that matches.
fn covers(pattern: &SpacePattern, other: &SpacePattern, names: &[String]) {
    if pattern.covers(other) {
        assert!(names.iter().all(|name| !other.matches(name) || pattern.matches(name)), "{pattern} covers {other}");
        return;
    }
    // Two that a beginning has for sure, of which nothing matches both that is no beginning of it.
    let witnesses = match other.prefix() {
        None => vec![other.to_string()],
        Some("") => vec!["0".to_owned(), "a".to_owned()],
        Some(start) => vec![start.to_owned(), format!("{start}0")],
    };
    assert!(witnesses.iter().all(|name| other.matches(name)));
    assert!(!witnesses.iter().all(|name| pattern.matches(name)), "{pattern} does not cover {other}");
}

fn within(reach: &Reach, most: &Reach) -> bool {
    match (reach, most) {
        (Reach::Nowhere | Reach::TooLittle, _) | (_, Reach::Whole) => true,
        (Reach::Part(names), Reach::Part(most)) => names.names().iter().all(|name| most.contains(name)),
        _ => false,
    }
}

fn short(text: &str) {
    let Ok(grant) = text.parse::<Grant>() else { return };
    assert_eq!(grant.to_string(), text);
    assert!(grant.collections.is_none());
    assert!(SpacePattern::new(grant.space.as_str()).is_ok());
}

fn template(text: &str, sub: &str) {
    let Ok(template) = text.parse::<SpaceTemplate>() else { return };
    let Some(grant) = template.grant(sub) else { return };
    // It is one space, and its name has the subject in it, or its hash.
    assert!(grant.space.prefix().is_none() && SpaceName::new(grant.space.as_str()).is_ok());
    let (name, access) = text.rsplit_once(':').unwrap();
    assert_eq!(access, grant.access.as_str());
    if name.contains("{sub:sha256}") {
        assert!(grant.space.as_str().len() == name.len() - "{sub:sha256}".len() + 40);
    } else {
        assert_eq!(grant.space.as_str(), name.replacen("{sub}", sub, 1));
    }
    // Another user has another space.
    for other in [format!("{sub}0"), sub[sub.char_indices().nth(1).map_or(sub.len(), |(at, _)| at)..].to_owned()] {
        assert_ne!(template.grant(&other).map(|grant| grant.space), Some(grant.space.clone()), "{sub:?} and {other:?}");
    }
}
