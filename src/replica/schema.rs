//! The tables of a replica's file (migrations/replica).

diesel::table! {
    replica (name) {
        url -> Text,
        collections -> Nullable<Text>,
        name -> Text,
        seq -> BigInt,
        answers -> BigInt,
        cursor -> Nullable<Text>,
        met -> Nullable<Text>,
        whole -> Bool,
        etag -> Nullable<Text>,
        count -> BigInt,
        checksum -> BigInt,
        remaining -> Nullable<Text>,
        doubtful -> Nullable<Text>,
        sending_seq -> Nullable<BigInt>,
        sending_cursor -> Nullable<Text>,
        synced_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    records (collection, id) {
        collection -> Text,
        id -> Text,
        rev -> BigInt,
        modified_at -> BigInt,
        data -> Text,
        stale -> Bool,
    }
}

diesel::table! {
    edits (position) {
        position -> BigInt,
        collection -> Text,
        id -> Text,
        base -> Nullable<BigInt>,
        follows -> Bool,
        data -> Nullable<Text>,
    }
}

diesel::table! {
    sending (position) {
        position -> BigInt,
        collection -> Text,
        id -> Text,
        base -> Nullable<BigInt>,
        data -> Nullable<Text>,
    }
}

diesel::table! {
    conflicts (number) {
        number -> BigInt,
        collection -> Text,
        id -> Text,
        mine -> Nullable<Text>,
        theirs -> Nullable<Text>,
        problem -> Nullable<Text>,
        found_at -> BigInt,
    }
}
