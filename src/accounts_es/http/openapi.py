"""The OpenAPI 3.1 document, from the table of operations."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from accounts_es.domain.errors import GeneralRateLimitExceeded, Refusal, UserNotFound
from accounts_es.http.operation import AT, Operation, Parameter, Source
from accounts_es.http.webhooks.rules import Place
from accounts_es.settings import SERVER_VERSION

_MODELS: Final = "#/components/schemas/"
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["message", "code", "type", "version"],
    "properties": {
        "message": {"type": "string"},
        "code": {"type": "integer"},
        "type": {"type": "string"},
        "version": {"type": "string"},
    },
}

_ERROR_CONTENT: Final[dict[str, Any]] = {"application/json": {"schema": {"$ref": f"{_MODELS}Error"}}}

_AT: Final = Parameter(AT, AT, Source.QUERY, Place(), required=False)
"""Of every operation that has a past."""

_LIMIT_HEADERS: Final[dict[str, Any]] = {
    "X-RateLimit-Limit": {"description": "Requests within the window", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "Requests left in it", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {"description": "Its end, in seconds since the epoch", "schema": {"type": "integer"}},
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document, as JSON values."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        for nth, path in enumerate(operation.paths):
            described = _describe(operation, schemas)
            if nth:
                described |= {"operationId": f"{operation.id}.alias{nth}", "deprecated": True}
            paths.setdefault(path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "accounts-es", "version": SERVER_VERSION},
        "servers": [{"url": "/v1"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "Project": {"type": "apiKey", "in": "header", "name": "X-Appwrite-Project"},
                "Key": {"type": "apiKey", "in": "header", "name": "X-Appwrite-Key"},
                "Session": {"type": "apiKey", "in": "header", "name": "X-Appwrite-Session"},
            },
        },
    }


def _describe(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.group],
        "summary": operation.summary.partition("\n")[0],
        "responses": {str(operation.status): _answer(operation, schemas)},
    }
    outside = [each for each in operation.parameters if each.source is not Source.BODY]
    inside = [each for each in operation.parameters if each.source is Source.BODY]
    if operation.has_past:
        outside.append(_AT)
    if outside:
        described["parameters"] = [_parameter(each) for each in outside]
    if inside:
        described["requestBody"] = {"content": {"application/json": {"schema": _body(inside)}}}
    by_status: dict[int, list[str]] = {}
    limited: tuple[type[Refusal], ...] = (GeneralRateLimitExceeded,) if operation.limits else ()
    before: tuple[type[Refusal], ...] = (UserNotFound,) if operation.has_past else ()
    for refusal in dict.fromkeys((*operation.raises, *limited, *before)):
        by_status.setdefault(refusal.wire_status, []).append(refusal.wire_type)
    for status, types in sorted(by_status.items()):
        described["responses"][str(status)] = {
            "description": ", ".join(types),
            "content": {"text/html": {}} if operation.for_browsers else _ERROR_CONTENT,
        }
    if operation.scopes:
        described["security"] = [{"Project": [], "Session": []}, {"Project": [], "Key": []}]
        described["x-scopes"] = list(operation.scopes)
    if operation.limits:
        described["responses"]["429"]["headers"] = _LIMIT_HEADERS
        answered = described["responses"][str(operation.status)]
        answered["headers"] = answered.get("headers", {}) | _LIMIT_HEADERS
        described["x-rate-limits"] = [
            {"count": each.count, "seconds": each.seconds, "by": list(each.by), "success": each.success}
            for each in operation.limits
        ]
    described["x-events"] = [event.topic for event in operation.emits]
    return described


@cache
def _schema(model: Any) -> dict[str, Any]:
    return TypeAdapter(model).json_schema(ref_template=_MODELS + "{model}")


def _answer(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if operation.returns is None:
        return {"description": "Done"}
    if operation.for_browsers:
        location = {"description": "Where the browser goes", "schema": {"type": "string", "format": "uri"}}
        return {"description": "Redirect", "headers": {"Location": location}}
    if operation.streams:
        return {"description": "File", "content": {"application/x-ndjson": {}, "text/csv": {}}}
    schema = dict(_schema(operation.returns))
    schemas.update(schema.pop("$defs", {}))
    name = schema.get("title")
    if name is not None:
        schemas[name] = schema
        schema = {"$ref": f"{_MODELS}{name}"}
    return {"description": name or "Object", "content": {"application/json": {"schema": schema}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.wire,
        "in": parameter.source.value,
        "required": parameter.required,
        "schema": dict(parameter.rule.schema()),
    }


def _body(parameters: Iterable[Parameter]) -> dict[str, Any]:
    listed = list(parameters)
    return {
        "type": "object",
        "properties": {each.wire: dict(each.rule.schema()) for each in listed},
        "required": [each.wire for each in listed if each.required],
    }
