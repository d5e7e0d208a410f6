//! The address of a space, as people write it.

use crate::domain::SpaceName;

/// The server's address and the space in `text`, or in `space`. A sentence where that cannot be told.
pub fn parse(text: &str, space: Option<SpaceName>) -> Result<(String, SpaceName), String> {
    let example = "write it as http://127.0.0.1:7878/v1/spaces/NAME";
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("{} is no URL: {example}", without_user(text)));
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(format!("{scheme}: is not how a server is reached: {example}"));
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if rest.contains('@') {
        return Err("the URL must have no user or password in it, as it is kept in the file: \
                    give a token in STRANDLINE_TOKEN"
            .into());
    }
    if rest.contains(['?', '#']) {
        return Err(format!("the URL of a space has nothing behind a ? or #: {example}"));
    }
    if host.is_empty() {
        return Err(format!("{text} names no server: {example}"));
    }
    let server = format!("{scheme}://{}", host.to_ascii_lowercase());
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (prefix, named) = split(&segments);
    let (prefix, named) = match named {
        // Without the path of the API, what comes last is the space, unless it was named otherwise.
        None if space.is_none() => prefix.split_last().map_or((prefix, None), |(last, before)| (before, Some(*last))),
        None | Some([]) => (prefix, None),
        Some([name]) => (prefix, Some(*name)),
        Some([name, more @ ..]) => {
            return Err(format!("the URL leads further than to the space {name}: leave off /{}", more.join("/")));
        }
    };
    let named = named.map(|name| SpaceName::new(name).map_err(|fault| format!("the space {name} in {text} {fault}")));
    let space = match (named.transpose()?, space) {
        (Some(named), Some(space)) if named != space => {
            return Err(format!("the URL names the space {named}, and --space the space {space}"));
        }
        (Some(space), _) | (None, Some(space)) => space,
        (None, None) => return Err(format!("{text} names no space: add /v1/spaces/NAME, or say --space NAME")),
    };
    let url = prefix.iter().fold(server, |url, segment| format!("{url}/{segment}"));
    Ok((url, space))
}

/// What a proxy puts before the API's own path, and what stands behind that, if it is there.
fn split<'a, 'b>(segments: &'b [&'a str]) -> (&'b [&'a str], Option<&'b [&'a str]>) {
    let api = segments.windows(2).position(|pair| pair == ["v1", "spaces"]);
    match (api, segments) {
        (Some(at), _) => {
            let (prefix, rest) = segments.split_at(at);
            (prefix, rest.get(2..))
        }
        (None, [prefix @ .., "v1"]) => (prefix, Some(&[])),
        (None, prefix) => (prefix, None),
    }
}

/// What comes before an `@` may be a password.
fn without_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_meant() {
        for (text, space, url) in [
            ("http://127.0.0.1:7878/v1/spaces/demo", None, "http://127.0.0.1:7878"),
            ("HTTPS://Example.org/v1/spaces/demo/", None, "https://example.org"),
            ("http://[::1]:7878/v1/spaces/demo", Some("demo"), "http://[::1]:7878"),
            ("https://example.org/strandline/v1/spaces/demo", None, "https://example.org/strandline"),
            ("http://127.0.0.1:7878", Some("demo"), "http://127.0.0.1:7878"),
            ("http://127.0.0.1:7878/", Some("demo"), "http://127.0.0.1:7878"),
            ("http://127.0.0.1:7878/v1", Some("demo"), "http://127.0.0.1:7878"),
            ("http://127.0.0.1:7878/v1/spaces/", Some("demo"), "http://127.0.0.1:7878"),
            ("https://example.org/strandline", Some("demo"), "https://example.org/strandline"),
            ("http://127.0.0.1:7878/demo", None, "http://127.0.0.1:7878"),
            ("https://example.org/strandline/demo/", None, "https://example.org/strandline"),
        ] {
            let space = space.map(|name| SpaceName::new(name).unwrap());
            let read = parse(text, space).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!((read.0.as_str(), read.1.as_str()), (url, "demo"), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_a_password() {
        for (text, space, told) in [
            ("127.0.0.1:7878/v1/spaces/demo", None, "127.0.0.1:7878/v1/spaces/demo is no URL: write it as http://"),
            ("u:s3cret@h/demo", None, "h/demo is no URL"),
            ("sqlite:strandline.db", None, "is no URL"),
            ("ftp://h/demo", None, "ftp: is not how"),
            ("http:///demo", None, "names no server"),
            ("http://u:s3cret@h/v1/spaces/demo", None, "no user or password"),
            ("http://h/v1/spaces/demo?token=s3cret", None, "nothing behind a ?"),
            ("http://h", None, "names no space: add /v1/spaces/NAME, or say --space NAME"),
            ("http://h/v1/spaces", None, "names no space"),
            ("http://h/v1", None, "names no space"),
            ("http://h/v1/spaces/demo/changes", None, "further than to the space demo: leave off /changes"),
            ("http://h/v1/spaces/demo", Some("other"), "names the space demo, and --space the space other"),
            ("http://h/v1/spaces/Demo!", None, "the space Demo! in"),
        ] {
            let space = space.map(|name| SpaceName::new(name).unwrap());
            let fault = parse(text, space).unwrap_err();
            assert!(fault.contains(told) && !fault.contains("s3cret"), "{text}: {fault}");
        }
    }
}
