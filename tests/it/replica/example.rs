//! The example of the README.

use std::path::PathBuf;
use std::process::Command;

use crate::support::Server;

/// The example, which `cargo test` has built already unless it was told to run this test alone.
fn program() -> PathBuf {
    let build = ["build", "--quiet", "--locked", "--offline", "--example", "replica"];
    let built = Command::new(env!("CARGO")).args(build).current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(built.success());
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_strandline"));
    binary.parent().unwrap().join("examples/replica")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_readme_runs_as_it_is_written() {
    let root = env!("CARGO_MANIFEST_DIR");
    let example = std::fs::read_to_string(format!("{root}/examples/replica.rs")).unwrap();
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    assert!(readme.contains(&format!("```rust\n{example}```")), "the README shows another example");
    assert!(example.lines().count() <= 30);

    let server = Server::start().await;
    let (directory, url) = (tempfile::tempdir().unwrap(), format!("http://{}", server.address));
    let program = tokio::task::block_in_place(program);
    let run = || {
        let output = Command::new(&program).arg(&url).current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = tokio::task::block_in_place(run);
    let tide = "Watch tide number 1: {\"title\":\"Watch tide number 1\"}\n";
    assert_eq!(said, format!("1 pushed, 0 pulled: the same as the server's\n{tide}"));
    server.write("from elsewhere", &serde_json::json!({"title": "Sand"})).await;
    let said = tokio::task::block_in_place(run);
    assert!(said.starts_with("1 pushed, 2 pulled"), "{said}");
    assert!(said.contains("Watch tide number 2") && said.contains("from elsewhere"), "{said}");
}
