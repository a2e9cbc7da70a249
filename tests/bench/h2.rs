//! The client's half of HTTP/2 for exactly one gRPC stream, without I/O.
//!
//! A general client costs several times more per connection than the server that is to be measured. Here a DATA frame's payload is handed on
//! from the buffer that it was read into, headers are skipped, and nothing is allocated per frame. It is no HTTP/2 library: one stream, no
//! padding, no reading of headers (a stream that the server ends is ended, whatever its status says).

use anyhow::{Result, bail};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// END_STREAM on DATA and HEADERS, ACK on SETTINGS and PING.
const FLAG_1: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

const HEADER: usize = 9;
const STREAM: u32 = 1;
const DEFAULT_WINDOW: u32 = 65_535;
const MAX_FRAME: usize = 16_384;

/// How much the server may send before it hears from the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) stream: u32,
    pub(crate) connection: u32,
}

/// One connection with its one stream.
#[derive(Debug)]
pub(crate) struct Connection {
    windows: Windows,
    /// A frame's head, or a frame that is not DATA, as far as it has come.
    partial: Vec<u8>,
    /// What is missing of the DATA frame under way, and whether it is the last.
    data_left: usize,
    data_ends: bool,
    /// Received, and not yet given back to the server's windows.
    owed_stream: u32,
    owed_connection: u32,
    /// What the server lets us send.
    credit_stream: i64,
    credit_connection: i64,
    peer_initial: i64,
    /// Messages that wait for credit, from `body_start` on.
    body: Vec<u8>,
    body_start: usize,
    output: Vec<u8>,
}

impl Connection {
    /// Opens the connection and its stream: the first output has the preface and the request's headers.
    pub(crate) fn open(path: &str, authority: &str, windows: Windows) -> Self {
        let mut this = Self {
            windows,
            partial: Vec::new(),
            data_left: 0,
            data_ends: false,
            owed_stream: 0,
            owed_connection: 0,
            credit_stream: DEFAULT_WINDOW.into(),
            credit_connection: DEFAULT_WINDOW.into(),
            peer_initial: DEFAULT_WINDOW.into(),
            body: Vec::new(),
            body_start: 0,
            output: Vec::new(),
        };
        this.output
            .extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut settings = Vec::new();
        // ENABLE_PUSH, INITIAL_WINDOW_SIZE.
        for (id, value) in [(2_u16, 0), (4, windows.stream)] {
            settings.extend_from_slice(&id.to_be_bytes());
            settings.extend_from_slice(&u32::to_be_bytes(value));
        }
        this.frame(SETTINGS, 0, 0, &settings);
        if windows.connection > DEFAULT_WINDOW {
            this.window_update(0, windows.connection - DEFAULT_WINDOW);
        }
        this.frame(HEADERS, END_HEADERS, STREAM, &header_block(path, authority));
        this
    }

    /// Queues bytes of the request's body.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
        self.send_body();
    }

    /// What is to be written to the socket; the caller empties it.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Takes what was read from the socket; the response's body goes to `data` as it comes. Fails when the stream or connection has ended.
    pub(crate) fn receive(
        &mut self,
        mut input: &[u8],
        mut data: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while !input.is_empty() {
            if self.data_left > 0 {
                let (chunk, rest) = input.split_at(self.data_left.min(input.len()));
                (self.data_left, input) = (self.data_left - chunk.len(), rest);
                self.owe(chunk.len());
                data(chunk)?;
                if self.data_left == 0 && self.data_ends {
                    bail!("the server has ended the stream");
                }
            } else if self.gather(HEADER, &mut input) {
                self.begin_frame(&mut input)?;
            }
        }
        Ok(())
    }

    /// Moves input to the partial frame until that has `wanted` bytes; says whether it has.
    fn gather(&mut self, wanted: usize, input: &mut &[u8]) -> bool {
        let missing = wanted.saturating_sub(self.partial.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.partial.extend_from_slice(taken);
        *input = rest;
        self.partial.len() >= wanted
    }

    /// The head of a frame is there.
    fn begin_frame(&mut self, input: &mut &[u8]) -> Result<()> {
        let [a, b, c, kind, flags, ..] = self.partial[..] else {
            return Ok(());
        };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if kind == DATA {
            if flags & PADDED != 0 {
                bail!("the server pads its frames, which this client does not read");
            }
            self.partial.clear();
            (self.data_left, self.data_ends) = (length, flags & FLAG_1 != 0);
            if length == 0 && self.data_ends {
                bail!("the server has ended the stream");
            }
        } else if self.gather(HEADER + length, input) {
            let frame = std::mem::take(&mut self.partial);
            let outcome = self.control(&frame);
            // Its allocation serves the next one.
            self.partial = frame;
            self.partial.clear();
            return outcome;
        }
        Ok(())
    }

    /// A frame that is not DATA has come whole.
    fn control(&mut self, frame: &[u8]) -> Result<()> {
        let [_, _, _, kind, flags, a, b, c, d, ref payload @ ..] = *frame else {
            return Ok(());
        };
        let on_connection = u32::from_be_bytes([a, b, c, d]) == 0;
        let flagged = flags & FLAG_1 != 0;
        match kind {
            SETTINGS if !flagged => {
                for setting in payload.chunks_exact(6) {
                    if let [0, 4, a, b, c, d] = *setting {
                        let initial = i64::from(u32::from_be_bytes([a, b, c, d]));
                        self.credit_stream += initial - self.peer_initial;
                        self.peer_initial = initial;
                    }
                }
                self.frame(SETTINGS, FLAG_1, 0, &[]);
                self.send_body();
            }
            PING if !flagged => self.frame(PING, FLAG_1, 0, payload),
            WINDOW_UPDATE => {
                let credit = if on_connection {
                    &mut self.credit_connection
                } else {
                    &mut self.credit_stream
                };
                *credit += i64::from(number(payload, 0));
                self.send_body();
            }
            HEADERS if flagged => bail!("the server has ended the stream with trailers"),
            RST_STREAM => bail!(
                "the server has reset the stream with code {}",
                number(payload, 0)
            ),
            GOAWAY if number(payload, 4) != 0 => bail!(
                "the server ends the connection with code {}",
                number(payload, 4)
            ),
            // After a graceful GOAWAY the server ends the stream, too.
            _ => {}
        }
        Ok(())
    }

    /// Counts received data, and gives it back when it is half a window.
    fn owe(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.owed_stream += bytes;
        self.owed_connection += bytes;
        if self.owed_stream >= self.windows.stream / 2 {
            let owed = std::mem::take(&mut self.owed_stream);
            self.window_update(STREAM, owed);
        }
        if self.owed_connection >= self.windows.connection.max(DEFAULT_WINDOW) / 2 {
            let owed = std::mem::take(&mut self.owed_connection);
            self.window_update(0, owed);
        }
    }

    /// Moves as much of the waiting messages to the output as the server's windows allow.
    fn send_body(&mut self) {
        loop {
            let waiting = self.body.len() - self.body_start;
            let credit =
                usize::try_from(self.credit_stream.min(self.credit_connection)).unwrap_or(0);
            let length = waiting.min(credit).min(MAX_FRAME);
            if length == 0 {
                break;
            }
            let body = std::mem::take(&mut self.body);
            self.frame(
                DATA,
                0,
                STREAM,
                body.get(self.body_start..self.body_start + length)
                    .unwrap_or_default(),
            );
            self.body = body;
            self.body_start += length;
            self.credit_stream -= length as i64;
            self.credit_connection -= length as i64;
        }
        if self.body_start == self.body.len() {
            // Large requests are rare; what they took is not kept.
            (self.body, self.body_start) = (Vec::new(), 0);
        }
    }

    fn window_update(&mut self, stream: u32, increment: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
        self.output.extend_from_slice(&[a, b, c, kind, flags]);
        self.output.extend_from_slice(&stream.to_be_bytes());
        self.output.extend_from_slice(payload);
    }
}

/// The request's headers in HPACK, literals without Huffman coding or table.
fn header_block(path: &str, authority: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` of the static table.
    let mut block = vec![0x83, 0x86];
    let mut text = |name: &[u8], value: &str| {
        block.extend_from_slice(name);
        // Paths and addresses are shorter than 127 bytes, where a length takes more than one.
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    };
    text(&[0x04], path);
    text(&[0x01], authority);
    // `content-type` is entry 31; `te` is in no table.
    text(&[0x0f, 31 - 15], "application/grpc");
    text(b"\x00\x02te", "trailers");
    block
}

fn number(payload: &[u8], at: usize) -> u32 {
    payload
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        stream: 1000,
        connection: 100_000,
    };

    fn opened() -> Connection {
        let mut connection = Connection::open("/a/b", "host", WINDOWS);
        connection.output().clear();
        connection
    }

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut scratch = opened();
        scratch.frame(kind, flags, stream, payload);
        scratch.output
    }

    /// Feeds `input` in pieces of each size and compares the data and the output.
    fn check(input: &[u8], data: &[u8], output: &[u8]) {
        for size in 1..=input.len() {
            let mut connection = opened();
            let mut seen = Vec::new();
            for piece in input.chunks(size) {
                connection
                    .receive(piece, |data| {
                        seen.extend_from_slice(data);
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(
                (seen.as_slice(), connection.output.as_slice()),
                (data, output),
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn data_is_handed_on_between_other_frames() {
        let input = [
            frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
            frame(HEADERS, END_HEADERS, STREAM, b"ignored"),
            frame(DATA, 0, STREAM, b"one"),
            frame(PING, 0, 0, b"12345678"),
            frame(DATA, 0, STREAM, b""),
            frame(DATA, 0, STREAM, b" two"),
        ];
        let output = [
            frame(SETTINGS, FLAG_1, 0, &[]),
            frame(PING, FLAG_1, 0, b"12345678"),
        ];
        check(&input.concat(), b"one two", &output.concat());
    }

    #[test]
    fn half_a_window_is_given_back() {
        let input = [
            frame(DATA, 0, STREAM, &[7; 499]),
            frame(DATA, 0, STREAM, &[7; 2]),
        ]
        .concat();
        let mut connection = opened();
        connection.receive(&input, |_| Ok(())).unwrap();
        assert_eq!(
            connection.output,
            frame(WINDOW_UPDATE, 0, STREAM, &501_u32.to_be_bytes())
        );
    }

    #[test]
    fn requests_wait_for_credit() {
        let mut connection = opened();
        connection.send(&[1; 70_000]);
        let sent = |connection: &Connection| {
            connection.output.len() - connection.output.len().div_ceil(HEADER + MAX_FRAME) * HEADER
        };
        assert_eq!(sent(&connection), DEFAULT_WINDOW as usize);
        // The stream has credit, the connection has none yet.
        connection.output.clear();
        connection
            .receive(&frame(SETTINGS, 0, 0, &[0, 4, 0, 2, 0, 0]), |_| Ok(()))
            .unwrap();
        assert_eq!(connection.output, frame(SETTINGS, FLAG_1, 0, &[]));
        connection.output.clear();
        connection
            .receive(
                &frame(WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes()),
                |_| Ok(()),
            )
            .unwrap();
        assert_eq!(sent(&connection), 70_000 - DEFAULT_WINDOW as usize);
    }

    #[test]
    fn an_end_is_an_error() {
        for end in [
            frame(DATA, FLAG_1, STREAM, b""),
            frame(HEADERS, FLAG_1, STREAM, b"x"),
            frame(RST_STREAM, 0, STREAM, &[0, 0, 0, 8]),
            frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 2]),
        ] {
            assert!(opened().receive(&end, |_| Ok(())).is_err());
        }
        opened()
            .receive(&frame(GOAWAY, 0, 0, &[0; 8]), |_| Ok(()))
            .unwrap();
    }
}
