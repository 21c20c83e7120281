"""One OpenAPI document from five."""

from typing import Any

import httpx2
from fastapi import FastAPI
from structlog.testing import capture_logs

from libs.common.contracts.transfers import HOLD_SECONDS_MAX
from services.gateway.api.merged_openapi import ApiDocument, merge

OWN: dict[str, Any] = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/own": {"get": {}}}}


def document(path: str, **schemas: Any) -> dict[str, Any]:
    name = next(iter(schemas), "None")
    operation = {"get": {"responses": {"200": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}}
    return {"paths": {path: operation}, "components": {"schemas": schemas}}


def ref_at(merged: dict[str, Any], path: str) -> str:
    return str(merged["paths"][path]["get"]["responses"]["200"]["schema"]["$ref"])


def test_everybodys_routes_and_schemas_are_in_it() -> None:
    merged = merge(OWN, {"kyc": document("/kyc", Status={"type": "object"}), "fraud": document("/fraud")})
    assert {"/own", "/kyc", "/fraud", "/api/v1/transfers"} <= merged["paths"].keys()
    assert merged["components"]["schemas"]["Status"] == {"type": "object"}
    assert (merged["openapi"], merged["info"]) == ("3.1.0", OWN["info"])


def test_a_route_that_two_describe_is_the_first_ones() -> None:
    merged = merge(
        OWN, {"ledger": document("/same", A={"title": "A"}), "accounts": document("/same", B={"title": "B"})}
    )
    assert ref_at(merged, "/same") == "#/components/schemas/A"


def test_two_schemas_of_one_name_are_told_apart() -> None:
    theirs = {
        "ledger": document("/ledger", Answer={"title": "ledger's"}),
        "accounts": document("/accounts", Answer={"title": "accounts'"}),
    }
    merged = merge(OWN, theirs)
    schemas = merged["components"]["schemas"]
    assert schemas["Answer"] == {"title": "ledger's"}
    assert schemas["AccountsAnswer"] == {"title": "accounts'"}
    assert ref_at(merged, "/ledger") == "#/components/schemas/Answer"
    assert ref_at(merged, "/accounts") == "#/components/schemas/AccountsAnswer"


def test_one_schema_in_two_documents_stays_one() -> None:
    merged = merge(OWN, {"kyc": document("/a", Same={"type": "null"}), "fraud": document("/b", Same={"type": "null"})})
    assert ref_at(merged, "/a") == ref_at(merged, "/b") == "#/components/schemas/Same"


def test_the_documents_given_are_not_changed() -> None:
    merge(OWN, {"kyc": document("/kyc", TransferIn={"title": "another"})})
    assert OWN["paths"] == {"/own": {"get": {}}}


def test_the_hot_routes_say_which_headers_they_read() -> None:
    paths = merge(OWN, {})["paths"]
    for path, wanted in (
        ("/api/v1/transfers", {"Idempotency-Key", "Prefer", "Tallystick-Device"}),
        ("/api/v1/deposits", {"Idempotency-Key", "Prefer", "Tallystick-Device"}),
        ("/api/v1/withdrawals", {"Idempotency-Key", "Prefer", "Tallystick-Device"}),
        ("/api/v1/transfers/batch", {"Prefer", "Tallystick-Device"}),
    ):
        parameters = paths[path]["post"]["parameters"]
        assert {parameter["name"] for parameter in parameters if parameter["in"] == "header"} == wanted
        queries = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert queries == ({"dry_run"} if path == "/api/v1/transfers" else set())
        assert paths[path]["post"]["requestBody"]["required"] is True
        assert {"201", "400", "401", "409", "413", "429", "503"} <= paths[path]["post"]["responses"].keys()


def test_what_the_hot_routes_read_is_described_with_its_bounds() -> None:
    schemas = merge(OWN, {})["components"]["schemas"]
    leg = schemas["LegIn"]["properties"]
    assert schemas["TransferIn"]["properties"]["expires_in_seconds"]["maximum"] == HOLD_SECONDS_MAX
    assert (leg["amount_minor"]["minimum"], leg["amount_minor"]["maximum"]) == (1, 2**53 - 1)
    assert schemas["LegIn"]["additionalProperties"] is False
    assert schemas["BatchIn"]["properties"]["transfers"]["maxItems"] == 10_000


async def test_a_neighbour_that_is_away_is_logged_by_its_address_and_not_as_who_writes_the_log() -> None:
    def away(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    neighbour = httpx2.AsyncClient(base_url="http://neighbour", transport=httpx2.MockTransport(away))
    async with neighbour:
        with capture_logs() as logged:
            document = await ApiDocument({"kyc": neighbour}).current(FastAPI())
    assert "/api/v1/transfers" in document["paths"]
    told = {"event": "openapi_not_merged", "neighbour": "http://neighbour", "error": "ConnectError"}
    assert logged == [{**told, "log_level": "warning"}]


def test_a_transfer_needs_a_key_unless_it_is_a_dry_run() -> None:
    paths = merge(OWN, {})["paths"]

    def key_of(path: str) -> dict[str, Any]:
        (key,) = (one for one in paths[path]["post"]["parameters"] if one["name"] == "Idempotency-Key")
        return dict(key)

    assert not key_of("/api/v1/transfers")["required"]
    assert "dry_run=true" in key_of("/api/v1/transfers")["description"]
    assert key_of("/api/v1/deposits")["required"]
    assert key_of("/api/v1/withdrawals")["required"]


def test_of_one_path_each_method_is_there_whoever_offers_it() -> None:
    def offering(method: str, summary: str) -> dict[str, Any]:
        return {"paths": {"/same": {method: {"summary": summary, "responses": {}}}}}

    merged = merge(OWN, {"ledger": offering("get", "ledger's"), "accounts": offering("patch", "accounts'")})
    assert {method: one["summary"] for method, one in merged["paths"]["/same"].items()} == {
        "get": "ledger's",
        "patch": "accounts'",
    }
