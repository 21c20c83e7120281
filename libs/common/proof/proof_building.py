"""Which hashes a proof needs, and the reading of them from tiles (RFC 9162, sections 2.1.3.1 and 2.1.4.1).

A proof is a list of spans of leaves. A span inside the tree is one complete subtree; the span at the right edge is
a row of them, folded from the right.
"""

from typing import NamedTuple, TypeAlias

from libs.common.invariants import check
from libs.common.proof.merkle import fold_peaks, root_of
from libs.common.proof.tiles import TILE_HEIGHT, TILE_WIDTH, TileReader


class Subtree(NamedTuple):
    """A complete subtree: the 2**height leaves from position * 2**height on."""

    height: int
    position: int


Span: TypeAlias = tuple[Subtree, ...]
"""One element of a proof: complete subtrees of falling height, side by side; its hash is their fold."""

TileKey: TypeAlias = tuple[int, int]
"""(level, tile index)"""


def inclusion_nodes(index: int, size: int) -> list[Span]:
    """Return what the inclusion proof of a leaf consists of, leaf to root.

    Raises: ValueError when the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            spans.append(_span(middle, end))
            end = middle
        else:
            spans.append(_span(start, middle))
            start = middle
    return spans[::-1]


def consistency_nodes(first: int, second: int) -> list[Span]:
    """Return what the proof consists of that the tree of `first` leaves is a prefix of that of `second`.

    Nothing is needed for the empty tree and for two equal sizes. Raises: ValueError when `first` is the larger.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves is no prefix of one of {second}")
    if first == 0:
        return []
    spans: list[Span] = []
    start, end = 0, second
    while end != first:
        middle = _split(start, end)
        if first <= middle:
            spans.append(_span(middle, end))
            end = middle
        else:
            spans.append(_span(start, middle))
            start = middle
    # Without a turn to the right what is left is the whole first tree, and its root is known to who asks.
    if start:
        spans.append(_span(start, end))
    return spans[::-1]


async def build_inclusion_proof(index: int, size: int, tiles: TileReader) -> list[bytes]:
    """Return the inclusion proof, leaf to root. Reads each tile once.

    Raises: ValueError as inclusion_nodes does; InvariantBroken when the store lacks hashes.
    """
    return await _read_spans(inclusion_nodes(index, size), tiles)


async def build_consistency_proof(first: int, second: int, tiles: TileReader) -> list[bytes]:
    """Return the consistency proof. Reads each tile once.

    Raises: ValueError as consistency_nodes does; InvariantBroken when the store lacks hashes.
    """
    return await _read_spans(consistency_nodes(first, second), tiles)


async def _read_spans(spans: list[Span], tiles: TileReader) -> list[bytes]:
    widths: dict[TileKey, int] = {}
    for subtree in (subtree for span in spans for subtree in span):
        key, offset, width = _place(subtree)
        widths[key] = max(widths.get(key, 0), offset + width)
    read = {(level, index): await _read_checked(tiles, level, index, width) for (level, index), width in widths.items()}
    return [fold_peaks([_subtree_root(subtree, read) for subtree in span]) for span in spans]


async def _read_checked(tiles: TileReader, level: int, tile_index: int, width: int) -> list[bytes]:
    hashes = await tiles.read_tile(level, tile_index, width)
    facts = {"level": level, "tile_index": tile_index, "width": width, "hashes": len(hashes)}
    check(len(hashes) == width, "a tile inside the tree has all its hashes", **facts)
    return hashes


def _subtree_root(subtree: Subtree, read: dict[TileKey, list[bytes]]) -> bytes:
    key, offset, width = _place(subtree)
    return root_of(read[key][offset : offset + width])


def _place(subtree: Subtree) -> tuple[TileKey, int, int]:
    """Return the tile a subtree's hashes stand in, the offset there, and how many they are (at most 128)."""
    level, height_in_tile = divmod(subtree.height, TILE_HEIGHT)
    tile_index, offset = divmod(subtree.position << height_in_tile, TILE_WIDTH)
    return (level, tile_index), offset, 1 << height_in_tile


def _split(start: int, end: int) -> int:
    """Return where RFC 6962 cuts a tree: after the largest power of two smaller than its size."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _span(start: int, end: int) -> Span:
    subtrees = []
    while start < end:
        height = (end - start).bit_length() - 1
        subtrees.append(Subtree(height, start >> height))
        start += 1 << height
    return tuple(subtrees)
