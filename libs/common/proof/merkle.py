"""Merkle tree hashing and the checking of proofs, as RFC 6962 (section 2.1) and RFC 9162 (section 2.1) define them.

Hashes are 32 raw bytes. Proofs run from the leaf to the root. Checking needs no tree, only what is passed in.
"""

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves."""

# The two prefixes keep a leaf from ever passing for an inner node (RFC 6962, 2.1).
_LEAF_PREFIX: Final = b"\x00"
_NODE_PREFIX: Final = b"\x01"


def leaf_hash(record: bytes) -> bytes:
    """Return the hash under which a record enters the tree."""
    return sha256(_LEAF_PREFIX + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the inner node above two subtrees."""
    return sha256(_NODE_PREFIX + left + right).digest()


def parents(nodes: Sequence[bytes]) -> list[bytes]:
    """Return the inner nodes above neighbouring pairs; an odd last node gets no parent.

    This is where the ledger's writer spends its hashing, hence one comprehension without a call per node.
    """
    prefix, digest = _NODE_PREFIX, sha256
    pairs = zip(nodes[::2], nodes[1::2], strict=False)
    return [digest(prefix + left + right).digest() for left, right in pairs]


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees of falling size, left to right."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over hashes of equally tall subtrees (RFC 6962, 2.1), of any number."""
    peaks: list[bytes] = []
    nodes = hashes
    while nodes:
        if len(nodes) % 2:
            peaks.append(nodes[-1])
        nodes = parents(nodes)
    return fold_peaks(peaks[::-1])


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the proof shows the leaf hash at this index (from 0) of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _all_hashes([leaf, root, *proof]):
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            node, last = _rise_past_missing_siblings(node, last)
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and compare_digest(computed, root)


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether the tree of `first` leaves is a prefix of the tree of `second` leaves (RFC 9162, 2.1.4.2).

    RFC 9162 leaves the empty tree out. Here it is a prefix of every tree: its root is EMPTY_ROOT, its proof empty.
    """
    if not 0 <= first <= second or not _all_hashes([first_root, second_root, *proof]):
        return False
    if first == second:
        return not proof and compare_digest(first_root, second_root)
    if first == 0:
        return not proof and compare_digest(first_root, EMPTY_ROOT)
    # A tree whose size is a power of two is itself a node of the later tree, so its root is left out of the proof.
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    return bool(path) and _path_joins(first, second, first_root, second_root, path)


def _path_joins(first: int, second: int, first_root: bytes, second_root: bytes, path: list[bytes]) -> bool:
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first_computed = second_computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first_computed = node_hash(sibling, first_computed)
            second_computed = node_hash(sibling, second_computed)
            node, last = _rise_past_missing_siblings(node, last)
        else:
            second_computed = node_hash(second_computed, sibling)
        node, last = node >> 1, last >> 1
    matches = compare_digest(first_computed, first_root) and compare_digest(second_computed, second_root)
    return matches and last == 0


def _rise_past_missing_siblings(node: int, last: int) -> tuple[int, int]:
    """Climb the right edge, where a node without a right sibling is its own parent."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _all_hashes(values: list[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
