//! A parser of challenges (RFC 9110 section 11.6.1) that shares nothing with the code it judges.

/// One challenge: its scheme and its parameters in order, unquoted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) params: Vec<(String, String)>,
}

impl Challenge {
    /// Reads a line that holds one challenge; panics on anything else.
    pub(crate) fn parse(line: &str) -> Self {
        let (scheme, mut rest) = line.split_once(' ').expect("a scheme and a space");
        assert!(is_token(scheme), "the scheme is a token: {line}");
        let mut params = Vec::new();
        loop {
            let (name, after) = rest.split_once('=').expect("a parameter has a value");
            assert!(is_token(name), "the name of a parameter is a token: {line}");
            let quoted = after.strip_prefix('"').expect("values are quoted strings");
            let mut value = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next().expect("the quoted string ends") {
                    (at, '"') => break at + 1,
                    (_, '\\') => value.push(chars.next().expect("an escape escapes").1),
                    (_, plain) => {
                        assert!(!plain.is_control(), "no control characters: {line:?}");
                        value.push(plain);
                    }
                }
            };
            params.push((name.to_owned(), value));
            rest = &quoted[end..];
            if rest.is_empty() {
                break;
            }
            rest = rest.strip_prefix(", ").expect("a comma between parameters");
        }
        Self {
            scheme: scheme.to_owned(),
            params,
        }
    }

    /// The challenge of the gate with this realm, error and scope.
    pub(crate) fn bearer(realm: &str, error: Option<&str>, scope: Option<&str>) -> Self {
        let named = [("realm", Some(realm)), ("error", error), ("scope", scope)];
        let params = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        Self {
            scheme: "Bearer".to_owned(),
            params: params.collect(),
        }
    }
}

fn is_token(text: &str) -> bool {
    let of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(of_token)
}

#[test]
fn the_parser_reads_escapes_and_order() {
    assert_eq!(
        Challenge::parse(r#"Bearer realm="a \"b\" \\c, d=", error="x""#),
        Challenge::bearer(r#"a "b" \c, d="#, Some("x"), None)
    );
}
