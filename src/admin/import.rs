//! `POST /keys/import`: keys that were made elsewhere, a line each.
//!
//! Each line is a transaction of its own, and the answer to it is sent when that has ended. Whoever
//! hears no more, because one of the two has hung up, sends all of it again: what is there already
//! is left as it is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::StatusCode;
use http::header::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::Instrument as _;

use super::answer::{Answer, Refused, to_json, told};
use super::caller::Call;
use super::create::refused_for;
use super::errors::Errors;
use super::lines::{self, Gone, Lines, NDJSON};
use super::policy::NotMade;
use super::query::Query;
use super::view::KeyView;
use super::wanted::Wanted;
use super::{Desk, KEYS_WRITE, body};
use crate::keyring::{Caller, Imported, MadeElsewhere, Making, NewKey};
use crate::store::KeyRecord;
use crate::timestamp::Timestamp;

/// The most lines, those that are blank not counted.
const MOST_LINES: usize = 10_000;

/// The most bytes: 1,600 to the line, where there are as many as may be.
const LIMIT: usize = 16_000_000;

/// How long they may take to come.
const PATIENCE: Duration = Duration::from_mins(2);

/// The answer to a line.
#[derive(Serialize)]
struct Told<'a> {
    line: usize,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a RawValue>,
}

/// What became of a line.
struct Done {
    status: StatusCode,
    now: Timestamp,
    record: KeyRecord,
}

/// Takes the lines one after the other.
struct Importing {
    desk: Arc<Desk>,
    caller: Caller,
    address: Option<IpAddr>,
    /// What all further lines are answered, once it makes no sense to go on.
    over: Option<(StatusCode, Box<RawValue>)>,
}

pub(super) async fn import(call: Call) -> Answer {
    call.needs(KEYS_WRITE)?;
    let address = call.address();
    // Before the body, which is what there is to be spared.
    let turn = call.desk.turns.begin(&call.caller).ok_or_else(too_many)?;
    let body = read(&call.parts.headers, call.body).await?;
    let mut errors = Errors::default();
    Query::of(call.parts.uri.query(), &[], &mut errors);
    errors.check()?;
    let (mut lines, response) = lines::answer();
    let mut importing = Importing {
        desk: call.desk,
        caller: call.caller,
        address,
        over: None,
    };
    // On a task of its own: a client that reads slowly or leaves cuts no line short.
    let work = async move {
        // One that has left is told nothing. What was done so far stays.
        let done: Result<(), Gone> = importing.all(&body, &mut lines).await;
        // Before the answer ends: whoever has heard its end may begin the next at once.
        drop((body, turn));
        if done.is_ok() {
            lines.finish();
        }
    };
    tokio::spawn(work.in_current_span());
    Ok(response)
}

fn too_many() -> Refused {
    Refused::problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
        .because(
            "there is an import of this owner, or there are too many; try again when it is over",
        )
        .with("retry-after", "10")
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refused> {
    let bytes = body::within(LIMIT, PATIENCE, headers, body).await?;
    if numbered(&bytes).nth(MOST_LINES).is_some() {
        let why = format_args!("the body must have at most {MOST_LINES} lines");
        return Err(body::too_large(why));
    }
    body::must_be(NDJSON, headers)?;
    Ok(bytes)
}

/// The lines that are not blank, with their numbers from 1 on.
fn numbered(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let numbered = lines.enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter(|(_, line)| !line.is_empty())
}

impl Importing {
    async fn all(&mut self, body: &[u8], lines: &mut Lines) -> Result<(), Gone> {
        for (number, line) in numbered(body) {
            let place = lines.place().await?;
            place.send(self.one(number, line).await);
        }
        Ok(())
    }

    async fn one(&mut self, line: usize, text: &[u8]) -> Vec<u8> {
        if let Some((status, problem)) = &self.over {
            return refused(line, *status, problem);
        }
        match self.take(text).await {
            Ok(done) => to_json(&Told {
                line,
                status: done.status.as_u16(),
                key: Some(KeyView::new(&done.record, done.now)),
                problem: None,
            })
            .into(),
            Err(why) => {
                let rest = why.of_the_rest().or_else(|| self.count_refused(&why));
                let (status, problem) = self.told(why);
                let answer = refused(line, status, &problem);
                self.over = rest.map(|why| self.told(why));
                answer
            }
        }
    }

    /// Counts a line that was refused like a key that was made. It took as much work, and nothing
    /// else ends an import of lines of which none can be. What is left is answered this, if any.
    fn count_refused(&self, why: &Refused) -> Option<Refused> {
        // Counted before it was told.
        if why.code() == "digest_taken" {
            return None;
        }
        let rules = &self.desk.rules;
        let counted = rules.count_refused(&self.caller, self.address);
        counted.err()?.of_the_rest()
    }

    async fn make(
        &self,
        new: NewKey,
        elsewhere: MadeElsewhere,
    ) -> Result<(Timestamp, Imported), NotMade> {
        let (rules, keyring) = (&self.desk.rules, &self.desk.gate.keyring);
        let making = Making {
            limits: rules.limits.clone(),
            ..Making::default()
        };
        let given = Some(&elsewhere);
        rules
            .permit(keyring, &self.caller, &new, given, &making, self.address)
            .await?;
        let caller = self.caller.clone();
        Ok(keyring.import_as(caller, new, elsewhere, making).await?)
    }

    fn told(&self, why: Refused) -> (StatusCode, Box<RawValue>) {
        let (status, problem) = told(why, &self.desk.gate);
        let problem = serde_json::from_slice(&problem);
        (
            status,
            problem.unwrap_or_else(|_| RawValue::NULL.to_owned()),
        )
    }

    async fn take(&self, text: &[u8]) -> Result<Done, Refused> {
        if text.len() > body::LIMIT {
            let most = body::LIMIT;
            return Err(body::too_large(format_args!(
                "a line must have at most {most} bytes"
            )));
        }
        let keyring = &self.desk.gate.keyring;
        let json = body::parse(text)?;
        let mut errors = Errors::default();
        let wanted = Wanted::read_imported(json, keyring, &mut errors);
        let Some((new, elsewhere, expiry_field)) = wanted else {
            return Err(errors.into());
        };
        let made = self.make(new, elsewhere).await;
        let (now, imported) = made.map_err(|error| refused_for(error, expiry_field))?;
        let (status, record) = match imported {
            Imported::Made(record) => (StatusCode::CREATED, record),
            Imported::Exists(record) => (StatusCode::OK, record),
        };
        Ok(Done {
            status,
            now,
            record,
        })
    }
}

fn refused(line: usize, status: StatusCode, problem: &RawValue) -> Vec<u8> {
    let answer = Told {
        line,
        status: status.as_u16(),
        key: None,
        problem: Some(problem),
    };
    to_json(&answer).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_count_for_the_numbers_alone() {
        let lines =
            |text: &'static str| -> Vec<(usize, &[u8])> { numbered(text.as_bytes()).collect() };
        assert_eq!(lines(""), []);
        assert_eq!(lines("\n \r\n"), []);
        assert_eq!(lines("a"), [(1, &b"a"[..])]);
        assert_eq!(lines("\r\na\r\n\nb\n"), [(2, &b"a"[..]), (4, b"b")]);
    }
}
