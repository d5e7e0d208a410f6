//! The server as a program: the line it prints, the addresses it refuses, and the way it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Home;

fn serve(home: &Home, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strandline"));
    command.args(["serve", "--listen", listen, "--database", &home.argument(), "--workers", "1"]);
    command.env_remove("STRANDLINE_EXAMPLE").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The server and the address that it says it listens on.
fn start(home: &Home) -> (Child, String) {
    let mut server = serve(home, "127.0.0.1:0").spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").expect("the line that tests wait for");
    (server, address.to_owned())
}

fn request(address: &str, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    socket
}

fn read(mut socket: TcpStream) -> String {
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_signal_ends_it_in_order_and_nothing_is_lost() {
    for signal in ["TERM", "INT"] {
        let home = Home::new();
        let (mut server, address) = start(&home);
        let put = "PUT /v1/spaces/demo/records/todos/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
        assert!(read(request(&address, put)).starts_with("HTTP/1.1 201"));
        // One that streams, one that waits, and one that idles.
        let feed = "GET /v1/spaces/demo/changes HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n";
        let poll = "GET /v1/spaces/demo/changes?since=1&wait=60 HTTP/1.1\r\nhost: x\r\n\r\n";
        let [feed, poll, _idle] =
            [feed, poll, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"].map(|text| request(&address, text));
        std::thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        let killed = Command::new("kill").args([format!("-{signal}"), server.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert!(read(poll).contains("\"changes\":[]"), "the long poll is answered");
        assert!(read(feed).ends_with("0\r\n\r\n"), "the stream is ended");
        assert!(server.wait().unwrap().success(), "{signal}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{signal} took {:?}", begun.elapsed());

        let (mut server, address) = start(&home);
        let get = "GET /v1/spaces/demo/records/todos/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(read(request(&address, get)).starts_with("HTTP/1.1 200"));
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

#[test]
fn without_access_control_it_listens_on_loopback_only() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::file_in(directory.path());
    for (listen, says) in [
        ("0.0.0.0:0", "strandline token create"),
        ("[::]:0", "strandline token create"),
        ("127.0.0.1:0,0.0.0.0:0", "strandline token create"),
        ("nonsense", "an address and a port"),
    ] {
        let output = serve(&home, listen).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{listen}");
        assert!(text.contains(says), "{listen}: {text}");
        assert!(output.stdout.is_empty());
    }
    assert!(!directory.path().join("s.db").exists(), "it refused before it opened anything");
}

/// The lines that it prints from its start to its end, and how it ended; it is told to stop once it listens.
fn lines(mut command: Command) -> (Vec<String>, Option<i32>) {
    let mut server = command.spawn().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let mut text = String::new();
    if output.read_line(&mut text).unwrap() > 0 {
        let killed = Command::new("kill").arg(server.id().to_string()).status().unwrap();
        assert!(killed.success());
    }
    output.read_to_string(&mut text).unwrap();
    (text.lines().map(str::to_owned).collect(), server.wait().unwrap().code())
}

#[test]
fn where_the_example_is_stands_behind_where_it_listens() {
    let home = Home::new();
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = serve(&home, "127.0.0.1:0,127.0.0.1:0");
        change(&mut command);
        lines(command)
    };
    let example = |lines: &[String]| {
        let address = lines[0].strip_prefix("listening on ").unwrap();
        assert_eq!(lines[2], format!("the example page is {address}/example/"));
    };
    let (asked, code) = with(&|command| _ = command.arg("--example"));
    assert_eq!((asked.len(), code), (3, Some(0)), "{asked:?}");
    example(&asked);
    for (value, count, ends) in [("1", 3, 0), ("true", 3, 0), ("0", 2, 0), ("false", 2, 0), ("maybe", 0, 2)] {
        let (told, code) = with(&|command| _ = command.env("STRANDLINE_EXAMPLE", value));
        assert_eq!((told.len(), code), (count, Some(ends)), "{value}: {told:?}");
        if count == 3 {
            example(&told);
        }
    }
}
