"""Files of transfers are read strictly, in pieces of any size, and refused whole with the lines that are wrong."""

import json
from typing import Any

import pytest

from libs.common.errors import Unprocessable
from services.gateway.domain.batch_files import MAX_LINE_BYTES, BatchFile, FileKind, FileLine

A, B = "0198c8a2-6a57-7b0e-8d6e-111111111111", "0198c8a2-6a57-7b0e-8d6e-222222222222"
HEADER = "source_account_id,destination_account_id,amount_minor,asset,description,idempotency_key\n"
ROW = f"{A},{B},5,USD,,\n"


def read(text: str | bytes, kind: FileKind = "csv", piece: int = 7) -> list[FileLine]:
    data = text.encode() if isinstance(text, str) else text
    file = BatchFile(kind, "batch")
    lines = [line for start in range(0, len(data), piece) for line in file.feed(data[start : start + piece])]
    return [*lines, *file.end()]


def refused(text: str | bytes, kind: FileKind = "csv") -> Unprocessable:
    with pytest.raises(Unprocessable) as error:
        read(text, kind, 1000)
    return error.value


def faults(text: str | bytes, kind: FileKind = "csv") -> list[tuple[int, str]]:
    found: Any = refused(text, kind).facts["lines"]
    return [(fault["line"], fault["code"]) for fault in found]


def transfer(**changes: Any) -> str:
    plain = {"source_account_id": A, "destination_account_id": B, "amount_minor": 5, "asset": "USD"}
    return json.dumps({**plain, **changes}) + "\n"


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_a_csv_file_is_read_in_pieces_of_any_size(piece: int) -> None:
    text = "\ufeff" + HEADER + ROW + "\r\n" + f'{A},{B},7,USD,"rent, ""June""",mine\r\n' + ROW.strip()
    lines = read(text, piece=piece)
    assert [(line.line, line.item.idempotency_key) for line in lines] == [(2, "batch:2"), (4, "mine"), (5, "batch:5")]
    assert (lines[1].item.description, lines[1].item.amount_minor) == ('rent, "June"', 7)


def test_an_ndjson_line_is_a_transfer_of_any_kind() -> None:
    legs = [{"source_account_id": A, "destination_account_id": B, "amount_minor": 1, "asset": "USD"}] * 2
    lines = read(transfer(hold=True) + "\n" + json.dumps({"legs": legs, "idempotency_key": "k"}), "ndjson")
    assert [line.line for line in lines] == [1, 3]
    assert (lines[0].item.hold, len(lines[1].item.legs or ())) == (True, 2)


def test_columns_stand_in_any_order_and_two_may_be_left_out() -> None:
    [line] = read(f"asset,amount_minor,source_account_id,destination_account_id\nUSD,9,{A},{B}\n")
    assert (line.item.amount_minor, line.item.idempotency_key) == (9, "batch:2")


def test_every_line_that_is_wrong_is_named() -> None:
    rows = [f"{A},{B},0,USD,,", f"{A},{B},x,USD,,", f"{A},{B},5", f"{A},{A},5,USD,,", f"{A},{B},5,ZZZ,,", f'"{A}']
    rows += [f"{A},{B},5,USD,,k", f"{A},{B},5,USD,,k", f"{A},{B},5,USD,,a b"]
    assert faults(HEADER + "\n".join(rows)) == [
        (2, "invalid_request"),
        (3, "invalid_request"),
        (4, "invalid_request"),
        (5, "same_account"),
        (6, "asset_unknown"),
        (7, "malformed_csv"),
        (9, "duplicate_idempotency_key"),
        (10, "invalid_request"),
    ]
    assert faults("{\n" + transfer(more=1) + transfer(amount_minor="5"), "ndjson") == [
        (1, "malformed_json"),
        (2, "invalid_request"),
        (3, "invalid_request"),
    ]
    assert faults(HEADER.encode() + b"\xff\n") == [(2, "malformed_csv")]
    assert faults("[" * 10_000, "ndjson") == [(1, "invalid_request")]


@pytest.mark.parametrize("header", ["a,b\n", HEADER.replace("asset,", ""), HEADER.replace("asset", "asset,asset")])
def test_a_header_that_is_no_header_is_refused(header: str) -> None:
    assert faults(header + ROW)[0][0] == 1


def test_no_more_than_a_hundred_faults_are_told_and_a_line_is_bounded() -> None:
    assert len(faults(HEADER + "x\n" * 1000)) == 100
    assert faults("x" * (MAX_LINE_BYTES + 1), "ndjson") == [(1, "invalid_request")]


def test_a_file_without_a_transfer_or_with_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("").code == refused(HEADER).code == refused("\n\n", "ndjson").code == "batch_file_empty"
    monkeypatch.setattr("services.gateway.domain.batch_files.MAX_LINES", 3)
    assert len(read(HEADER + ROW * 3)) == 3
    assert refused(HEADER + ROW * 4).code == "batch_file_too_long"


def test_empty_lines_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.domain.batch_files._LINES_READ_MAX", 6)
    assert len(read(HEADER + ROW + "\n" * 3)) == 1
    assert refused(HEADER + ROW + "\n" * 6).code == "batch_file_too_long"
