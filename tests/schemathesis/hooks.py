"""What schemathesis has to be told beside the description of the API. tests/it/schemathesis.rs runs it.

Nothing here silences a check as such: requests are led to where there is something to find, and of the refusals only those
are excused whose reason a JSON schema cannot say.
"""

import json
import re
import zlib
from datetime import UTC, datetime
from email.utils import format_datetime

import schemathesis
from hypothesis import strategies as st

LAST_REVISION = 2**53 - 1
LONGEST_WINDOW = 1000 * 366 * 86_400
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

# The forms of an answer that `Accept` chooses from, a header that OpenAPI describes by the answers alone.
FORMS = {
    "pullChanges": [*["application/json", "application/x-ndjson"] * 3, "text/event-stream"],
    "fetchRecords": ["application/json", "application/x-ndjson"],
    "metrics": ["text/plain", "application/openmetrics-text"],
}

# Cursors that the server gave of the space that most requests are led to.
cursors = []
# Ids of the token that the requests here are made with.
own = set()
# Spaces that were written to, also by what names them in passing, and were not deleted since.
written = set()


def http_date(time: datetime) -> str:
    return format_datetime(time.replace(tzinfo=UTC), usegmt=True)


schemathesis.openapi.format("http-date", st.datetimes(datetime(1970, 1, 1)).map(http_date))


@schemathesis.deserializer("application/x-ndjson")
def one_line(context, response):
    """What is described is a line: one is looked at, of each answer another one."""
    lines = response.content.splitlines()
    return json.loads(lines[len(response.content) % len(lines)])


def operation_of(case) -> str:
    return case.operation.definition.raw["operationId"]


@schemathesis.hook
def before_call(context, case, kwargs):
    choice = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    query = case.query or {}
    # That a long poll waits is tested elsewhere; here it would only take its time.
    if str(query.get("wait")) in map(str, range(1, 61)):
        query["wait"] = 0
    # All the rest would be turned away.
    if operation_of(case) == "revokeToken" and case.path_parameters["token_id"] in own:
        case.path_parameters["token_id"] = "0" * 16
    # What belongs to a sequence of requests uses what that sequence made, and what is to be refused stays as it is.
    if case.meta and case.meta.phase.name.value != "stateful" and case.meta.generation.mode.is_positive:
        lead(case, query, choice)
    forms = FORMS.get(operation_of(case))
    if forms and "Accept" not in case.headers:
        # Only an event stream looks at the id of the last event.
        case.headers["Accept"] = forms[-1 if "Last-Event-ID" in case.headers else choice % len(forms)]


def lead(case, query, choice):
    """Leads a request to what there is: of names, cursors and tags that were drawn, hardly one is there."""
    if choice % 5 and operation_of(case) != "deleteSpace":
        for name, value in {"space": "demo", "collection": "todos"}.items():
            if name in (case.path_parameters or {}):
                case.path_parameters[name] = value
    # An event stream takes a second of silence to be read.
    if choice % 6:
        case.headers.pop("Last-Event-ID", None)
    if choice % 7 > 1:
        for condition in ["If-Match", "If-None-Match", "If-Unmodified-Since"]:
            case.headers.pop(condition, None)
    if cursors and choice % 3 and "since" in query:
        query["since"] = cursors[-1]
    body = case.body if isinstance(case.body, dict) else {}
    if operation_of(case) == "push" and choice % 3:
        body.update(cursor=cursors[-1] if cursors else None, collections=None)
        if "Strandline-Client" not in case.headers:
            body.pop("seq", None)
    if operation_of(case) == "fetchRecords" and choice % 3 and isinstance(body.get("runs"), list):
        runs = [1 + int(count) % 1000 for count in body["runs"]]
        body["runs"] = runs[: len(runs) // 2 * 2]


@schemathesis.hook
def after_call(context, case, response):
    space = (case.path_parameters or {}).get("space")
    if operation_of(case) == "readSpace" and response.status_code == 200 and space == "demo":
        cursors.append(response.json()["cursor"])
    if operation_of(case) == "listTokens" and response.status_code == 200:
        own.update(token["id"] for token in response.json()["tokens"] if token["name"] == "schemathesis")
    if operation_of(case) == "deleteSpace" and response.status_code == 204:
        written.discard(space)
    elif case.method in ("POST", "PUT", "PATCH") and response.status_code in (200, 201):
        written.add(space)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    match type(failure).__name__:
        case "RejectedPositiveData":
            return not (response.status_code == 400 and beyond_a_schema(case))
        case "UseAfterFree":
            # A push or a record makes the space anew that a request before it deleted.
            return case.path_parameters["space"] not in written
    return True


def beyond_a_schema(case) -> bool:
    """Whether the request breaks a rule of which a JSON schema cannot tell."""
    query, body = case.query or {}, case.body if isinstance(case.body, dict) else {}
    headers, operation = case.headers or {}, operation_of(case)
    # Numbers inside of texts: revisions in cursors, and the lengths of windows.
    parts = [part for text in texts([query, body, dict(headers)]) for part in re.split("[,.~]", text)]
    if any(part.isascii() and part.isdigit() and int(part) > LAST_REVISION for part in parts):
        return True
    windows = [re.fullmatch("([0-9]+)([smhdw])", part) for part in parts]
    if any(window and int(window[1]) * SECONDS[window[2]] > LONGEST_WINDOW for window in windows):
        return True
    # To JSON Schema 1.0 is an integer as well.
    if not operation.endswith("Record") and has_float(body):
        return True
    # The length of an id is one of bytes.
    changes = [change for change in body.get("changes") or [] if isinstance(change, dict)]
    ids = [change.get("id") for change in changes] + [(case.path_parameters or {}).get("id"), query.get("after")]
    if any(isinstance(text, str) and len(text.encode(errors="replace")) > 256 for text in ids):
        return True
    # What one part of a request says of another.
    lines = "ndjson" in str(headers.get("Accept"))
    match operation:
        case "pullChanges":
            return lines and ("limit" in query or "wait" in query)
        case "fetchRecords":
            runs = body.get("runs") or []
            pairs = len(runs) % 2 == 0 and 0 not in runs[1:] and sum(runs) <= LAST_REVISION
            return not pairs or (lines and body.get("limit") is not None)
        case "readManifest":
            return "from" in query and "to" in query and int(query["from"]) > int(query["to"])
        case "push":
            named = {(change.get("collection"), change.get("id")) for change in changes}
            return len(named) < len(changes) or (body.get("seq") is not None and "Strandline-Client" not in headers)
    return False


def texts(value):
    """All strings and numbers in a value, as text."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif value is not None:
        yield str(value)


def has_float(value) -> bool:
    """Whether a number is written with a point, outside of records."""
    if isinstance(value, dict):
        return any(has_float(item) for name, item in value.items() if name not in ("data", "patch"))
    if isinstance(value, list):
        return any(map(has_float, value))
    return isinstance(value, float)
