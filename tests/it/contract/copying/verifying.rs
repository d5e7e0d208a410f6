//! The count at the end: a copy that is not what the source has never becomes a space.

use super::*;

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
    for (source, target) in pairs_with_a_past().await {
        for damage in DAMAGE {
            // What is left of the last round would be damaged too.
            target.store.discard_copy(space()).await.unwrap();
            while target.store.sweep_step(1000).await.unwrap() > 0 {}
            let under_way = copy_in_part(&source, &target, 1000).await;
            target.home.tamper(damage);
            let differences = target.store.finish_copy(&under_way, source.state().await).await.unwrap();
            let collection = if damage.contains("a/b c") { "notes" } else { "todos" };
            let named: Vec<_> = differences.iter().map(|one| one.collection.as_str()).collect();
            assert_eq!(named, [collection], "{damage}");
            assert_ne!(differences[0].source, differences[0].copy);
            assert!(target.store.space(&space()).await.is_err(), "{damage}: it became a space");
        }
        let copied = copy(&source, &target).await.unwrap();
        assert_eq!(copied.rows, rows_after(&source, Rev::ZERO, 1000).await.rows.len() as u64);
        assert_equal(&source, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_what_it_says_is_copied_twice_and_then_refused() {
    for (source, target) in pairs_with_a_past().await {
        source.home.tamper(DAMAGE[3]);
        let error = copy(&source, &target).await.unwrap_err();
        assert!(matches!(&error, CopyError::Unequal { differences, .. } if differences.len() == 1), "{error}");
        let told = error.to_string();
        assert!(told.contains("demo") && told.contains("stop the server on the source"), "{told}");
        assert!(target.store.space(&space()).await.is_err(), "it became a space");
    }
}
