"""The right edge of a growing tree: all that the writer keeps in memory between two batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Self

from libs.common.invariants import check
from libs.common.proof.merkle import fold_peaks, parents
from libs.common.proof.tiles import TILE_HEIGHT, TILE_WIDTH, FullTile, TileReader


@dataclass(frozen=True)
class TreeHead:
    """An immutable tree of `size` leaves, able to grow.

    Growing makes a new head and leaves this one as it was, so a writer whose commit fails drops the new one and is
    back where it started. Memory: at most 255 hashes for every level of tiles.
    """

    size: int
    partial_tiles: tuple[tuple[bytes, ...], ...]
    """The hashes of the partial tile of each level, from level 0 up; shorter than 256, empty where none is."""

    peaks: tuple[bytes, ...]
    """The roots of the complete subtrees the size is the sum of, tallest (leftmost) first."""

    @classmethod
    def empty(cls) -> Self:
        """Return the head of the tree without leaves."""
        return cls(size=0, partial_tiles=(), peaks=())

    @classmethod
    def restored(cls, size: int, partial_tiles: Sequence[Sequence[bytes]]) -> Self:
        """Return the head of a tree from its size and the partial tile of each level, from level 0 up.

        Raises: InvariantBroken when the tiles are not as wide as the size says.
        """
        widths = [len(tile) for tile in partial_tiles]
        check(widths == partial_widths(size), "partial tiles are as wide as the size says", size=size, widths=widths)
        peaks: list[bytes] = []
        for tile in reversed(partial_tiles):
            tile_peaks, _ = _grown_peaks(0, (), tile)
            peaks += tile_peaks
        return cls(size=size, partial_tiles=tuple(map(tuple, partial_tiles)), peaks=tuple(peaks))

    @cached_property
    def root(self) -> bytes:
        """The RFC 6962 root; one hash for every peak but one, computed when first asked for."""
        return fold_peaks(self.peaks)

    def extended(self, leaves: Sequence[bytes]) -> tuple[Self, list[FullTile]]:
        """Return the head after these leaf hashes, and the tiles they filled, by level and then by index.

        Costs about one inner hash a leaf, whatever the size: a filled tile's root is among those hashes.
        """
        peaks, grown = _grown_peaks(self.size, self.peaks, leaves)
        partial_tiles: list[tuple[bytes, ...]] = []
        full_tiles: list[FullTile] = []
        # Nodes eight heights up are the roots of the tiles that became full, and the hashes of the next level's tiles.
        by_level = zip_longest(self.partial_tiles, grown[::TILE_HEIGHT], fillvalue=())
        for level, (partial, added) in enumerate(by_level):
            hashes = (*partial, *added)
            roots = _at_height(grown, TILE_HEIGHT * (level + 1))
            first_index = self.size >> TILE_HEIGHT * (level + 1)
            full_tiles += (
                FullTile(level, first_index + n, b"".join(hashes[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]), root)
                for n, root in enumerate(roots)
            )
            partial_tiles.append(hashes[len(roots) * TILE_WIDTH :])
        head = type(self)(self.size + len(leaves), tuple(partial_tiles), tuple(peaks))
        return head, full_tiles


def partial_widths(size: int) -> list[int]:
    """Return how many hashes the partial tile of each level holds, from level 0 up: the size's digits in base 256."""
    widths = []
    while size:
        size, width = divmod(size, TILE_WIDTH)
        widths.append(width)
    return widths


async def load_tree_head(size: int, tiles: TileReader) -> TreeHead:
    """Return the head of a stored tree, reading only its partial tiles."""
    partial_tiles = [
        await tiles.read_tile(level, size >> TILE_HEIGHT * (level + 1), width) if width else []
        for level, width in enumerate(partial_widths(size))
    ]
    return TreeHead.restored(size, partial_tiles)


def _at_height(grown: list[list[bytes]], height: int) -> list[bytes]:
    """Return the nodes that became complete at this height; a batch seldom reaches far up."""
    return grown[height] if height < len(grown) else []


def _grown_peaks(size: int, peaks: Sequence[bytes], leaves: Sequence[bytes]) -> tuple[list[bytes], list[list[bytes]]]:
    """Return the peaks after the leaves, and all complete nodes the leaves brought, by height.

    Works a whole height at a time: that turns nearly all hashing into one comprehension per height.
    """
    untouched, new_peaks = list(peaks), []
    grown: list[list[bytes]] = []
    added, height = list(leaves), 0
    while added:
        grown.append(added)
        nodes = [untouched.pop(), *added] if size >> height & 1 else added
        if len(nodes) % 2:
            new_peaks.append(nodes[-1])
        added = parents(nodes)
        height += 1
    return untouched + new_peaks[::-1], grown
