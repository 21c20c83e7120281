"""Files of transfers, CSV (RFC 4180) or NDJSON, read line by line as they come: what each line asks for, or its fault.

A file with one fault is refused whole, so that nobody has to find out which of its lines were carried out.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, Literal

# tidy: allow impure-value-code: the types that read a line strictly are the domain's own
import msgspec

from libs.common.errors import Malformed, Unprocessable
from services.gateway.domain.requests import BatchItemIn, Key, TransferIn, hold_seconds_of, legs_of

MAX_LINES: Final = 100_000
MAX_LINE_BYTES: Final = 32 * 1024
_LINES_READ_MAX: Final = 2 * MAX_LINES
"""Empty lines cost time, too: 32 MiB of them took a quarter of a minute."""
COLUMNS: Final = (
    "idempotency_key",
    "source_account_id",
    "destination_account_id",
    "amount_minor",
    "asset",
    "description",
)
_REQUIRED: Final = frozenset(COLUMNS[1:5])
_FAULTS_SHOWN_MAX: Final = 100
_DETAIL_CHARACTERS_MAX: Final = 200
_DIGITS: Final = re.compile(r"[0-9]{1,16}")

FileKind = Literal["csv", "ndjson"]


class LineIn(TransferIn, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A line: a transfer, whose idempotency key may be left to us."""

    idempotency_key: Key | None = None


class FileLine(msgspec.Struct, frozen=True, gc=False):
    """A line that can be carried out; `line` counts from 1, the header and empty lines included."""

    line: int
    item: BatchItemIn


_decode_line = msgspec.json.Decoder(LineIn).decode


class BatchFile:
    """Reads one file, given in pieces of any size."""

    def __init__(self, kind: FileKind, batch_id: str) -> None:
        """Begin. A line without a key gets one of the batch's id and its number, the same whenever it is read."""
        self._kind = kind
        self._batch_id = batch_id
        self._rest = b""
        self._hash = sha256(kind.encode())
        self._header: list[str] | None = None
        self._keys: set[str] = set()
        self._line = 0
        self._faults: list[dict[str, object]] = []
        self.count = 0
        """How many transfers have been read."""
        self.size = 0
        """How many bytes."""

    def feed(self, data: bytes) -> Iterator[FileLine]:
        """Read a piece. Raises: Unprocessable batch_file_unreadable, batch_file_too_long."""
        self._hash.update(data)
        self.size += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield from self._read(line)
        if len(self._rest) > MAX_LINE_BYTES:
            yield from self._read(self._rest)

    def end(self) -> Iterator[FileLine]:
        """Read what came behind the last line break, and judge the whole.

        Raises: Unprocessable batch_file_unreadable, batch_file_too_long, batch_file_empty.
        """
        rest, self._rest = self._rest, b""
        yield from self._read(rest)
        if self._faults:
            raise self._unreadable()
        if self.count == 0:
            raise Unprocessable("batch_file_empty", "The file has no transfer in it.")

    def digest(self) -> bytes:
        """Return the SHA-256 of what was read, byte for byte."""
        return self._hash.digest()

    def _read(self, line: bytes) -> Iterator[FileLine]:
        self._line += 1
        if self._line > _LINES_READ_MAX:
            raise _too_long()
        if not line.strip():
            return
        try:
            found = self._parse(line)
        except (Malformed, Unprocessable) as fault:
            self._faults.append({"line": self._line, "code": fault.code, "detail": fault.detail})
            if len(self._faults) >= _FAULTS_SHOWN_MAX or len(line) > MAX_LINE_BYTES:
                raise self._unreadable() from fault
            return
        if found is None:
            return
        self.count += 1
        if self.count > MAX_LINES:
            raise _too_long()
        yield FileLine(self._line, found)

    def _parse(self, line: bytes) -> BatchItemIn | None:
        """Return the line's transfer, None for the header. Raises: Malformed, Unprocessable."""
        if len(line) > MAX_LINE_BYTES:
            raise Unprocessable("invalid_request", f"A line has up to {MAX_LINE_BYTES} bytes.")
        if self._kind == "ndjson":
            asked = _converted(lambda: _decode_line(line))
        else:
            cells = _cells_of(line)
            if self._header is None:
                self._header = _header_of(cells)
                return None
            asked = _converted(lambda: msgspec.convert(_named(self._header or (), cells), LineIn))
        return self._checked(asked)

    def _checked(self, asked: LineIn) -> BatchItemIn:
        key = asked.idempotency_key or f"{self._batch_id}:{self._line}"
        fields = {name: getattr(asked, name) for name in TransferIn.__struct_fields__}
        item = BatchItemIn(**fields, idempotency_key=key)
        legs_of(item)
        hold_seconds_of(item)
        if key in self._keys:
            raise Unprocessable("duplicate_idempotency_key", "An earlier line has this idempotency key.")
        self._keys.add(key)
        return item

    def _unreadable(self) -> Unprocessable:
        return Unprocessable(
            "batch_file_unreadable",
            "Correct the lines named in `lines` and send the file again; nothing of it was carried out.",
            lines=self._faults,
        )


def _too_long() -> Unprocessable:
    return Unprocessable("batch_file_too_long", f"A file has up to {MAX_LINES} transfers; send several.")


def _cells_of(line: bytes) -> list[str]:
    """Return a line's cells; each line stands alone, since no field may have a line break in it."""
    try:
        [cells] = csv.reader([line.removesuffix(b"\r").decode()], strict=True)
    except (csv.Error, UnicodeDecodeError, ValueError):
        raise Malformed("malformed_csv", "This is no line of CSV in UTF-8 (RFC 4180).") from None
    return cells


def _header_of(cells: list[str]) -> list[str]:
    names = [cell.strip().removeprefix("\ufeff") for cell in cells]
    if len(set(names)) != len(names) or not _REQUIRED.issubset(names) or not set(names).issubset(COLUMNS):
        raise Unprocessable(
            "invalid_request",
            f"The first line names the columns, of these, all but the first and last needed: {', '.join(COLUMNS)}.",
        )
    return names


def _named(header: list[str] | tuple[str, ...], cells: list[str]) -> Mapping[str, Any]:
    """Return column → value without the empty ones."""
    if len(cells) != len(header):
        raise Unprocessable("invalid_request", f"The line has {len(cells)} cells, the header {len(header)}.")
    named: dict[str, Any] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    amount = named.get("amount_minor", "")
    if not _DIGITS.fullmatch(amount):
        raise Unprocessable("invalid_request", "amount_minor is a whole number of minor units.")
    return {**named, "amount_minor": int(amount)}


def _converted(read: Any) -> LineIn:
    try:
        asked: LineIn = read()
    except msgspec.ValidationError as failure:
        raise Unprocessable("invalid_request", f"{failure}."[:_DETAIL_CHARACTERS_MAX]) from failure
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Malformed("malformed_json", "This line is not valid JSON in UTF-8.") from failure
    return asked
