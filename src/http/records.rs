//! Records for plain REST (PROTOCOL.md §5).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::accept::JSON;
use super::body::MERGE_PATCH;
use super::extract::{InCollection, OnRecord, TakesJson};
use super::limits::PAGE_BYTES;
use super::problem::{Code, Problem};
use super::wire::{page, push_body, schema, write};
use super::{Api, answer, body, conditions, query, wire};
use crate::domain::push::{Op, Oversize};
use crate::domain::record::{Guard, RecordWrite, Tags, Written};
use crate::domain::{Change, JsonFault, RecordId};
use crate::store::ListRequest;

/// Read a record.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/records/{collection}/{id}", operation_id = "readRecord", tag = "records",
    params(schema::RecordPath, schema::ReadConditions, schema::ClientHeader),
    responses(
        (status = 200, description = "The record", body = schema::Change, headers(
            ("ETag" = String, description = "`\"<rev>\"`"), ("Last-Modified" = String, description = "`modified_at`"))),
        (status = 304, description = "The record that the client holds is still the one"),
        (status = 404, description = "`not_found`; of a tombstone with its `rev` and `modified_at`",
            body = schema::DeletedProblem, content_type = "application/problem+json"),
        schema::Refusals, schema::NoAcceptableForm,
    ),
)]
pub async fn read(req: HttpRequest, on: OnRecord, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let record = api.store.record(on.space, on.collection, on.id).await?;
    let Some(record) = record.as_ref().filter(|record| !record.is_deleted()) else {
        return Err(not_found(record.as_ref()));
    };
    let headers = req.headers();
    let held = if headers.contains_key(header::IF_NONE_MATCH) {
        conditions::none_match(headers, &record.rev.to_string())
    } else {
        conditions::unmodified_since(headers, record.modified_at.seconds())
    };
    if held {
        let mut response = answer::revalidated(StatusCode::NOT_MODIFIED);
        answer::validators(&mut response, record);
        return Ok(response.finish());
    }
    Ok(answer::change(answer::record(StatusCode::OK, record), record))
}

/// Replace a record, or make it.
#[utoipa::path(
    put, path = "/v1/spaces/{space}/records/{collection}/{id}", operation_id = "replaceRecord", tag = "records",
    params(schema::RecordPath, schema::WriteConditions, schema::ClientHeader),
    request_body(content = Object, description = "The record's data"),
    responses(
        (status = 200, description = "Replaced; equal data takes no revision", body = schema::Change, headers(
            ("ETag" = String, description = "`\"<rev>\"`"), ("Last-Modified" = String, description = "`modified_at`"))),
        (status = 201, description = "Made", body = schema::Change, headers(
            ("ETag" = String, description = "`\"<rev>\"`"), ("Last-Modified" = String, description = "`modified_at`"),
            ("Location" = String, description = "Its path"))),
        (status = 412, description = "`precondition_failed`", body = schema::PreconditionProblem,
            content_type = "application/problem+json"),
        schema::Refusals, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
        schema::QuotaRefusals,
    ),
)]
pub async fn replace(
    req: HttpRequest,
    on: OnRecord,
    _: TakesJson,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let op = operation(&req, &api, payload, &[JSON], push_body::put).await?;
    write(&req, &api, on, op).await
}

/// Change some members of a record: a JSON merge patch (RFC 7396).
#[utoipa::path(
    patch, path = "/v1/spaces/{space}/records/{collection}/{id}", operation_id = "patchRecord", tag = "records",
    params(schema::RecordPath, schema::WriteConditions, schema::ClientHeader),
    request_body(description = "The merge patch", content((Object = "application/merge-patch+json"), (Object = "application/json"))),
    responses(
        (status = 200, description = "The record as it is now", body = schema::Change, headers(
            ("ETag" = String, description = "`\"<rev>\"`"), ("Last-Modified" = String, description = "`modified_at`"))),
        (status = 404, description = "`not_found`; of a tombstone with its `rev` and `modified_at`",
            body = schema::DeletedProblem, content_type = "application/problem+json"),
        (status = 412, description = "`precondition_failed`", body = schema::PreconditionProblem,
            content_type = "application/problem+json"),
        schema::Refusals, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
        schema::QuotaRefusals,
    ),
)]
pub async fn merge(
    req: HttpRequest,
    on: OnRecord,
    _: TakesJson,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let op = operation(&req, &api, payload, &[MERGE_PATCH, JSON], push_body::merge).await?;
    write(&req, &api, on, op).await
}

/// Delete a record.
#[utoipa::path(
    delete, path = "/v1/spaces/{space}/records/{collection}/{id}", operation_id = "deleteRecord", tag = "records",
    params(schema::RecordPath, schema::WriteConditions, schema::ClientHeader),
    responses(
        (status = 200, description = "The tombstone", body = schema::Change, headers(
            ("ETag" = String, description = "`\"<rev>\"`"), ("Last-Modified" = String, description = "`modified_at`"))),
        (status = 404, description = "`not_found`; of a tombstone with its `rev` and `modified_at`",
            body = schema::DeletedProblem, content_type = "application/problem+json"),
        (status = 412, description = "`precondition_failed`", body = schema::PreconditionProblem,
            content_type = "application/problem+json"),
        schema::Refusals, schema::NoAcceptableForm, schema::WriteRefusals,
    ),
)]
pub async fn delete(
    req: HttpRequest,
    on: OnRecord,
    _: TakesJson,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    write(&req, &api, on, Op::Delete).await
}

/// Make a record with an id of the server's choice.
#[utoipa::path(
    post, path = "/v1/spaces/{space}/records/{collection}", operation_id = "createRecord", tag = "records",
    params(schema::CollectionPath, schema::ClientHeader),
    request_body(content = Object, description = "The record's data"),
    responses(
        (status = 201, description = "Made, with a UUIDv7", body = schema::Change, headers(
            ("ETag" = String, description = "`\"<rev>\"`"), ("Last-Modified" = String, description = "`modified_at`"),
            ("Location" = String, description = "Its path"))),
        schema::Refusals, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
        schema::QuotaRefusals,
    ),
)]
pub async fn create(
    req: HttpRequest,
    at: InCollection,
    _: TakesJson,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let op = operation(&req, &api, payload, &[JSON], push_body::put).await?;
    let id = RecordId::from_stored(Uuid::now_v7().to_string());
    let on = OnRecord { space: at.space, collection: at.collection, id };
    // Nothing can be there yet; if something is, it is not to be lost.
    let guard = Guard { if_none_match: Some(Tags::Any), ..conditions::guard(req.headers())? };
    write_guarded(&api, on, op, guard).await
}

/// The live records of a collection in order of id, by bytes.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/records/{collection}", operation_id = "listRecords", tag = "records",
    params(schema::CollectionPath, schema::ListLimit, schema::AfterRecord, schema::ClientHeader),
    responses(
        (status = 200, description = "A page", body = schema::RecordList),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn list(
    req: HttpRequest,
    at: InCollection,
    _: TakesJson,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    let [limit, after] = query::read(req.query_string(), ["limit", "after"])?;
    let after = after.map(|after| RecordId::new(after).map_err(|fault| Problem::name("after", fault))).transpose()?;
    let limit = query::limit(limit.as_deref())?;
    let request = ListRequest { space: at.space, collection: at.collection, after, limit, max_bytes: PAGE_BYTES };
    let listing = api.store.list(request).await?;
    let mut out = Vec::with_capacity(64 + page::size(&listing.records));
    out.extend_from_slice(b"{\"records\":");
    let mut writer = wire::change::ChangeWriter::default();
    write::array(&mut out, &listing.records, |out, record| writer.write(out, record));
    out.extend_from_slice(b",\"after\":");
    match &listing.after {
        Some(id) => write::string(&mut out, id.as_str()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    Ok(answer::json(StatusCode::OK).body(out))
}

/// Reads the body, which is the data or the patch itself.
async fn operation(
    req: &HttpRequest,
    api: &Api,
    payload: web::Payload,
    accepted: &'static [&'static str],
    parse: fn(&RawValue, usize) -> Result<Op, JsonFault>,
) -> Result<Op, Problem> {
    query::none(req.query_string())?;
    let limits = api.limits;
    body::read(req, payload, accepted, limits.push_bytes, move |text| {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| Problem::invalid(format!("body: {error}")))?;
        parse(raw, limits.record_bytes).map_err(|fault| Problem::invalid(format!("body: {fault}")))
    })
    .await
}

async fn write(req: &HttpRequest, api: &Api, on: OnRecord, op: Op) -> Result<HttpResponse, Problem> {
    let guard = conditions::guard(req.headers())?;
    write_guarded(api, on, op, guard).await
}

async fn write_guarded(api: &Api, on: OnRecord, op: Op, guard: Guard) -> Result<HttpResponse, Problem> {
    let OnRecord { space, collection, id } = on.clone();
    let max_record_bytes = api.limits.record_bytes;
    let written = api.store.write(RecordWrite { space, collection, id, op, guard, max_record_bytes }).await?;
    match written {
        Written::Done { record, created: false } => {
            Ok(answer::change(answer::record(StatusCode::OK, &record), &record))
        }
        Written::Done { record, created: true } => {
            let mut response = answer::record(StatusCode::CREATED, &record);
            let location = answer::record_path(&on.space, &record.collection, &record.id);
            // The path is percent-encoded: plain ASCII.
            if let Ok(location) = HeaderValue::try_from(location) {
                response.insert_header((header::LOCATION, location));
            }
            Ok(answer::change(response, &record))
        }
        Written::PreconditionFailed(record) => {
            let mut json = Vec::new();
            wire::change::or_nothing(&mut json, record.as_ref(), &on.collection, &on.id);
            let detail = "the record is not as the request's conditions say: nothing was written";
            Err(Problem::new(Code::PreconditionFailed, detail).with_json("record", &json))
        }
        Written::NotFound(tombstone) => Err(not_found(tombstone.as_ref())),
        Written::Rejected(limit) => {
            if let Oversize::Quota(excess) = limit {
                api.metrics.count_over_quota(excess.measure, 1);
            }
            Err(Problem::oversize(limit))
        }
        Written::OverQuota(excess) => {
            api.metrics.count_over_quota(excess.measure, 1);
            Err(Problem::quota(excess))
        }
        Written::NoSpace => Err(Problem::no_space(&on.space)),
    }
}

fn not_found(tombstone: Option<&Change>) -> Problem {
    match tombstone {
        None => Problem::new(Code::NotFound, "there is no such record"),
        Some(tombstone) => Problem::new(Code::NotFound, "the record is deleted")
            .with_number("rev", tombstone.rev.get())
            .with_text("modified_at", &tombstone.modified_at.to_string()),
    }
}
