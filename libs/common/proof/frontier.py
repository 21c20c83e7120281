"""A growing tree by its peaks alone: all that a log needs which proves its whole at once, and no single leaf."""

from collections.abc import Sequence
from typing import NamedTuple, Self

from libs.common.invariants import check
from libs.common.proof.merkle import HASH_BYTES, fold_peaks, node_hash


class Frontier(NamedTuple):
    """A tree of `size` leaves (RFC 6962, 2.1). `peaks` are the roots of its complete subtrees, tallest first."""

    size: int
    peaks: tuple[bytes, ...]

    @classmethod
    def restored(cls, size: int, stored: bytes) -> Self:
        """Return the frontier that `stored` was made of. Raises: InvariantBroken when it is none of this size."""
        peaks = tuple(stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES))
        check(len(peaks) == size.bit_count(), "a tree has a peak for each bit of its size", size=size)
        return cls(size, peaks)

    @property
    def stored(self) -> bytes:
        """The peaks as bytes."""
        return b"".join(self.peaks)

    @property
    def root(self) -> bytes:
        """The root over all leaves."""
        return fold_peaks(self.peaks)

    def extended(self, leaves: Sequence[bytes]) -> Self:
        """Return the tree after these leaf hashes; one inner hash a leaf."""
        peaks, size = list(self.peaks), self.size
        for leaf in leaves:
            node, height = leaf, size
            while height & 1:
                node, height = node_hash(peaks.pop(), node), height >> 1
            peaks.append(node)
            size += 1
        return type(self)(size, tuple(peaks))


EMPTY_FRONTIER = Frontier(0, ())
