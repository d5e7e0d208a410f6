//! A to-do list that works offline. Run it twice, without a server in between if you like.
use std::path::Path;
use strandline::domain::RecordId;
use strandline::replica::{Options, Origin, Replica};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or("http://127.0.0.1:7878".into());
    let file = Path::new("todos.replica");
    let replica = if file.exists() {
        Replica::open(file, Options::default())?
    } else {
        Replica::create(file, &Origin { url, space: "demo".parse()?, collections: None }, Options::default())?
    };
    let todos = "todos".parse()?;
    let title = format!("Watch tide number {}", replica.list(&todos, None, 1000)?.len() + 1);
    let data = Replica::document(&serde_json::json!({ "title": title }).to_string())?;
    replica.put(&todos, &RecordId::new(title)?, &data)?; // in the file, and so for good
    match replica.sync() {
        Ok(report) => println!("{} pushed, {} pulled: the same as the server's", report.pushed, report.pulled),
        Err(error) => println!("{error}; the next sync goes on"),
    }
    for (id, data) in replica.list(&todos, None, 1000)? {
        println!("{id}: {}", data.as_str());
    }
    for conflict in replica.conflicts()? {
        println!("{}: the server kept its own; yours is {:?}", conflict.id, conflict.mine);
    }
    Ok(())
}
