//! One client for both protocols, which goes on where a connection ended.

use std::net::SocketAddr;

use crate::message::{Answer, Outcome, Request};
use crate::{http1, http2};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

pub(crate) struct Client {
    pub(crate) protocol: Protocol,
    address: SocketAddr,
    connection: Option<Connection>,
}

enum Connection {
    Http1(http1::Connection),
    Http2(http2::Connection),
}

impl Client {
    pub(crate) fn new(protocol: Protocol, address: SocketAddr) -> Self {
        Self {
            protocol,
            address,
            connection: None,
        }
    }

    /// Sends all requests at once on one connection: one behind the other in HTTP/1.1, side by side
    /// in HTTP/2.
    pub(crate) async fn send_all(&mut self, requests: &[Request]) -> Vec<Outcome> {
        let mut connection = match (self.connection.take(), self.protocol) {
            (Some(connection), _) => connection,
            (None, Protocol::Http1) => {
                Connection::Http1(http1::Connection::open(self.address).await)
            }
            (None, Protocol::Http2) => {
                Connection::Http2(http2::Connection::open(self.address).await)
            }
        };
        let outcomes = match &mut connection {
            Connection::Http1(connection) => connection.send_all(requests).await,
            Connection::Http2(connection) => connection.send_all(requests).await,
        };
        let goes_on = |outcome: &Outcome| match outcome {
            Outcome::Answered(answer) => !answer.is_last,
            Outcome::Cut => false,
        };
        for outcome in &outcomes {
            outcome.search();
        }
        if outcomes.iter().all(goes_on) {
            self.connection = Some(connection);
        }
        outcomes
    }

    pub(crate) async fn try_send(&mut self, request: &Request) -> Outcome {
        let mut outcomes = self.send_all(std::slice::from_ref(request)).await;
        outcomes.remove(0)
    }

    /// Sends what the server has to answer.
    pub(crate) async fn send(&mut self, request: &Request) -> Answer {
        self.try_send(request).await.answer()
    }
}
