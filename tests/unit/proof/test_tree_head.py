"""The growing edge of the tree, and the tiles that fill behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvariantBroken
from libs.common.proof.merkle import root_of, verify_consistency, verify_inclusion
from libs.common.proof.proof_building import build_consistency_proof, build_inclusion_proof
from libs.common.proof.tiles import TILE_BYTES, FullTile, split_tile
from libs.common.proof.tree_head import TreeHead, load_tree_head
from tests.unit.proof.memory_log import MemoryLog, leaves, reference_root

LEAVES = leaves(65_537 + 300)
BATCHES = st.lists(st.integers(0, 700), max_size=8)


def grown(sizes: list[int]) -> tuple[TreeHead, list[FullTile]]:
    head, tiles = TreeHead.empty(), []
    for size in sizes:
        head, full = head.extended(LEAVES[head.size : head.size + size])
        tiles += full
    return head, tiles


@given(BATCHES)
def test_the_batches_in_which_a_tree_grew_leave_no_trace(batches: list[int]) -> None:
    head, tiles = grown(batches)
    at_once, tiles_at_once = grown([sum(batches)])
    assert head == at_once
    assert sorted(tiles) == sorted(tiles_at_once)
    assert head.root == reference_root(LEAVES[: head.size])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 65_537])
async def test_root_and_proofs_hold_across_tile_boundaries(size: int) -> None:
    log = MemoryLog(LEAVES[:size])
    assert log.head.root == reference_root(log.leaves)
    for index in {0, 1, 254, 255, 256, size // 2, size - 2, size - 1} & set(range(size)):
        proof = await build_inclusion_proof(index, size, log)
        assert verify_inclusion(log.leaves[index], index, size, proof, log.head.root)
    for first in {1, 2, 255, 256, 257, size // 2 + 1, size - 1} & set(range(size)):
        proof = await build_consistency_proof(first, size, log)
        assert verify_consistency(first, size, root_of(log.leaves[:first]), log.head.root, proof)


async def test_an_older_size_is_proved_from_tiles_that_have_filled_since() -> None:
    log = MemoryLog(LEAVES[:65_700])
    old_size = 65_400
    proof = await build_inclusion_proof(65_399, old_size, log)
    assert verify_inclusion(log.leaves[65_399], 65_399, old_size, proof, root_of(log.leaves[:old_size]))


def test_a_tile_is_given_out_when_its_last_hash_arrives() -> None:
    head, none_yet = TreeHead.empty().extended(LEAVES[:255])
    assert none_yet == []
    _, tiles = head.extended(LEAVES[255:256])
    assert tiles == [FullTile(level=0, tile_index=0, hashes=b"".join(LEAVES[:256]), root=root_of(LEAVES[:256]))]


def test_a_tile_of_level_one_holds_the_roots_of_the_tiles_below() -> None:
    _, tiles = grown([65_000, 536])
    below = sorted(tile for tile in tiles if tile.level == 0)
    [above] = [tile for tile in tiles if tile.level == 1]
    assert [tile.tile_index for tile in below] == list(range(256))
    assert all(len(tile.hashes) == TILE_BYTES for tile in tiles)
    assert above.tile_index == 0
    assert all(tile.root == root_of(split_tile(tile.hashes)) for tile in tiles)
    assert split_tile(above.hashes) == [root_of(split_tile(tile.hashes)) for tile in below]


def test_tiles_of_a_later_batch_go_on_counting() -> None:
    _, tiles = grown([300, 500])
    assert [(tile.level, tile.tile_index) for tile in tiles] == [(0, 0), (0, 1), (0, 2)]


def test_a_dropped_head_leaves_the_old_one_as_it_was() -> None:
    head, _ = grown([300])
    before = (head.size, head.partial_tiles, head.peaks)
    head.extended(LEAVES[300:1_000])
    assert (head.size, head.partial_tiles, head.peaks) == before
    assert head.extended(LEAVES[300:400])[0] == grown([400])[0]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600, 65_535, 65_536, 65_537])
async def test_a_head_comes_back_from_the_store_and_grows_on(size: int) -> None:
    head = await load_tree_head(size, MemoryLog(LEAVES[:size]))
    assert head == grown([size])[0]
    after, _ = head.extended(LEAVES[size : size + 300])
    assert after.root == grown([size + 300])[0].root


@pytest.mark.parametrize("tiles", [[], [[]], [LEAVES[:2]], [LEAVES[:4]], [LEAVES[:3], []]])
def test_partial_tiles_that_do_not_fit_the_size_are_refused(tiles: list[list[bytes]]) -> None:
    with pytest.raises(InvariantBroken, match="as wide as"):
        TreeHead.restored(3, tiles)


async def test_a_proof_reads_each_tile_once_and_no_wider_than_it_needs() -> None:
    log = MemoryLog(LEAVES[:65_537])
    await build_inclusion_proof(3, 300, log)
    assert sorted(log.reads) == [(0, 0, 256), (0, 1, 44)]


async def test_a_store_that_lost_hashes_is_not_papered_over() -> None:
    log = MemoryLog(LEAVES[:600])
    log.leaves = log.leaves[:520]
    with pytest.raises(InvariantBroken, match="all its hashes"):
        await build_inclusion_proof(3, 600, log)
