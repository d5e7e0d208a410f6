//! A password in a database URL is never shown, whatever is wrong with the URL or with what is around it.

use super::Desk;

const SECRET: &str = "s3cr3t";
/// Nobody listens there.
const UNREACHABLE: &str = "postgres://u:s3cr3t@127.0.0.1:1/db?connect_timeout=1&password=s3cr3t";

/// What a command says, to whomever.
fn said(desk: &Desk, arguments: &str, database: Option<&str>) -> (i32, String) {
    let mut command = desk.command(arguments);
    if let Some(database) = database {
        command.env("STRANDLINE_DATABASE", database);
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_url_that_cannot_be_read_is_told_without_its_password() {
    let desk = Desk::new();
    for wrong in ["postgress://u:s3cr3t@h/db", "postgress://h/db?user=u&password=s3cr3t", "u:s3cr3t@h/db"] {
        for (arguments, database) in [
            (format!("serve --database {wrong}"), None),
            (format!("serve --read-database {wrong}"), None),
            ("serve".into(), Some(wrong)),
            (format!("serve {wrong}"), None),
            (format!("copy --from {wrong} --to sqlite:other.db"), None),
            (format!("copy --from sqlite:other.db --to {wrong}"), None),
            (format!("copy --from {wrong}"), None),
            (format!("spaces list --database {wrong}"), None),
            ("spaces list".into(), Some(wrong)),
            (format!("backup b.db --database {wrong}"), None),
            ("backup b.db".into(), Some(wrong)),
        ] {
            // Without a scheme, and where no database belongs, it is any text; nothing says that it holds a secret.
            if arguments == "serve u:s3cr3t@h/db" {
                continue;
            }
            let (code, told) = said(&desk, &arguments, database);
            assert_eq!(code, 2, "{arguments}: {told}");
            assert!(!told.is_empty() && !told.contains(SECRET), "{arguments}: {told}");
        }
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let desk = Desk::new();
    desk.import("d.csv", "id\na\n", "");
    for (arguments, database) in [
        (format!("serve --listen 127.0.0.1:0 --database {UNREACHABLE}"), None),
        ("serve --listen 127.0.0.1:0".into(), Some(UNREACHABLE)),
        (format!("spaces list --database {UNREACHABLE}"), None),
        ("spaces list".into(), Some(UNREACHABLE)),
        (format!("copy --from sqlite:strandline.db --to {UNREACHABLE}"), None),
        (format!("copy --from {UNREACHABLE} --to sqlite:strandline.db"), None),
        (format!("copy --from {UNREACHABLE} --to {UNREACHABLE}"), None),
    ] {
        let (code, told) = said(&desk, &arguments, database);
        assert!(code == 1 || (code == 2 && told.contains("the same database")), "{arguments}: {told}");
        assert!(told.contains("postgres://u@127.0.0.1:1/db"), "{arguments}: {told}");
        assert!(!told.contains(SECRET), "{arguments}: {told}");
    }
}

#[test]
fn help_does_not_show_what_the_environment_holds() {
    let desk = Desk::new();
    for arguments in ["serve --help", "serve -h", "copy --help", "spaces list --help", "backup --help", "--help"] {
        let (code, told) = said(&desk, arguments, Some(UNREACHABLE));
        assert_eq!(code, 0, "{arguments}");
        assert!(told.contains("Usage") && !told.contains(SECRET), "{arguments}: {told}");
    }
}
