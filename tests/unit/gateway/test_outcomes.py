"""What became of a transfer, as it is answered."""

from typing import get_args

from libs.common.contracts.ledger import FINAL_STATUSES, TransferStatus
from libs.common.sentences import DETAILS, EXACT, detail_of, failure_reason
from services.gateway.domain.outcomes import (
    HTTP_STATUS,
    Outcome,
    Settlement,
    accepted,
    http_status_of,
    http_status_of_refusal,
)
from services.gateway.store.transfers import _UPSERT_OUTCOMES


def test_every_status_has_an_answer() -> None:
    assert set(get_args(TransferStatus)) | {"accepted", "parked"} == HTTP_STATUS.keys()


def test_only_posted_is_created_and_only_what_is_final_is_refused() -> None:
    assert {status for status, number in HTTP_STATUS.items() if number == 201} == {"posted"}
    assert {status for status, number in HTTP_STATUS.items() if number != 202} == FINAL_STATUSES


def test_what_the_projection_never_overwrites_is_what_is_final() -> None:
    listed = _UPSERT_OUTCOMES.rpartition("NOT IN (")[2].rpartition(")")[0]
    assert {status.strip(" '") for status in listed.split(",")} == FINAL_STATUSES


def test_nothing_is_known_of_what_was_just_accepted() -> None:
    outcome = accepted("t")
    assert (outcome.status, outcome.version, outcome.is_final()) == ("accepted", 0, False)


def test_every_code_has_a_sentence_even_one_of_tomorrow() -> None:
    assert all(detail.endswith(".") for detail in DETAILS.values())
    assert detail_of("a_code_of_tomorrow").endswith(".")


def test_a_failure_says_its_numbers_to_those_who_may_know_them() -> None:
    facts: dict[str, int | str] = {"needed_minor": 5_000, "available_minor": 1_250}
    assert failure_reason("insufficient_funds", facts, {"USD"}) == "Available 1250 of asset USD is less than 5000."
    assert failure_reason("insufficient_funds", facts, {"USD", "EUR"}) == "Available 1250 is less than 5000."
    assert failure_reason("insufficient_funds", {}, {"USD"}) == DETAILS["insufficient_funds"]
    assert failure_reason("reversal_exceeds_transfer", {"legs": 1}, ()) == DETAILS["reversal_exceeds_transfer"]
    assert failure_reason("hold_expired", {}, {"USD"}) == DETAILS["hold_expired"]
    assert failure_reason("", {}, {"USD"}) == ""


def test_a_limit_s_numbers_are_of_the_asset_it_is_counted_in() -> None:
    facts: dict[str, int | str] = {"limit": "maximum_amount", "limit_minor": 9, "requested_minor": 10, "asset": "USD"}
    said = failure_reason("amount_limit_exceeded", facts, {"EUR"})
    assert said == "10 of asset USD is more than 9, the most of one transfer."


def test_what_is_known_of_a_payee_is_in_no_sentence() -> None:
    assert EXACT.keys() <= DETAILS.keys()
    for code in (
        "balance_overflow",
        "balance_limit_exceeded",
        "account_closed",
        "account_suspended",
        "unknown_account",
    ):
        assert code not in EXACT
        assert failure_reason(code, {"posted_minor": 77}, {"USD"}) == DETAILS[code]


def test_only_the_hold_that_its_caller_asked_for_is_created() -> None:
    for resolver, status, frozen in (("caller", 201, True), ("fraud", 202, False), ("", 202, False)):
        held = Outcome("t", "held", 1, "", (), {}, 1, "", Settlement(resolver=resolver))
        assert (http_status_of(held), held.is_frozen(), held.is_final()) == (status, frozen, False)
    posted = Outcome("t", "posted", 2, "", (), {}, 1, "", Settlement(resolver="caller"))
    assert (http_status_of(posted), posted.is_held_for_caller()) == (201, False)


def test_a_refused_command_is_answered_as_its_code_is_elsewhere() -> None:
    assert http_status_of_refusal("capture_exceeds_hold") == 422
    assert http_status_of_refusal("held_by_review") == 403
    assert {http_status_of_refusal(code) for code in ("transfer_not_found", "account_not_found")} == {404}
