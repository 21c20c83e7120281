"""What is read, and what is not."""

import json
from typing import Any

import pytest

from libs.common.contracts.transfers import HOLD_SECONDS_MAX, Leg
from libs.common.errors import Malformed, Unprocessable
from libs.common.idempotency_keys import read_key
from libs.common.money import MAX_AMOUNT_MINOR
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.leg_amounts import amounts_by_leg
from services.gateway.domain.requests import (
    HOLD_SECONDS_DEFAULT,
    hold_seconds_of,
    legs_of,
    memo_of,
    read_batch,
    read_deposit,
    read_transfer,
    read_withdrawal,
)

A, B = "0198c0de-0000-7000-8000-00000000000a", "0198c0de-0000-7000-8000-00000000000b"


def body(**changes: Any) -> bytes:
    plain = {"source_account_id": A, "destination_account_id": B, "amount_minor": 5, "asset": "USD"}
    return json.dumps({**plain, **changes}).encode()


def code_of(read: Any, content: bytes) -> str:
    with pytest.raises(Malformed) as failure:
        read(content)
    return failure.value.code


def test_a_transfer_is_one_leg() -> None:
    assert legs_of(read_transfer(body())) == [Leg(A, B, 5, "USD", "")]


def test_legs_keep_their_order() -> None:
    legs = [json.loads(body(amount_minor=amount)) for amount in (3, 1, 2)]
    read = legs_of(read_transfer(json.dumps({"legs": legs}).encode()))
    assert [leg.amount_minor for leg in read] == [3, 1, 2]


@pytest.mark.parametrize("amount_minor", [1, MAX_AMOUNT_MINOR])
def test_amounts_at_their_bounds_are_read(amount_minor: int) -> None:
    assert read_transfer(body(amount_minor=amount_minor)).amount_minor == amount_minor


@pytest.mark.parametrize("amount_minor", [1.0, 320.0, 1.5, float(2**53), 1e300])
def test_an_amount_with_a_fraction_or_an_exponent_has_a_code_of_its_own(amount_minor: float) -> None:
    assert code_of(read_transfer, body(amount_minor=amount_minor)) == "number_not_whole"


@pytest.mark.parametrize("amount_minor", [0, -1, MAX_AMOUNT_MINOR + 1, 10**30, "1", True, None, [1]])
def test_other_amounts_are_not(amount_minor: Any) -> None:
    wanted = "legs_or_single" if amount_minor is None else "invalid_request"
    content = body(amount_minor=amount_minor)
    assert code_of(lambda data: legs_of(read_transfer(data)), content) == wanted


def test_texts_at_their_bounds_are_read() -> None:
    text = "é" * 140
    metadata = {f"{number:040}": "x" * 200 for number in range(20)}
    asked = read_transfer(body(description=text, metadata=metadata))
    assert memo_of(asked.description, asked.metadata) == {"description": text, "metadata": metadata}
    assert memo_of("", {}) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "x" * 141},
        {"description": "\x7f"},
        {"description": "rent\n"},
        {"metadata": {"rent\n": "x"}},
        {"metadata": {"x": "rent\n"}},
        {"metadata": {"": "x"}},
        {"metadata": {"x" * 41: ""}},
        {"metadata": {"x": "y" * 201}},
        {"unknown": 1},
        {"source_account_id": A.upper()},
        {"source_account_id": A + "\n"},
        {"source_account_id": A.replace("-", "")},
    ],
)
def test_texts_beyond_their_bounds_are_not(changes: dict[str, Any]) -> None:
    assert code_of(read_transfer, body(**changes)) == "invalid_request"


def test_what_a_problem_repeats_is_bounded() -> None:
    with pytest.raises(Unprocessable) as failure:
        read_transfer(body(**{"x" * 100_000: 1}))
    assert len(failure.value.detail) <= 301


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'"\\ud800"', b"NaN", b"\xef\xbb\xbf{}", b"{} {}"])
def test_what_is_no_json_is_malformed(content: bytes) -> None:
    assert code_of(read_transfer, content) == "malformed_json"


@pytest.mark.parametrize("open_bracket", [b"[", b'{"legs":[', b'{"metadata":{"a":'])
def test_depth_is_no_danger(open_bracket: bytes) -> None:
    assert code_of(read_transfer, open_bracket * 50_000) in {"malformed_json", "invalid_request"}


@pytest.mark.parametrize("asset", ["XYZ", "usd"])
def test_an_unknown_asset_is_named_as_such(asset: str) -> None:
    assert code_of(lambda data: legs_of(read_transfer(data)), body(asset=asset)) == "asset_unknown"


def test_one_account_on_both_sides_is_refused_in_any_leg() -> None:
    legs = [json.loads(body()), json.loads(body(destination_account_id=A))]
    content = json.dumps({"legs": legs}).encode()
    assert code_of(lambda data: legs_of(read_transfer(data)), content) == "same_account"


@pytest.mark.parametrize("beside", ["source_account_id", "destination_account_id", "amount_minor", "asset"])
def test_both_forms_at_once_are_refused(beside: str) -> None:
    whole = json.loads(body())
    content = json.dumps({"legs": [whole], beside: whole[beside]}).encode()
    assert code_of(lambda data: legs_of(read_transfer(data)), content) == "legs_or_single"


def batch(*keys: str, **changes: Any) -> bytes:
    items = [{**json.loads(body()), "idempotency_key": key} for key in keys]
    return json.dumps({"mode": "atomic", "transfers": items, **changes}).encode()


def test_a_batch_whose_transfers_stand_alone_has_up_to_ten_thousand() -> None:
    assert len(read_batch(batch(*map(str, range(10_000)), mode="independent")).transfers) == 10_000
    assert code_of(read_batch, batch(*map(str, range(10_001)), mode="independent")) == "invalid_request"


def test_an_atomic_batch_has_one_to_a_thousand_transfers_each_with_its_own_key() -> None:
    assert len(read_batch(batch(*map(str, range(1000)))).transfers) == 1000
    assert code_of(read_batch, batch(*map(str, range(1001)))) == "atomic_batch_too_large"
    assert code_of(read_batch, batch()) == "invalid_request"
    assert code_of(read_batch, batch("a", "b", "a")) == "duplicate_idempotency_key"
    assert code_of(read_batch, batch("a b")) == "invalid_request"
    assert code_of(read_batch, batch("a\n")) == "invalid_request"
    assert code_of(read_batch, batch("a", mode="both")) == "invalid_request"


def test_a_deposit_names_where_the_money_came_from() -> None:
    content = {"account_id": A, "amount_minor": 5, "asset": "USD", "reference": "cash"}
    assert read_deposit(json.dumps(content).encode()).reference == "cash"
    for reference in ("", "cash\n"):
        assert code_of(read_deposit, json.dumps({**content, "reference": reference}).encode()) == "invalid_request"


@pytest.mark.parametrize("header", ["k", "k" * 255, '"k"', "!~", '"', '"a"b'])
def test_a_key_is_read_with_or_without_quotes(header: str) -> None:
    assert read_key(header) == (header[1:-1] if header == '"k"' else header)


@pytest.mark.parametrize("header", ["", '""', "k" * 256, "a b", " k", "k\n", "\x00", "é", '"a b"'])
def test_other_keys_are_invalid(header: str) -> None:
    with pytest.raises(Malformed) as failure:
        read_key(header)
    assert failure.value.code == "idempotency_key_invalid"


def test_no_key_is_missing() -> None:
    with pytest.raises(Malformed) as failure:
        read_key(None)
    assert failure.value.code == "idempotency_key_missing"


def test_the_hash_covers_what_was_understood_and_not_how_it_was_written() -> None:
    plain = read_transfer(body(metadata={"a": "1", "b": "2"}))
    reordered = json.dumps(dict(reversed(json.loads(body(metadata={"b": "2", "a": "1"})).items())), indent=3)
    assert hash_body(plain) == hash_body(read_transfer(reordered.encode()))
    for other in ({"amount_minor": 6}, {"description": "x"}, {"metadata": {"a": "1"}}, {"asset": "EUR"}):
        assert hash_body(plain) != hash_body(read_transfer(body(**{"metadata": {"a": "1", "b": "2"}, **other})))


def test_a_body_hashes_for_ever_as_it_did_when_it_was_stored() -> None:
    """A copy may come years later: a field added to the request must not make another request of the same body."""
    asked = read_transfer(body(description="rent", metadata={"a": "1"}))
    assert hash_body(asked).hex() == "c1a14d850cc121906311d123efb06639cc9d879ee96ed0258fedf0b3818ed10d"
    item = read_batch(batch("k")).transfers[0]
    assert hash_body(item).hex() == "caea855ddabed68f6dfb0189b26194a18faacff2545bca9ce0f098adf31c7258"


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 0),
        ({"hold": False}, 0),
        ({"hold": True}, HOLD_SECONDS_DEFAULT),
        ({"hold": True, "expires_in_seconds": 1}, 1),
        ({"hold": True, "expires_in_seconds": HOLD_SECONDS_MAX}, HOLD_SECONDS_MAX),
    ],
)
def test_a_hold_lasts_as_long_as_asked_for(changes: dict[str, Any], seconds: int) -> None:
    assert hold_seconds_of(read_transfer(body(**changes))) == seconds


@pytest.mark.parametrize(
    "changes",
    [
        {"hold": True, "expires_in_seconds": 0},
        {"hold": True, "expires_in_seconds": HOLD_SECONDS_MAX + 1},
        {"hold": True, "expires_in_seconds": None},
        {"hold": "true"},
        {"hold": None},
    ],
)
def test_other_holds_are_not_read(changes: dict[str, Any]) -> None:
    assert code_of(read_transfer, body(**changes)) == "invalid_request"


def test_what_is_no_hold_does_not_expire() -> None:
    for changes in ({}, {"hold": False}):
        content = body(expires_in_seconds=60, **changes)
        assert code_of(lambda data: hold_seconds_of(read_transfer(data)), content) == "expiry_without_hold"


def test_only_an_independent_batch_may_hold() -> None:
    items = [{**json.loads(body(hold=True)), "idempotency_key": "k"}]
    assert code_of(read_batch, batch(transfers=items)) == "hold_in_atomic_batch"
    read = read_batch(batch(transfers=items, mode="independent"))
    assert hold_seconds_of(read.transfers[0]) == HOLD_SECONDS_DEFAULT


def test_a_withdrawal_is_read_as_a_deposit_is() -> None:
    content = {"account_id": A, "amount_minor": 5, "asset": "USD", "reference": "atm"}
    assert read_withdrawal(json.dumps(content).encode()).amount_minor == 5
    assert code_of(read_withdrawal, json.dumps({**content, "amount_minor": -5}).encode()) == "invalid_request"


def test_amounts_are_one_for_each_leg_or_none_for_all_that_is_left() -> None:
    assert amounts_by_leg(None, None, legs=3) == ()
    assert amounts_by_leg(5, None, legs=1) == (5,)
    assert amounts_by_leg(None, [5, 0], legs=2) == (5, 0)


@pytest.mark.parametrize(
    ("amount_minor", "amounts_minor", "code"),
    [
        (5, [5], "amount_or_amounts"),
        (5, None, "amounts_by_leg"),
        (None, [5], "amounts_by_leg"),
        (None, [5, 5, 5], "amounts_by_leg"),
        (None, [0, 0], "amounts_by_leg"),
    ],
)
def test_other_amounts_of_two_legs_are_refused(
    amount_minor: int | None, amounts_minor: list[int] | None, code: str
) -> None:
    assert code_of(lambda _: amounts_by_leg(amount_minor, amounts_minor, legs=2), b"") == code
