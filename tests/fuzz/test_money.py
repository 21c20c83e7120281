"""Whatever callers send as money: read into whole minor units within bounds, or refused by a documented code."""

import json
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from libs.common.errors import Malformed
from libs.common.http.error_codes import error_codes
from libs.common.money import EXPONENT_MAX, MAX_AMOUNT_MINOR, format_units
from services.gateway.domain.batch_files import BatchFile, FileKind, FileLine
from services.gateway.domain.idempotency import hash_body
from services.gateway.domain.requests import (
    hold_seconds_of,
    legs_of,
    read_batch,
    read_deposit,
    read_transfer,
    read_withdrawal,
)
from tests.fuzz.fuzzing import damaged, fuzz

A, B = "01890a5d-ac96-774b-bcce-b302099a0004", "01890a5d-ac96-774b-bcce-b302099a0005"
LEG: Final = {"source_account_id": A, "destination_account_id": B, "amount_minor": 1250, "asset": "EUR"}
WORDS: Final = {"description": "Grüße", "metadata": {"order": "4711"}}
HOLD: Final = {"hold": True, "expires_in_seconds": 60}
DEPOSIT: Final = {"account_id": A, "amount_minor": MAX_AMOUNT_MINOR, "asset": "BTC", "reference": "cash"}
KEYED: Final = [{**LEG, "idempotency_key": "one"}, {"legs": [LEG], "idempotency_key": "two"}]
READERS: Final = {
    "transfer": read_transfer,
    "batch": read_batch,
    "deposit": read_deposit,
    "withdrawal": read_withdrawal,
}
GOOD: Final[dict[str, list[Any]]] = {
    "transfer": [LEG, {"legs": [LEG, LEG]}, LEG | WORDS, LEG | HOLD],
    "batch": [{"mode": "atomic", "transfers": KEYED}, {"mode": "independent", "transfers": KEYED}],
    "deposit": [DEPOSIT],
    "withdrawal": [DEPOSIT],
}
CSV: Final = f"""idempotency_key,source_account_id,destination_account_id,amount_minor,asset,description
one,{A},{B},1250,EUR,"rent, March"
,{A},{B},1,JPY,
""".encode()
NDJSON: Final = b"\n".join(json.dumps(line).encode() for line in (*KEYED, LEG | WORDS))


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    kind = draw(st.sampled_from(sorted(GOOD)))
    return kind, draw(damaged([json.dumps(one).encode() for one in GOOD[kind]]))


@fuzz(drawn=requests())
def test_a_request_is_read_into_what_encodes_back_to_it_or_refused(drawn: tuple[str, bytes]) -> None:
    kind, body = drawn
    try:
        read: Any = READERS[kind](body)
    except Malformed as refused:
        require_documented(refused)
        return
    again = READERS[kind](msgspec.json.encode(read))
    assert again == read
    assert hash_body(again) == hash_body(read)
    for one in read.transfers if kind == "batch" else [read]:
        require_sane(kind, one)


def require_sane(kind: str, one: Any) -> None:
    if kind in {"deposit", "withdrawal"}:
        assert type(one.amount_minor) is int
        assert 1 <= one.amount_minor <= MAX_AMOUNT_MINOR
        return
    try:
        hold_seconds_of(one)
        legs = legs_of(one)
    except Malformed as refused:
        require_documented(refused)
        return
    assert all(type(leg.amount_minor) is int and 1 <= leg.amount_minor <= MAX_AMOUNT_MINOR for leg in legs)


def require_documented(refused: Malformed) -> None:
    assert refused.code in error_codes()
    json.dumps([refused.detail, refused.facts], ensure_ascii=False).encode()


@fuzz(
    drawn=st.tuples(st.just("csv"), damaged([CSV])) | st.tuples(st.just("ndjson"), damaged([NDJSON])),
    cut=st.integers(1, 100),
)
def test_a_file_is_the_same_however_it_is_cut_and_each_line_is_read_or_named(
    drawn: tuple[FileKind, bytes], cut: int
) -> None:
    kind, text = drawn
    lines, refusal = read_file(kind, [text])
    assert (lines, refusal) == read_file(kind, [text[at : at + cut] for at in range(0, len(text), cut)])
    assert lines or refusal
    for line in lines:
        require_sane("transfer", line.item)
        assert msgspec.json.decode(msgspec.json.encode(line.item), type=type(line.item)) == line.item


def read_file(kind: FileKind, pieces: list[bytes]) -> tuple[list[FileLine], dict[str, Any]]:
    """Return the lines up to a refusal, and what that says."""
    file = BatchFile(kind, "batch")
    lines: list[FileLine] = []
    try:
        for piece in pieces:
            lines.extend(file.feed(piece))
        lines.extend(file.end())
    except Malformed as refused:
        require_documented(refused)
        return lines, {"code": refused.code, **refused.facts}
    return lines, {}


@fuzz(amount_minor=st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR), exponent=st.integers(0, EXPONENT_MAX))
def test_an_amount_written_for_people_reads_back_as_the_same_number(amount_minor: int, exponent: int) -> None:
    number, asset = format_units(amount_minor, "XYZ", exponent).split(" ")
    whole, _, fraction = number.replace(",", "").partition(".")
    assert (int(whole + fraction), len(fraction), asset) == (amount_minor, exponent, "XYZ") or (
        number[0] == "-" and -int((whole + fraction)[1:]) == amount_minor
    )
