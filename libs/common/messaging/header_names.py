"""Header names that are no UTF-8: Kafka says they are text and checks nothing, and aiokafka's parser fails on them.

It fails while fetching, before anybody could park the record, and again with every fetch: one such record, sent by
whoever reaches the broker, would stop the topic for good while all processes call themselves ready. Here such a name is
read as Python reads file names (PEP 383, `surrogateescape`), and written back byte for byte.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

from libs.common.messaging.topics_admin import MAX_MESSAGE_BYTES


def read_any_header_name() -> None:
    """Have every consumer of this process read such names. Once or more often; there is no hook for one consumer."""
    fetcher.MemoryRecords = _Records


def write_names(batch: Any, headers: Sequence[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """Return the headers such that an empty batch of aiokafka's writes each name as the bytes it was read from."""
    if not any("\udc80" <= character <= "\udcff" for name, _ in headers for character in name):
        return list(headers)
    # The fast one encodes names by itself, and fails.
    batch._builder = _DefaultRecordBatchBuilderPy(  # noqa: SLF001 -- no public way to choose
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=MAX_MESSAGE_BYTES,
    )
    return [(_Name(name), value) for name, value in headers]


class _Name(str):
    """A name that is encoded as it was decoded."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:  # noqa: ARG002 -- a parameter of str's own
        return super().encode(encoding, "surrogateescape")


class _Records:
    """Stands for aiokafka's `MemoryRecords`: what one fetch brought of one partition."""

    __slots__ = ("_batches", "_data", "_fast")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fast = MemoryRecords(data)
        self._batches = 0

    def size_in_bytes(self) -> int:
        size: int = self._fast.size_in_bytes()
        return size

    def has_next(self) -> bool:
        has_next: bool = self._fast.has_next()
        return has_next

    def next_batch(self) -> "_Batch":
        self._batches += 1
        return _Batch(self._fast.next_batch(), self._data, self._batches - 1)


class _Batch:
    """Stands for aiokafka's batch: read by the fast parser, and from the record on which that fails by the slow one."""

    __slots__ = ("_data", "_fast", "_place")

    def __init__(self, fast: Any, data: bytes, place: int) -> None:
        self._fast = fast
        self._data = data
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fast, name)

    def __next__(self) -> Any:
        return next(self._fast)

    def __iter__(self) -> Iterator[Any]:
        count = 0
        try:
            for record in self._fast:
                count += 1
                yield record
        except UnicodeDecodeError:
            yield from islice(self._slowly(), count, None)

    def _slowly(self) -> Iterator[Any]:
        records = _MemoryRecordsPy(self._data)
        for _ in range(self._place):
            records._cache_next()  # noqa: SLF001 -- `next_batch` would make a fast one of it
        batch = _DefaultRecordBatchPy(records._next_slice)  # noqa: SLF001 -- as above
        batch._maybe_uncompress()  # noqa: SLF001 -- afterwards the buffer is the one that names are decoded from
        batch._buffer = _Buffer(batch._buffer)  # noqa: SLF001 -- as above
        return iter(batch)


class _Buffer(bytearray):
    """Bytes that are decoded whatever they are."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Buffer(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:  # noqa: ARG002 -- a parameter of bytearray's own
        return super().decode(encoding, "surrogateescape")
