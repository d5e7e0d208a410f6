//! What lies in a replica's file, read past the replica.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde_json::{Value, json};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    collection: String,
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    rev: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    data: Option<String>,
    #[diesel(sql_type = Bool)]
    flag: bool,
    #[diesel(sql_type = Nullable<Text>)]
    theirs: Option<String>,
}

#[derive(QueryableByName)]
struct Place {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Nullable<Text>)]
    cursor: Option<String>,
    #[diesel(sql_type = Bool)]
    whole: bool,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    checksum: i64,
    #[diesel(sql_type = Nullable<Text>)]
    remaining: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    sending_seq: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    sending_cursor: Option<String>,
}

fn data(text: Option<&str>) -> (&'static str, Value) {
    text.map_or(("deleted", json!(true)), |text| ("data", serde_json::from_str(text).unwrap()))
}

/// The state, as the vectors word it.
pub fn state(path: &Path) -> Value {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let mut rows = |query: &str| diesel::sql_query(query).load::<Row>(&mut connection).unwrap();
    let records =
        rows("SELECT collection, id, rev, data, stale AS flag, NULL AS theirs FROM records ORDER BY collection, id");
    let edits =
        rows("SELECT collection, id, base AS rev, data, follows AS flag, NULL AS theirs FROM edits ORDER BY position");
    let sending =
        rows("SELECT collection, id, base AS rev, data, 0 AS flag, NULL AS theirs FROM sending ORDER BY position");
    let conflicts = rows(
        "SELECT collection, id, NULL AS rev, mine AS data, problem IS NOT NULL AS flag, theirs FROM conflicts ORDER BY number",
    );
    let place = diesel::sql_query("SELECT * FROM replica").get_result::<Place>(&mut connection).unwrap();
    let record = |row: &Row| {
        let mut record = json!({"collection": row.collection, "id": row.id, "rev": row.rev});
        let (name, value) = data(row.data.as_deref());
        record[name] = value;
        if row.flag {
            record["stale"] = true.into();
        }
        record
    };
    let change = |row: &Row| {
        let mut change = json!({"collection": row.collection, "id": row.id, "base": row.rev});
        let (name, value) = data(row.data.as_deref());
        change[name] = value;
        if row.flag {
            change["follows"] = true.into();
        }
        change
    };
    let conflict = |row: &Row| {
        let theirs: Option<Value> = row.theirs.as_deref().map(|text| serde_json::from_str(text).unwrap());
        let (name, value) = data(row.data.as_deref());
        let reason = if row.flag { "rejected" } else { "conflict" };
        json!({"collection": row.collection, "id": row.id, "reason": reason, "mine": {name: value}, "theirs": theirs})
    };
    let push = place.sending_seq.map(|seq| {
        let changes: Vec<Value> = sending.iter().map(change).collect();
        json!({"seq": seq, "cursor": place.sending_cursor, "changes": changes})
    });
    json!({
        "seq": place.seq,
        "cursor": place.cursor,
        "whole": place.whole,
        "count": place.count,
        "checksum": format!("{:016x}", place.checksum),
        "remaining": place.remaining.map(|text| serde_json::from_str::<Value>(&text).unwrap()),
        "records": records.iter().map(record).collect::<Vec<_>>(),
        "edits": edits.iter().map(change).collect::<Vec<_>>(),
        "sending": push,
        "conflicts": conflicts.iter().map(conflict).collect::<Vec<_>>(),
    })
}
