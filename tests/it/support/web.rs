//! A web server of a few lines, for what the server itself asks of others.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Answers every request by a function of its path; gone with the process.
pub struct Web(SocketAddr);

impl Web {
    pub fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, answer) = (listener.local_addr().unwrap(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream.unwrap(), &*answer));
            }
        });
        Self(address)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> (u16, String)) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let (status, body) = answer(first.split(' ').nth(1).unwrap_or_default());
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // Whoever asked may be gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
