//! A reader of `WWW-Authenticate` by the grammar of RFC 9110, written from the standard alone.
//!
//! ```text
//! WWW-Authenticate = [ challenge *( OWS "," OWS challenge ) ]      ; empty elements are skipped
//! challenge        = auth-scheme [ 1*SP ( token68 / [ auth-param *( OWS "," OWS auth-param ) ] ) ]
//! auth-param       = token BWS "=" BWS ( token / quoted-string )
//! token68          = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
//! quoted-string    = DQUOTE *( qdtext / quoted-pair ) DQUOTE
//! ```

/// One challenge: its scheme and its parameters in order, unquoted; names in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) token68: Option<String>,
    pub(crate) params: Vec<(String, String)>,
}

impl Challenge {
    pub(crate) fn bearer(params: &[(&str, &str)]) -> Self {
        Self {
            scheme: "Bearer".to_owned(),
            token68: None,
            params: owned(params),
        }
    }
}

fn owned(params: &[(&str, &str)]) -> Vec<(String, String)> {
    let params = params.iter();
    params
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect()
}

/// The challenges of one line, or what is wrong with it and where.
pub(crate) fn parse(line: &str) -> Result<Vec<Challenge>, String> {
    let mut reader = Reader { line, at: 0 };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        reader.skip(" \t");
        if reader.rest().is_empty() {
            break;
        }
        if reader.eat(',') {
            continue;
        }
        // Whether an element is a parameter or begins a challenge is seen only behind its name.
        match (reader.param()?, challenges.last_mut()) {
            (Some(param), Some(challenge)) if challenge.token68.is_none() => {
                challenge.add(param)?;
            }
            (Some(_), _) => return Err(format!("a parameter of no challenge: {line}")),
            (None, _) => challenges.push(reader.challenge()?),
        }
        reader.skip(" \t");
        if !reader.rest().is_empty() && !reader.eat(',') {
            return Err(format!("no comma at {}: {line}", reader.at));
        }
    }
    if challenges.is_empty() {
        return Err("no challenge".to_owned());
    }
    Ok(challenges)
}

impl Challenge {
    fn add(&mut self, (name, value): (String, String)) -> Result<(), String> {
        if self.params.iter().any(|(other, _)| *other == name) {
            return Err(format!("{name} is there twice"));
        }
        self.params.push((name, value));
        Ok(())
    }
}

struct Reader<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn skip(&mut self, characters: &str) -> usize {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(|c| characters.contains(c)).len();
        self.at += length;
        length
    }

    fn eat(&mut self, expected: char) -> bool {
        let is_there = self.rest().starts_with(expected);
        self.at += if is_there { expected.len_utf8() } else { 0 };
        is_there
    }

    fn token(&mut self) -> Result<&'a str, String> {
        let rest = self.rest();
        let end = rest.find(|c| !is_tchar(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(format!("no token at {}: {}", self.at, self.line));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn challenge(&mut self) -> Result<Challenge, String> {
        let mut challenge = Challenge {
            scheme: self.token()?.to_owned(),
            token68: None,
            params: Vec::new(),
        };
        if self.skip(" ") == 0 {
            return Ok(challenge);
        }
        if let Some(param) = self.param()? {
            challenge.add(param)?;
        } else {
            challenge.token68 = self.token68();
        }
        Ok(challenge)
    }

    /// A parameter; nothing, and nothing is read, if there is none.
    fn param(&mut self) -> Result<Option<(String, String)>, String> {
        let begin = self.at;
        let name = self.token().unwrap_or_default().to_ascii_lowercase();
        self.skip(" \t");
        let is_param = !name.is_empty() && self.eat('=');
        self.skip(" \t");
        if !is_param || self.rest().is_empty() || self.rest().starts_with(['=', ',']) {
            self.at = begin;
            return Ok(None);
        }
        let value = if self.eat('"') {
            self.quoted()?
        } else {
            self.token()?.to_owned()
        };
        Ok(Some((name, value)))
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut value = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' => {
                    let (_, escaped) = characters.next().ok_or("nothing is escaped")?;
                    value.push(escaped);
                }
                '\t' | ' '..='~' | '\u{80}'.. => value.push(character),
                _ => return Err(format!("{character:?} in quotes: {}", self.line)),
            }
        }
        Err(format!("the quotes do not end: {}", self.line))
    }

    fn token68(&mut self) -> Option<String> {
        let rest = self.rest();
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let body = rest.len() - rest.trim_start_matches(is_of_it).len();
        if body == 0 {
            return None;
        }
        let padding = rest[body..].len() - rest[body..].trim_start_matches('=').len();
        self.at += body + padding;
        Some(rest[..body + padding].to_owned())
    }
}

fn is_tchar(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Section 11.6.1 has the first line as its example of how hard this is to read.
#[test]
fn lists_of_challenges_are_read() {
    let challenge = |scheme: &str, token68: Option<&str>, params: &[(&str, &str)]| Challenge {
        scheme: scheme.to_owned(),
        token68: token68.map(str::to_owned),
        params: owned(params),
    };
    let basic = challenge("Basic", None, &[("realm", "simple")]);
    let tests = [
        (
            r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#,
            vec![
                basic.clone(),
                challenge(
                    "Newauth",
                    None,
                    &[
                        ("realm", "apps"),
                        ("type", "1"),
                        ("title", r#"Login to "apps""#),
                    ],
                ),
            ],
        ),
        (r#", ,Basic Realm = "simple",,"#, vec![basic.clone()]),
        (
            r"Negotiate, NTLM abc==, Basic realm=simple",
            vec![
                challenge("Negotiate", None, &[]),
                challenge("NTLM", Some("abc=="), &[]),
                basic,
            ],
        ),
        (
            r#"Bearer realm="a \"b\" \\c, d=", error="x""#,
            vec![Challenge::bearer(&[
                ("realm", r#"a "b" \c, d="#),
                ("error", "x"),
            ])],
        ),
    ];
    for (line, expected) in tests {
        assert_eq!(parse(line).as_deref(), Ok(&expected[..]), "{line}");
    }
}

#[test]
fn what_is_no_challenge_is_refused() {
    for line in [
        "",
        ",",
        "\"Bearer\"",
        "realm=\"api\"",
        "Bearer realm=\"api",
        "Bearer realm=\"api\\",
        "Bearer realm=\"a\u{7}pi\"",
        "Bearer realm=\"api\" error=\"x\"",
        "Bearer realm=\"api\"; error=\"x\"",
        "Bearer realm=\"api\", realm=\"api\"",
        "Bearer realm=a/b",
        "Bearer realm=\"api\" scope",
    ] {
        assert!(parse(line).is_err(), "{line:?}: {:?}", parse(line));
    }
}
