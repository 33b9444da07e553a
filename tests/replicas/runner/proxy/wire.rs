//! As much of the protocol of Postgres as it takes to see one message end and the next begin.

use bytes::{Buf as _, Bytes, BytesMut};

/// Cuts one direction of a connection into whole messages.
pub(crate) struct Messages {
    rest: BytesMut,
    /// The first message of a client has no tag.
    untagged: bool,
}

/// One message, with its head.
pub(crate) struct Message {
    /// 0 for the first one of a client.
    pub(crate) tag: u8,
    pub(crate) bytes: Bytes,
}

impl Messages {
    pub(crate) fn of_a_client() -> Self {
        Self {
            rest: BytesMut::new(),
            untagged: true,
        }
    }

    pub(crate) fn of_the_server() -> Self {
        Self {
            rest: BytesMut::new(),
            untagged: false,
        }
    }

    pub(crate) fn arrived(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next message, once all of it is there.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let before = usize::from(!self.untagged);
        let mut head = self.rest.get(before..)?;
        // The length counts itself and not the tag.
        let length = head.try_get_u32().ok()? as usize + before;
        if self.rest.len() < length {
            return None;
        }
        let tag = if self.untagged { 0 } else { self.rest[0] };
        self.untagged = false;
        let bytes = self.rest.split_to(length).freeze();
        Some(Message { tag, bytes })
    }
}

impl Message {
    /// Whether the server says that a transaction was committed.
    pub(crate) fn says_committed(&self) -> bool {
        self.tag == b'C' && self.bytes[5..] == *b"COMMIT\0"
    }

    /// Whether a client asks for something to be done: a simple query, or the execution of a
    /// prepared statement.
    pub(crate) fn is_a_statement(&self) -> bool {
        matches!(self.tag, b'Q' | b'E')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_torn() {
        let mut stream = Vec::new();
        stream.extend_from_slice(b"\0\0\0\x08\0\x03\0\0");
        stream.extend_from_slice(b"Q\0\0\0\x0bCOMMIT\0");
        stream.extend_from_slice(b"S\0\0\0\x04");
        for size in 1..stream.len() {
            let mut messages = Messages::of_a_client();
            let mut tags = Vec::new();
            let mut back = Vec::new();
            for piece in stream.chunks(size) {
                messages.arrived(piece);
                while let Some(message) = messages.next() {
                    tags.push(message.tag);
                    back.extend_from_slice(&message.bytes);
                }
            }
            assert_eq!(tags, [0, b'Q', b'S'], "in pieces of {size}");
            assert_eq!(back, stream);
        }
    }

    #[test]
    fn only_the_servers_word_on_a_commit_is_one() {
        let says = |bytes: &[u8]| {
            let mut messages = Messages::of_the_server();
            messages.arrived(bytes);
            messages.next().unwrap().says_committed()
        };
        assert!(says(b"C\0\0\0\x0bCOMMIT\0"));
        assert!(!says(b"C\0\0\0\x0aBEGIN\0"));
        assert!(!says(b"C\0\0\0\x0dROLLBACK\0"));
        assert!(!says(b"S\0\0\0\x0bCOMMIT\0"));
    }
}
