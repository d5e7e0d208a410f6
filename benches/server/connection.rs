//! One keep-alive connection that speaks just enough HTTP/1.1 to be cheap: one request at a time, answers with a
//! length, and chunked streams.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// Room asked for before each read.
const READ: usize = 64 << 10;

/// A connection.
pub struct Connection {
    stream: TcpStream,
    /// What was read of the answer.
    buffer: Vec<u8>,
}

/// An answer with a length.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its header lines.
    pub head: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// A header's value; `name` is in lower case, as actix writes names.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ) })
    }

    /// Sends a request and reads the answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let head = self.read_head().await?;
        let (status, length) = {
            let text = self.head(head)?;
            let status = status(text)?;
            let length = header(text, "content-length").map(str::parse).transpose()?;
            match (status, length) {
                (304 | 204, _) => (status, 0),
                (_, Some(length)) => (status, length),
                (_, None) => return Err(format!("an answer without a length:\n{text}").into()),
            }
        };
        self.buffer.reserve((head + length).saturating_sub(self.buffer.len()));
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        let body = self.buffer.get(head..head + length).unwrap_or_default();
        Ok(Answer { status, head: self.head(head)?, body })
    }

    /// Sends a request and hands the pieces of a chunked answer to `piece` as they come.
    pub async fn stream(&mut self, request: &[u8], mut piece: impl FnMut(&[u8])) -> Result<()> {
        self.stream.write_all(request).await?;
        let head = self.read_head().await?;
        let text = self.head(head)?;
        if status(text)? != 200 || header(text, "transfer-encoding") != Some("chunked") {
            return Err(format!("not a stream:\n{text}").into());
        }
        self.buffer.drain(..head);
        loop {
            let line = self.read_to(b"\r\n").await?;
            let size = self.buffer.get(..line - 2).and_then(|size| std::str::from_utf8(size).ok());
            let size = usize::from_str_radix(size.unwrap_or_default(), 16)?;
            self.buffer.drain(..line);
            let mut left = size + 2;
            // The line end after the chunk is read with it.
            while left > 0 {
                if self.buffer.is_empty() {
                    self.read().await?;
                }
                let taken = left.min(self.buffer.len());
                let data = taken.min(left.saturating_sub(2));
                piece(self.buffer.get(..data).unwrap_or_default());
                left -= taken;
                self.buffer.drain(..taken);
            }
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Reads up to the end of the head; answers its length. What follows it may have been read too.
    async fn read_head(&mut self) -> Result<usize> {
        self.buffer.clear();
        self.read_to(b"\r\n\r\n").await
    }

    /// Reads until `end` is in the buffer; answers where it ends.
    async fn read_to(&mut self, end: &[u8]) -> Result<usize> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = rest.windows(end.len()).position(|window| window == end) {
                return Ok(searched + at + end.len());
            }
            searched = self.buffer.len().saturating_sub(end.len());
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }

    fn head(&self, length: usize) -> Result<&str> {
        Ok(std::str::from_utf8(self.buffer.get(..length).unwrap_or_default())?)
    }
}

/// `HTTP/1.1 200 OK`
fn status(head: &str) -> Result<u16> {
    Ok(head.get(9..12).unwrap_or_default().parse()?)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    head.split("\r\n").find_map(line)
}

/// A request without a body.
pub fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n").into_bytes()
}

/// Writes a request with a JSON body over `request`.
pub fn post(request: &mut Vec<u8>, path: &str, body: &[u8]) {
    request.clear();
    let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ");
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(format!("{}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
}
