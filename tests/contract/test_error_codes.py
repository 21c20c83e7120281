"""The table of codes names every code that the code can answer with, and no other; each has its page."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from libs.common import errors
from libs.common.http.error_codes import TABLE, codes_of, error_codes, example_of, operations_by_code, read_codes
from libs.common.sentences import DETAILS
from services.gateway.api.money_requests import problem_of
from services.gateway.domain.outcomes import Outcome
from tests.api.business_refusals import BUSINESS_REFUSALS
from tests.contract.parsed_sources import ROOT, parsed_sources
from tools import error_pages
from tools.api_document import api_document

DOCUMENTED = [(line.code, line.status) for line in read_codes(TABLE.read_text())]

# Who says a code, and which of the arguments it is.
CLASSES: dict[str, type[errors.TallystickError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.TallystickError) and kind is not errors.InvariantBroken
}
SAYS = {
    **dict.fromkeys([*CLASSES, "Refusal", "_of_amount"], 0),
    **dict.fromkeys(["_require_text", "problem_body", "problem_response"], 1),
    "require_not_self": 2,
    "_print_failure": 0,
}
NEVER_ANSWERED = "\N{EN DASH}"
TABLES = {"_HTTP_CODES", "_REFUSALS", "DOCUMENT_REFUSALS"}
# What is put together at run time, and of what.
PUT_TOGETHER = {
    "f'{what}_not_found'": {"account_not_found", "transfer_not_found"},
    "f'account_{account.status}'": {"account_closed", "account_suspended", "account_frozen"},
    "f'account_{status}'": {"account_closed", "account_suspended", "account_frozen"},
    "f'{limit}_limit_exceeded'": {"hourly_count_limit_exceeded", "daily_count_limit_exceeded"},
}
OF_HOLDS = {"payee_kyc_rejected", "kyc_expired", "review_expired"}
"""What fraud ends a hold with."""
ELSEWHERE = {"invariant_broken", "request_refused"} | OF_HOLDS
"""Said in a way of their own; each stands literally in the code, which is checked."""


def sources() -> dict[Path, ast.Module]:
    """Path → what stands in it."""
    return {
        path: tree for folder in ("libs", "services", "tallystick") for path, tree in parsed_sources(folder).items()
    }


def codes_in(node: ast.AST) -> Iterator[str]:
    """The codes an argument may be; what is a variable is said elsewhere."""
    match node:
        case ast.Constant(value=str(code)):
            yield code
        case ast.IfExp(body=body, orelse=orelse):
            yield from codes_in(body)
            yield from codes_in(orelse)
        case ast.JoinedStr():
            yield from PUT_TOGETHER[ast.unparse(node)]


def said_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords):
                position = SAYS.get(name)
                if position is not None and len(args) > position:
                    yield from codes_in(args[position])
                if name in {"Ruling", "Breach"}:
                    yield from (code for word in keywords if word.arg == "code" for code in codes_in(word.value))
            case ast.ClassDef(name=name, body=body) if name.endswith("Fault"):
                yield from (code for line in body if isinstance(line, ast.Assign) for code in codes_in(line.value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.AST() as value) if name in TABLES:
                words = {inner.value for inner in ast.walk(value) if isinstance(inner, ast.Constant)}
                yield from (word for word in words if isinstance(word, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+", word))


@cache
def said() -> set[str]:
    return {code for tree in sources().values() for code in said_in(tree)}


def said_by(folder: str) -> set[str]:
    inside = ROOT / folder
    return {code for path, tree in sources().items() if path.is_relative_to(inside) for code in said_in(tree)}


def test_every_code_that_is_said_is_documented() -> None:
    assert sorted(said() - {code for code, *_ in DOCUMENTED}) == []


def test_every_documented_code_is_said() -> None:
    assert sorted({code for code, *_ in DOCUMENTED} - said() - ELSEWHERE) == []


def test_what_is_said_in_a_way_of_its_own_still_stands_in_the_code() -> None:
    text = "".join(path.read_text() for path in sources())
    assert [code for code in sorted(ELSEWHERE) if f'"{code}"' not in text] == []


def test_every_code_is_documented_once() -> None:
    assert [code for code, count in Counter(code for code, *_ in DOCUMENTED).items() if count > 1] == []


def test_every_refusal_of_fraud_and_ledger_has_a_sentence_in_the_gateway() -> None:
    refusals = said_by("services/ledger/domain") | said_by("services/fraud/domain")
    # A command with these is parked: the ledger and fraud never answer with them.
    malformed = {"amount_out_of_bounds", "asset_unknown", "legs_out_of_bounds", "hold_too_long"}
    # And these are for staff, over HTTP.
    of_staff = {"ruleset_invalid", "ruleset_status", "list_entry_invalid"}
    of_staff |= {f"aml_figures_{how}" for how in ("approved", "contradict", "superseded", "void")} | {"own_aml_figures"}
    of_staff |= {"own_transfer", "review_not_open", "review_claimed", "second_person_required"}
    assert sorted((refusals | OF_HOLDS) - malformed - of_staff - DETAILS.keys()) == []


def test_every_sentence_of_the_gateway_is_about_a_documented_code() -> None:
    outcomes = {code for code, status, *_ in DOCUMENTED if status in {"403", "404", "422"}}
    assert sorted(DETAILS.keys() - outcomes) == []


def test_a_code_is_documented_with_the_status_of_its_class() -> None:
    """A dash is for what never reaches a caller. What a transfer became, the gateway answers by its own table."""
    documented = {code: status for code, status, *_ in DOCUMENTED}
    wrong = []
    for tree in sources().values():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]) if name in CLASSES:
                    if documented.get(code) not in {str(CLASSES[name].http_status), NEVER_ANSWERED}:
                        wrong.append((code, documented.get(code), CLASSES[name].http_status))
    assert wrong == []


def test_docs_have_the_page_of_every_code() -> None:
    """`make errors` writes them."""
    assert error_pages.outdated(error_pages.FOLDER) == []


def test_what_counts_as_business_for_schemathesis_is_never_a_code_of_form() -> None:
    assert {code for code, status in DOCUMENTED if status in ("400", "422")} >= BUSINESS_REFUSALS
    assert BUSINESS_REFUSALS.isdisjoint({*codes_of("Any route"), "idempotency_key_invalid"})


def test_the_codes_of_batches_and_files_are_named_where_they_are_said_and_nowhere_else() -> None:
    operations = operations_by_code(api_document())
    assert {place for code in codes_of("Atomic batches") for place in operations[code]} == {
        "POST /api/v1/transfers/batch"
    }
    files = {place for code in codes_of("Files of transfers") for place in operations.get(code, ())}
    assert {place.split()[1].split("/")[3] for place in files} == {"batches"}


@pytest.mark.parametrize(
    ("code", "status"),
    [("insufficient_funds", "refused"), ("daily_amount_limit_exceeded", "blocked"), ("voided_by_caller", "voided")],
)
def test_the_example_of_what_became_of_a_transfer_has_what_an_answer_has(code: str, status: str) -> None:
    shown = example_of(error_codes()[code])
    facts = {name: value for name, value in shown.items() if name.endswith(("_minor", "asset"))}
    body = problem_of(Outcome(shown["transfer_id"], status, 2, code, (), facts, 41, "2026-03-01T09:30:00.000000Z"))
    assert body is not None
    assert json.loads(body) == shown
