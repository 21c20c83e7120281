"""The merged OpenAPI document is valid and says of every operation what a newcomer needs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.datastructures import Headers

from libs.common.http.cors import CrossOrigin
from libs.common.http.openapi import ACTION_MEMBER, CODES_MEMBER
from libs.common.http.permissions import PERMISSIONS
from services.gateway.api.complete_document import operations_of
from services.gateway.api.field_table import TABLE, field_table
from tools.api_document import api_document, applications

Operations = dict[str, Mapping[str, Any]]
JSON = ("application/json", "application/problem+json")


@pytest.fixture(scope="module")
def document() -> Mapping[str, Any]:
    """Give the document. To make it takes seconds, which whoever only collects this file need not spend."""
    return api_document()


@pytest.fixture(scope="module")
def operations(document: Mapping[str, Any]) -> Operations:
    """Give method and path → operation."""
    return {f"{method.upper()} {path}": operation for path, method, operation in operations_of(document)}


def contents_of(operation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (where, media type object) of everything in JSON that is sent or answered."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {kind}", content
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            if kind in JSON:
                yield f"{status} {kind}", content


def objects_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object in an example."""
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from objects_in(inner)


def faults_of(content: Mapping[str, Any], components: Mapping[str, Any]) -> list[str]:
    schema = {**content["schema"], "components": components}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    values = [content["example"]] if "example" in content else [one["value"] for one in content["examples"].values()]
    return [f"{fault.json_path}: {fault.message}" for value in values for fault in validator.iter_errors(value)]


def test_the_document_is_valid(document: Mapping[str, Any]) -> None:
    assert [str(fault.message) for fault in OpenAPIV31SpecValidator(dict(document)).iter_errors()] == []
    assert document["openapi"].startswith("3.1.")
    assert document["servers"]


def says_what_it_does_and_has_examples_that_fit(operation: Mapping[str, Any], components: Mapping[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    without = [where for where, content in contents_of(operation) if not {"example", "examples"} & content.keys()]
    assert without == []
    faults = {where: found for where, content in contents_of(operation) if (found := faults_of(content, components))}
    assert faults == {}, "describe the field in services/gateway/api/fields.md, or give its model `examples`"


def test_every_operation_says_what_it_does_and_has_examples_that_fit(
    document: Mapping[str, Any], operations: Operations, subtests: pytest.Subtests
) -> None:
    for name, operation in operations.items():
        with subtests.test(name):
            says_what_it_does_and_has_examples_that_fit(operation, document["components"])


def test_every_operation_says_who_may_call_it(operations: Operations, subtests: pytest.Subtests) -> None:
    for name, operation in operations.items():
        with subtests.test(name):
            says_who_may_call_it(name, operation)


def says_who_may_call_it(name: str, operation: Mapping[str, Any]) -> None:
    permission = PERMISSIONS.get(operation.get(ACTION_MEMBER, ""))
    if name.startswith("GET /health/"):
        assert permission is None
    else:
        assert permission is not None
    if permission is None or permission.public:
        assert operation["security"] == []
    else:
        assert operation["security"] == [{"bearer": [permission.scope] if permission.scope else []}]
        assert "**Who may:**" in operation["description"]


def test_the_hot_routes_say_the_action_that_their_gate_asks_for(operations: Operations) -> None:
    hot: Mapping[str, Any] = vars(applications()["gateway"])["hot"]
    assert {path: operations[f"POST {path}"][ACTION_MEMBER] for path in hot} == {
        path: endpoint.action for path, endpoint in hot.items()
    }


def fields_of(schema: Any, components: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the name of every field that a value of the schema may have, however deep."""
    if isinstance(schema, list):
        for each in schema:
            yield from fields_of(each, components, seen)
    elif isinstance(schema, Mapping):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            yield from fields_of(components["schemas"][name], components, seen | {name})
        yield from schema.get("properties", {})
        yield from fields_of(list(schema.get("properties", {}).values()), components, seen)
        yield from fields_of([schema.get(key) for key in ("items", "anyOf", "oneOf", "allOf")], components, seen)


def test_whatever_takes_an_amount_says_that_it_is_written_without_a_fraction(
    document: Mapping[str, Any], operations: Operations
) -> None:
    codes_of = {
        name: {code for answer in operation["responses"].values() for code in answer.get(CODES_MEMBER, ())}
        for name, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if any(field.endswith("_minor") for field in fields_of(content["schema"], document["components"]))
    }
    assert codes_of.keys() >= {"POST /api/v1/transfers", "PUT /api/v1/admin/fraud/limit-tiers/{tier}"}
    assert [name for name, codes in codes_of.items() if "number_not_whole" not in codes] == []


def test_every_tag_has_a_description(document: Mapping[str, Any], operations: Operations) -> None:
    assert [tag["name"] for tag in document["tags"] if tag["description"] == tag["name"]] == []
    used = {tag for operation in operations.values() for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"]} == used


def test_every_parameter_and_field_has_a_description(document: Mapping[str, Any], operations: Operations) -> None:
    fields = [
        f"{schema}.{field}"
        for schema, content in document["components"]["schemas"].items()
        for field, inner in content.get("properties", {}).items()
        if "description" not in inner
    ]
    parameters = [
        f"{name}: {parameter['name']}"
        for name, operation in operations.items()
        for parameter in operation["parameters"]
        if "name" in parameter and "description" not in parameter
    ]
    assert fields + parameters == [], "a line for each in services/gateway/api/fields.md"


def test_no_example_holds_a_mere_filler_or_contradicts_itself(
    operations: Operations, subtests: pytest.Subtests
) -> None:
    for name, operation in operations.items():
        with subtests.test(name):
            holds_no_mere_filler(operation)


def holds_no_mere_filler(operation: Mapping[str, Any]) -> None:
    for where, content in contents_of(operation):
        for shown in objects_in(content.get("example")):
            assert [field for field, value in shown.items() if str(value).startswith("text")] == [], where
            assert bool(shown.get("disabled_because")) == bool(shown.get("disabled_at")), where
            assert not (shown.get("enabled") and shown.get("disabled_because")), where
            assert not (shown.get("response_status") and shown.get("failure")), where


def test_the_example_of_a_new_key_looks_like_one(operations: Operations) -> None:
    made = operations["POST /api/v1/api-keys"]["responses"]["201"]["content"]["application/json"]["example"]
    assert re.fullmatch(r"tsk_[0-9a-f]{32}_[A-Za-z0-9_-]{43}", made["key"])


def test_every_operation_has_a_name_of_its_own(operations: Operations) -> None:
    names = [operation["operationId"] for operation in operations.values()]
    assert sorted(names) == sorted(set(names))


def test_every_answer_names_the_headers_it_may_have(operations: Operations) -> None:
    for operation in operations.values():
        for status, response in operation["responses"].items():
            assert {"X-Request-Id", "RateLimit", "RateLimit-Policy"} <= response["headers"].keys()
            assert ("Retry-After" in response["headers"]) == (str(status)[0] in "45")
        if any(parameter.get("name") == "Idempotency-Key" for parameter in operation["parameters"]):
            assert all("Idempotency-Replayed" in response["headers"] for response in operation["responses"].values())


def test_a_page_of_another_origin_may_send_and_read_every_header_of_the_document(operations: Operations) -> None:
    sent = {
        parameter["name"]
        for operation in operations.values()
        for parameter in operation["parameters"]
        if parameter.get("in") == "header"
    }
    shown = {
        name
        for operation in operations.values()
        for response in operation["responses"].values()
        for name in response["headers"]
    }
    assert "Tallystick-Device" in sent
    assert "Retry-After" in shown
    asks = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": ", ".join(sorted({*sent, "Authorization", "Content-Type"})),
    }
    allowing = CrossOrigin(Starlette(), ["https://shop.example"])
    answer = allowing.preflight_response(Headers(asks))
    assert (answer.status_code, answer.body) == (200, b"OK")
    # `Location` is of no document: where it is sent is said with the status.
    assert {*shown, "Location"} <= set(allowing.simple_headers["Access-Control-Expose-Headers"].split(", "))


def test_every_line_of_the_table_of_fields_is_read() -> None:
    assert len(field_table()) == sum(line.startswith("| `") for line in TABLE.read_text().splitlines())
