//! The tables, as both backends have them. Times are microseconds since 1970, revisions plain numbers.
//!
//! `spaces.version` is PostgreSQL's alone: SQLite has other means to know that nothing was committed.

diesel::table! {
    spaces (id) {
        id -> BigInt,
        name -> Nullable<Text>,
        head -> BigInt,
        retention -> Text,
        hold_for_clients -> Bool,
        max_retention -> Text,
        created_at -> BigInt,
        modified_at -> BigInt,
        copying -> Nullable<Text>,
        version -> BigInt,
        max_tombstones -> Nullable<BigInt>,
        quota_records -> Nullable<BigInt>,
        quota_bytes -> Nullable<BigInt>,
        quota_record_bytes -> Nullable<BigInt>,
    }
}

diesel::table! {
    epochs (space_id, ordinal) {
        space_id -> BigInt,
        ordinal -> BigInt,
        epoch -> Text,
        opened_at -> BigInt,
    }
}

diesel::table! {
    collections (id) {
        id -> BigInt,
        space_id -> BigInt,
        name -> Text,
        head -> BigInt,
        live -> BigInt,
        tombstones -> BigInt,
        checksum -> BigInt,
        live_bytes -> BigInt,
        tombstone_bytes -> BigInt,
        horizon -> BigInt,
        horizon_at -> BigInt,
    }
}

diesel::table! {
    clients (space_id, name) {
        space_id -> BigInt,
        name -> Text,
        seq -> BigInt,
        used_at -> BigInt,
    }
}

diesel::table! {
    known_clients (space_id, name) {
        space_id -> BigInt,
        name -> Text,
        rev -> BigInt,
        cursor -> Nullable<Text>,
        collections -> Nullable<Text>,
        agent -> Nullable<Text>,
        seen_at -> BigInt,
    }
}

diesel::table! {
    anonymous_pulls (space_id, day, bucket) {
        space_id -> BigInt,
        day -> BigInt,
        bucket -> BigInt,
        pulls -> BigInt,
        seen_at -> BigInt,
    }
}

diesel::table! {
    samples (space_id, at) {
        space_id -> BigInt,
        at -> BigInt,
        head -> BigInt,
        horizon -> BigInt,
        live -> BigInt,
        tombstones -> BigInt,
    }
}

diesel::table! {
    records (space_id, rev) {
        space_id -> BigInt,
        rev -> BigInt,
        collection_id -> BigInt,
        id -> Text,
        deleted -> Bool,
        modified_at -> BigInt,
        data -> Nullable<Text>,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        hash -> Binary,
        session -> Bool,
        parent -> Nullable<Text>,
        name -> Text,
        grants -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    facts (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    spaces,
    epochs,
    collections,
    clients,
    known_clients,
    anonymous_pulls,
    samples,
    records,
    facts
);
