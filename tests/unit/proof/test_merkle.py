"""Proofs against the published vectors of Certificate Transparency, and against every lie nearby."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.proof.merkle import EMPTY_ROOT, leaf_hash, root_of, verify_consistency, verify_inclusion
from libs.common.proof.proof_building import build_consistency_proof, build_inclusion_proof
from tests.unit.proof.memory_log import MemoryLog, leaves, reference_path, reference_root

# The eight leaves with which the certificate-transparency project tests its trees; index from 0.
CT_RECORDS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAF_0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
NODE_2_3 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
NODE_4_7 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
NODE_6_7 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
NODE_0_3 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
NODE_0_1 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
NODE_4_5 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
CT_INCLUSION = [
    (0, 1, []),
    (0, 8, [LEAF_1, NODE_2_3, NODE_4_7]),
    (5, 8, [LEAF_4, NODE_6_7, NODE_0_3]),
    (2, 3, [NODE_0_1]),
    (1, 5, [LEAF_0, NODE_2_3, LEAF_4]),
]
CT_CONSISTENCY = [
    (1, 1, []),
    (1, 8, [LEAF_1, NODE_2_3, NODE_4_7]),
    (6, 8, [NODE_4_5, NODE_6_7, NODE_0_3]),
    (2, 5, [NODE_2_3, LEAF_4]),
]
TILE_EDGES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 600]
LOG = MemoryLog(leaves(600))
ROOTS = [root_of(LOG.leaves[:size]) for size in range(601)]


def ct_leaves(size: int) -> list[bytes]:
    return [leaf_hash(bytes.fromhex(record)) for record in CT_RECORDS[:size]]


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value) ^ 1 << bit % 256).to_bytes(len(value))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root_of(ct_leaves(size)).hex() == CT_ROOTS[size]
    assert MemoryLog(ct_leaves(size)).head.root.hex() == CT_ROOTS[size]


@pytest.mark.parametrize(("index", "size", "published"), CT_INCLUSION)
async def test_inclusion_proofs_are_the_published_ones(index: int, size: int, published: list[str]) -> None:
    log = MemoryLog(ct_leaves(8))
    proof = await build_inclusion_proof(index, size, log)
    assert [sibling.hex() for sibling in proof] == published
    assert verify_inclusion(log.leaves[index], index, size, proof, bytes.fromhex(CT_ROOTS[size]))


@pytest.mark.parametrize(("first", "second", "published"), CT_CONSISTENCY)
async def test_consistency_proofs_are_the_published_ones(first: int, second: int, published: list[str]) -> None:
    proof = await build_consistency_proof(first, second, MemoryLog(ct_leaves(8)))
    assert [node.hex() for node in proof] == published
    roots = bytes.fromhex(CT_ROOTS[first]), bytes.fromhex(CT_ROOTS[second])
    assert verify_consistency(first, second, *roots, proof)


@pytest.mark.parametrize("size", [*range(1, 40), *TILE_EDGES])
async def test_every_leaf_is_proved_at_its_index_and_nowhere_else(size: int) -> None:
    for index in range(size):
        proof = await build_inclusion_proof(index, size, LOG)
        assert verify_inclusion(LOG.leaves[index], index, size, proof, ROOTS[size])
        assert not verify_inclusion(LOG.leaves[index], index + 1, size, proof, ROOTS[size])
        assert not verify_inclusion(LOG.leaves[index], index - 1, size, proof, ROOTS[size])


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 600])
async def test_inclusion_proofs_are_those_of_the_rfcs_recursion(size: int) -> None:
    for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
        assert await build_inclusion_proof(index, size, LOG) == reference_path(index, LOG.leaves[:size])


@given(data=st.data(), size=st.integers(1, 600), bit=st.integers(0, 255))
async def test_one_flipped_bit_breaks_an_inclusion_proof(data: st.DataObject, size: int, bit: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = await build_inclusion_proof(index, size, LOG)
    leaf, root = LOG.leaves[index], ROOTS[size]
    assert verify_inclusion(leaf, index, size, proof, root)
    assert not verify_inclusion(flipped(leaf, bit), index, size, proof, root)
    assert not verify_inclusion(leaf, index, size, proof, flipped(root, bit))
    assert not verify_inclusion(leaf, index, size, [*proof, root], root)
    for at, sibling in enumerate(proof):
        assert not verify_inclusion(leaf, index, size, [*proof[:at], flipped(sibling, bit), *proof[at + 1 :]], root)
        assert not verify_inclusion(leaf, index, size, [*proof[:at], *proof[at + 1 :]], root)
    for one, next_one in pairwise(range(len(proof))):
        swapped = [*proof]
        swapped[one], swapped[next_one] = swapped[next_one], swapped[one]
        assert not verify_inclusion(leaf, index, size, swapped, root)


@given(st.integers(1, 600), st.data())
async def test_an_index_other_than_the_leafs_own_is_never_proved(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.lists(st.integers(0, size), min_size=2, max_size=2, unique=True))
    index, other = (index, other) if index < size else (other, index)
    proof = await build_inclusion_proof(index, size, LOG)
    assert not verify_inclusion(LOG.leaves[index], other, size, proof, ROOTS[size])


@given(st.integers(0, 600), st.integers(0, 600), st.integers(0, 255))
async def test_a_prefix_is_proved_and_one_flipped_bit_breaks_it(one: int, other: int, bit: int) -> None:
    first, second = sorted((one, other))
    proof = await build_consistency_proof(first, second, LOG)
    assert verify_consistency(first, second, ROOTS[first], ROOTS[second], proof)
    assert not verify_consistency(first, second, flipped(ROOTS[first], bit), ROOTS[second], proof)
    assert not verify_consistency(first, second, ROOTS[first], ROOTS[second], [*proof, ROOTS[1]])
    if first:
        assert not verify_consistency(first, second, ROOTS[first], flipped(ROOTS[second], bit), proof)
    for at, node in enumerate(proof):
        bent = [*proof[:at], flipped(node, bit), *proof[at + 1 :]]
        assert not verify_consistency(first, second, ROOTS[first], ROOTS[second], bent)
        assert not verify_consistency(first, second, ROOTS[first], ROOTS[second], [*proof[:at], *proof[at + 1 :]])


@pytest.mark.parametrize("second", [2, 3, 8, 31, 64, 65, 257])
async def test_every_prefix_is_proved_under_no_other_first_size(second: int) -> None:
    for first in range(1, second):
        proof = await build_consistency_proof(first, second, LOG)
        assert verify_consistency(first, second, ROOTS[first], ROOTS[second], proof)
        assert not verify_consistency(first + 1, second, ROOTS[first], ROOTS[second], proof)
        assert not verify_consistency(first - 1, second, ROOTS[first], ROOTS[second], proof)


async def test_a_rewritten_history_has_no_consistency_proof() -> None:
    rewritten = MemoryLog([leaf_hash(b"another"), *LOG.leaves[1:]])
    proof = await build_consistency_proof(300, 600, rewritten)
    assert not verify_consistency(300, 600, ROOTS[300], rewritten.head.root, proof)


def test_a_log_that_became_shorter_is_not_consistent() -> None:
    assert not verify_consistency(8, 7, ROOTS[8], ROOTS[7], [])


def test_equal_sizes_with_other_roots_are_not_consistent() -> None:
    assert not verify_consistency(8, 8, ROOTS[8], ROOTS[7], [])


def test_hashes_of_another_length_prove_nothing() -> None:
    # Were lengths free, bytes could move from one hash into its neighbour without changing what is hashed.
    left, right = LOG.leaves[:2]
    assert not verify_inclusion(left + right[:1], 0, 2, [right[1:]], ROOTS[2])
    assert not verify_consistency(1, 2, left + right[:1], ROOTS[2], [right[1:]])


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (0, 0)])
async def test_an_inclusion_proof_outside_the_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        await build_inclusion_proof(index, size, LOG)
    assert not verify_inclusion(LOG.leaves[0], index, size, [], EMPTY_ROOT)


@pytest.mark.parametrize(("first", "second"), [(-1, 8), (9, 8)])
async def test_a_consistency_proof_backwards_is_refused(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="no prefix"):
        await build_consistency_proof(first, second, LOG)


def test_the_reference_and_the_level_by_level_root_agree() -> None:
    assert all(ROOTS[size] == reference_root(LOG.leaves[:size]) for size in TILE_EDGES)
