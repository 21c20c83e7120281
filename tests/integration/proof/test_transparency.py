"""What anybody may ask for over HTTP, checked by the verifiers that a stranger has."""

from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.merkle import verify_consistency, verify_inclusion
from libs.common.proof.signed_note import open_log_note, parse_vkeys
from services.ledger.api.transparency import transparency_router
from services.ledger.views.transparency import TransparencyView
from tests.support.api_world import TokenKeys, http_client
from tests.support.stored_journal import StoredJournal

SIZES = (1, 2, 255, 256, 257, 700)


@pytest.fixture
async def client(ledger_dsn: str, journal: StoredJournal, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(ledger_dsn, "test-views")
    router = transparency_router(TransparencyView(Reading(engine), 0), f"{journal.vkey}\n")
    async with http_client("ledger", [router], TokenKeys(tmp_path)) as client:
        yield client
    await engine.dispose()


async def ask(client: httpx2.AsyncClient, what: str, **sizes: int | str) -> httpx2.Response:
    return await client.get(f"/api/v1/transparency/{what}", params=sizes)


async def test_every_record_is_proved_under_every_size_that_was_signed(
    client: httpx2.AsyncClient, journal: StoredJournal
) -> None:
    roots = {}
    for size in SIZES:
        await journal.grow(size)
        roots[size] = journal.tree.root
    for size, root in roots.items():
        for index in {0, size // 2, size - 1}:
            said = (await ask(client, "inclusion", index=index, size=size)).json()
            assert (said["index"], said["size"]) == (index, size)
            leaf, proof = b64decode(said["leaf_hash"]), [b64decode(part) for part in said["proof"]]
            assert leaf == journal.leaves[index]
            assert verify_inclusion(leaf, index, size, proof, root)
            assert (said["checkpoint"] == journal.note) is (size == SIZES[-1])
            assert size == SIZES[-1] or said["checkpoint"] is None


async def test_without_a_size_the_newest_checkpoint_comes_along(
    client: httpx2.AsyncClient, journal: StoredJournal
) -> None:
    await journal.grow(300)
    said = (await ask(client, "inclusion", index=7)).json()
    checkpoint = Checkpoint.parse(open_log_note(said["checkpoint"], parse_vkeys(journal.vkey)))
    assert said["size"] == checkpoint.size == 300
    proof = [b64decode(part) for part in said["proof"]]
    assert verify_inclusion(b64decode(said["leaf_hash"]), 7, 300, proof, checkpoint.root)


@pytest.mark.parametrize(
    "wrong",
    [
        {"index": 5},
        {"index": 5, "size": 5},
        {"index": 0, "size": 6},
        {"index": 2, "size": 2},
        {"index": -1},
        {"index": 0, "size": 0},
        {"index": 2**53},
        {"index": 0, "size": 2**53},
        {"index": "x"},
        {"size": 5},
    ],
)
async def test_what_is_not_in_the_tree_has_no_inclusion_proof(
    client: httpx2.AsyncClient, journal: StoredJournal, wrong: dict[str, int | str]
) -> None:
    await journal.grow(5)
    answer = await ask(client, "inclusion", **wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_empty_journal_proves_nothing(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "inclusion", index=0)
    assert (answer.status_code, answer.json()["code"]) == (422, "size_out_of_range")
    assert (await ask(client, "checkpoint")).json()["code"] == "checkpoint_not_found"
    assert (await ask(client, "consistency", first=0, second=0)).json() == {"proof": []}


async def test_every_size_that_was_signed_is_the_beginning_of_every_later_one(
    client: httpx2.AsyncClient, journal: StoredJournal
) -> None:
    heads = []
    for size in SIZES:
        await journal.grow(size)
        heads.append((size, journal.tree.root))
    for place, (first, first_root) in enumerate(heads):
        for second, second_root in heads[place:]:
            parts = (await ask(client, "consistency", first=first, second=second)).json()["proof"]
            proof = [b64decode(part) for part in parts]
            assert verify_consistency(first, second, first_root, second_root, proof)
