//! The count at the end: a copy that is not what the source has never becomes a space.

use diesel::prelude::*;

use super::*;

/// Changes the database past the store.
fn tamper(store: &Fixture, sql: &str) {
    let mut connection = SqliteConnection::establish(store.path().to_str().unwrap()).unwrap();
    assert_eq!(diesel::sql_query(sql).execute(&mut connection).unwrap(), 1, "{sql}");
}

/// What may befall a row on its way or where it lies.
const DAMAGE: [&str; 5] = [
    "DELETE FROM records WHERE id = 't3'",
    "DELETE FROM records WHERE id = 'a/b c'",
    "UPDATE records SET rev = rev + 1000 WHERE id = 't3'",
    "UPDATE records SET data = '{}' WHERE id = 't3'",
    "UPDATE records SET deleted = NOT deleted, data = NULL WHERE id = 't3'",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_is_found_and_the_space_copied_anew() {
    let source = space_with_a_past().await;
    for damage in DAMAGE {
        let target = Fixture::new().await;
        let under_way = copy_in_part(&source, &target, 1000).await;
        tamper(&target, damage);
        let differences = target.store.finish_copy(&under_way, source.state().await).await.unwrap();
        let collection = if damage.contains("a/b c") { "notes" } else { "todos" };
        let named: Vec<_> = differences.iter().map(|one| one.collection.as_str()).collect();
        assert_eq!(named, [collection], "{damage}");
        assert_ne!(differences[0].source, differences[0].copy);
        assert!(target.store.space(&space()).await.is_err(), "{damage}: it became a space");
        let copied = copy(&source, &target).await.unwrap();
        assert!(copied.rows > 0);
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_what_it_says_is_copied_twice_and_then_refused() {
    for damage in DAMAGE {
        let (source, target) = (space_with_a_past().await, Fixture::new().await);
        tamper(&source, damage);
        let error = copy(&source, &target).await.unwrap_err();
        assert!(
            matches!(&error, CopyError::Unequal { differences, .. } if differences.len() == 1),
            "{damage}: {error}"
        );
        let told = error.to_string();
        assert!(told.contains("demo") && told.contains("stop the server on the source"), "{told}");
        assert!(target.store.space(&space()).await.is_err(), "{damage}: it became a space");
    }
}
