//! Reads `WWW-Authenticate` as RFC 9110 section 11.6.1 has it, with one challenge in a line.

/// One challenge: the scheme, and the parameters in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    /// As it was written.
    pub scheme: String,
    /// Names as they were written, values without quotes and escapes.
    pub parameters: Vec<(String, Vec<u8>)>,
}

/// Reads the whole line, or nothing.
pub fn read(line: &[u8]) -> Option<Challenge> {
    let mut rest = Rest(line);
    let scheme = rest.token()?;
    let mut parameters = Vec::new();
    rest.exactly(b' ')?;
    loop {
        rest.spaces();
        let name = rest.token()?;
        rest.spaces();
        rest.exactly(b'=')?;
        rest.spaces();
        let value = match rest.0.first()? {
            b'"' => rest.quoted()?,
            _ => rest.token()?.into_bytes(),
        };
        if parameters.iter().any(|(earlier, _)| *earlier == name) {
            return None;
        }
        parameters.push((name, value));
        rest.spaces();
        if rest.0.is_empty() {
            return Some(Challenge { scheme, parameters });
        }
        rest.exactly(b',')?;
    }
}

struct Rest<'l>(&'l [u8]);

impl Rest<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn exactly(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn spaces(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn token(&mut self) -> Option<String> {
        let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let length = self.0.iter().take_while(|byte| fine(byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        (!token.is_empty()).then(|| String::from_utf8_lossy(token).into_owned())
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.exactly(b'"')?;
        let mut value = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(value),
                b'\\' => value.push(self.text()?),
                byte if is_text(byte) => value.push(byte),
                _ => return None,
            }
        }
    }

    fn text(&mut self) -> Option<u8> {
        self.next().filter(|byte| is_text(*byte))
    }
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}
