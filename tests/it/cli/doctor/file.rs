//! What is one store's own: damage to the file and what lies beside it; a server that does not flush; what is not there.

use super::{doctor, push, replica, with_everything};
use crate::cli::Desk;
use crate::support::Home;
use crate::support::postgres::Database;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_put_back_is_told_and_gets_its_epochs() {
    let (mut program, mut link) = with_everything(Home::on_a_file()).await;
    program.stop().await;
    let copy = program.home().copy();
    program.start_again().await;
    push(&mut link, vec![serde_json::json!({"collection": "a", "id": "9", "data": {}})], None).await;
    program.stop().await;
    program.home().put_back(&copy);
    let found = doctor(program.home(), "");
    assert_eq!((found.code, found.faults()), (3, ["put_back"].into()), "{found:?}");
    doctor(program.home(), "--repair").assert_mended();
    doctor(program.home(), "").assert_sound();
    assert_eq!(program.home().ask("SELECT count(*) FROM epochs"), 2);

    let heads = program.home().argument().replace("sqlite:", "") + "-heads";
    std::fs::write(heads, "{\"spaces\":").unwrap();
    assert_eq!(doctor(program.home(), "").faults(), ["heads_file"].into());
    doctor(program.home(), "--repair").assert_mended();
    doctor(program.home(), "").assert_sound();
    program.start_again().await;
    replica(&program).await;
    assert_eq!(program.home().ask("SELECT count(*) FROM epochs"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_bad_pages_is_called_damaged_and_not_touched() {
    let (mut program, _) = with_everything(Home::on_a_file()).await;
    program.stop().await;
    program.home().tamper("UPDATE collections SET live = 77 WHERE name = 'a'");
    let path = program.home().argument().replace("sqlite:", "");
    let root = program.home().ask("SELECT rootpage FROM sqlite_master WHERE name = 'records_by_id'");
    let mut bytes = std::fs::read(&path).unwrap();
    let page = usize::try_from(root - 1).unwrap() * 4096;
    bytes[page + 4000..page + 4096].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let found = doctor(program.home(), "--repair");
    assert_eq!(found.code, 3, "{found:?}");
    assert!(found.finding("damaged")["advice"].as_str().unwrap().contains("restore a backup"), "{found:?}");
    assert!(found.findings().iter().all(|finding| finding["mended"] == false), "{found:?}");
    assert!(doctor(program.home(), "--repair --space s").faults().contains("damaged"));
    assert!(std::fs::read(&path).unwrap() == bytes, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_flush_is_told() {
    // The tests' own server: it does not, to be quick.
    let Some(database) = Database::migrated() else { return };
    let found = doctor(&Home::Database(database), "");
    assert_eq!((found.code, found.faults()), (3, ["not_durable"].into()), "{found:?}");
}

#[test]
fn a_person_reads_where_what_and_what_to_do() {
    let desk = Desk::new();
    desk.import("d.ndjson", "{\"id\":\"1\"}\n{\"id\":\"2\"}\n", "");
    let sound = desk.ok("doctor");
    assert!(sound.starts_with("sound: 1 space with 2 rows, "), "{sound}");
    assert!(desk.fails(1, "doctor --space nope").contains("no space named nope"));
    assert!(desk.fails(1, "doctor --database sqlite:typo.db").contains("no database at typo.db"));
    desk.fails(2, "doctor --database mysql://x");
    desk.write("junk.db", "this is no database, whatever its name says, and it is longer than a header of SQLite is");
    assert!(desk.fails(1, "doctor --database sqlite:junk.db").starts_with("error: "));
    desk.write("empty.db", "");
    assert!(desk.fails(1, "doctor --database sqlite:empty.db").contains("is not that of this program"));

    let file = Home::file_at(desk.path("strandline.db"));
    file.tamper("UPDATE collections SET live = 7");
    file.tamper("UPDATE collections SET checksum = 0");
    let found = desk.run("doctor");
    assert_eq!(found.code, 3);
    assert!(
        found.out.starts_with("s/c: the number of live records: stored 7, by the rows 2\n  --repair mends it\n"),
        "{found:?}"
    );
    assert_eq!(found.err, "error: 2 things were not as they must be: `strandline doctor --repair` mends that\n");
    let mended = desk.run("doctor --repair --space s");
    assert!(mended.out.contains("by the rows 2\n  mended\n"), "{mended:?}");
    assert!(desk.ok("doctor").starts_with("sound: "));
}
