"""What the merged document says of every operation alike: who may call it, headers, problems, fields and examples."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from libs.common.http.error_codes import error_codes, example_of
from libs.common.http.openapi import CODES_MEMBER, PROBLEM_SCHEMA, problem_of, secure
from services.gateway.api.example_values import ExampleValues
from services.gateway.api.field_table import field_of

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_JSON: Final = "application/json"
_PROBLEM_JSON: Final = "application/problem+json"
_DEFAULT_CODE: Final = "invalid_request"
_FRAMEWORKS_OWN: Final = ("HTTPValidationError", "ValidationError")
_SERVERS: Final = [{"url": "/", "description": "The gateway that serves this document."}]
_TAGS: Final = {
    "accounts": "Accounts, their balances, entries and statements.",
    "api keys": "Keys with which programs call the API.",
    "audit": "Comparisons of what the services hold.",
    "batches": "Many transfers at once.",
    "customers": "Becoming a customer, and what one is.",
    "documents": "This document and the pages of error codes.",
    "events": "What happens to one's own transfers and accounts, as it happens.",
    "fees": "What is withheld from payments.",
    "fraud": "Why a transfer was approved, held or blocked.",
    "health": "Whether the process lives and can work.",
    "kyc": "Proving who one is.",
    "log in": "Tokens: getting them, renewing them, giving them back.",
    "receipts": "Proof of a transfer that anybody checks offline.",
    "service accounts": "Principals that are programs.",
    "staff": "What only staff may do.",
    "transfers": "Moving money: posted, held, captured, voided, given back.",
    "transparency": "Signed checkpoints of the journal, and proofs against them.",
    "webhooks": "Signed messages to addresses of yours.",
    "verification": "Verifying the ledger, and what was found.",
}
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token from `POST /api/v1/auth/login`, or an API key. What stands beside it in an "
    "operation's `security` is the scope that a key needs.",
}
_REQUEST_ID: Final = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "A UUID of yours, to find the request in the logs by; anything else is replaced.",
    "schema": {"type": "string"},
    "example": "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f01",
}
_HEADERS: Final[Mapping[str, Any]] = {
    "X-Request-Id": {
        "description": "The id under which the request is logged: yours if it was a UUID.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "RateLimit": {
        "description": "What is left of each limit (`r`) and in how many seconds it is whole again (`t`).",
        "schema": {"type": "string"},
        "example": '"transfers";r=19;t=60',
    },
    "RateLimit-Policy": {
        "description": "How many requests (`q`) each limit allows in how many seconds (`w`).",
        "schema": {"type": "string"},
        "example": '"transfers";q=20;w=60',
    },
    "Retry-After": {
        "description": "In how many seconds to try again; with 429 and 503, and 409 `request_in_progress`.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": "7",
    },
    "Idempotency-Replayed": {
        "description": "`true` when this is the first outcome again, and nothing was done now.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {
        "description": "What of `Prefer` was followed (RFC 7240).",
        "schema": {"type": "string"},
        "example": "wait=5",
    },
}
_ON_KEYS: Final = ("Idempotency-Replayed", "Preference-Applied")
_ON_REFUSALS: Final = ("Retry-After",)
_ALWAYS: Final = ("X-Request-Id", "RateLimit", "RateLimit-Policy")


def complete(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merged document completed; what is added stands in none of those it was made of."""
    document: dict[str, Any] = deepcopy(dict(merged))
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    components["securitySchemes"] = {"bearer": _BEARER}
    components["headers"] = dict(_HEADERS)
    components["parameters"] = {"RequestId": _REQUEST_ID}
    _describe_fields(schemas)
    examples = ExampleValues(schemas)
    used: set[str] = set()
    for path, method, operation in operations_of(document):
        operation.setdefault("operationId", _operation_id(method, path))
        used.update(operation.get("tags", ()))
        secure(operation)
        operation["parameters"] = [*_described(operation), {"$ref": "#/components/parameters/RequestId"}]
        _complete_answers(operation)
        _add_examples(operation, examples)
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    document["tags"] = [{"name": tag, "description": _TAGS.get(tag, tag)} for tag in sorted(used)]
    document["servers"] = _SERVERS
    return document


def operations_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (path, method, operation)."""
    for path, operations in document["paths"].items():
        yield from ((path, method, operations[method]) for method in _METHODS if method in operations)


def _operation_id(method: str, path: str) -> str:
    words = path.removeprefix("/api/v1").replace("{", "").replace("}", "").replace("-", "_").split("/")
    return "_".join([method, *(word for word in words if word)])


def _describe_fields(schemas: dict[str, Any]) -> None:
    for name, schema in schemas.items():
        for field, inner in schema.get("properties", {}).items():
            line = field_of(name, field)
            if line is not None and "description" not in inner:
                inner["description"] = line.meaning


def _described(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for parameter in operation.get("parameters", ()):
        line = field_of("", parameter.get("name", ""))
        yield parameter if line is None or "description" in parameter else {**parameter, "description": line.meaning}


def _complete_answers(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if _is_frameworks(responses.get("422")):
        del responses["422"]
    responses.setdefault("4XX", problem_of("A problem document (RFC 9457)."))
    responses.setdefault("5XX", problem_of("Our fault, or something that passes: a problem document (RFC 9457)."))
    has_key = any(parameter.get("name") == "Idempotency-Key" for parameter in operation["parameters"])
    for status, response in responses.items():
        names = [*_ALWAYS, *(_ON_KEYS if has_key else ()), *(_ON_REFUSALS if str(status)[0] in "45" else ())]
        standing = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        response["headers"] = {**standing, **response.get("headers", {})}


def _is_frameworks(response: Mapping[str, Any] | None) -> bool:
    schema = (response or {}).get("content", {}).get(_JSON, {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")


def _add_examples(operation: dict[str, Any], examples: ExampleValues) -> None:
    contents = [operation.get("requestBody", {}).get("content", {})]
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        contents.append(content)
        if _PROBLEM_JSON in content:
            content[_PROBLEM_JSON].setdefault("example", _problem_example(str(status), response.get(CODES_MEMBER, ())))
    for content in contents:
        if _JSON in content and not {"example", "examples"} & content[_JSON].keys():
            content[_JSON]["example"] = examples.of(content[_JSON].get("schema", {}))


def _problem_example(status: str, codes: list[str]) -> dict[str, Any]:
    """Return the problem with the first of these codes, or the most usual one of this status."""
    fallback = "internal_error" if status.startswith("5") else _DEFAULT_CODE
    return example_of(error_codes().get(codes[0] if codes else fallback, error_codes()[fallback]))
