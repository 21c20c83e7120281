"""A receipt for whatever became of a transfer, for its parties, under keys old and new."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.proof.receipts import ReceiptInvalid, verify_receipt
from libs.common.proof.signed_note import vkey
from services.ledger.api.receipts import receipts_router
from services.ledger.views.receipts import ReceiptView
from tests.support.api_world import TokenKeys, http_client
from tests.support.ledger_builders import id_of
from tests.support.stored_journal import ORIGIN, StoredJournal, transfer_record

LEGS = [("alice", "bob", 900)]
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ADDRESS = f"/api/v1/transfers/{id_of('t')}/receipt"
STATUS = {"captured": "held", "reversed": "posted"}
# Record's kind → what it moves, if it moves less than what was asked for.
MOVES = {"captured": [("alice", "bob", 100)], "reversed": [], "closed": []}


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def client(ledger_dsn: str, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(ledger_dsn, "test-views")
    async with http_client("ledger", [receipts_router(ReceiptView(Reading(engine)))], keys) as client:
        yield client
    await engine.dispose()


async def account(journal: StoredJournal, name: str) -> None:
    await journal.connection.execute(
        "INSERT INTO ledger.accounts (account_id, account_number, owner_id, asset, kind, status, opened_at) "
        "VALUES ($1, $2, $3, 'USD', 'customer', 'active', $4)",
        id_of(name),
        name,
        id_of(f"owner of {name}"),
        AT,
    )


async def transfer(journal: StoredJournal, kind: str, *, index: int, legs_index: int | None = None) -> None:
    status = STATUS.get(kind, kind)
    code = "" if status in {"posted", "held"} else "limit_exceeded"
    await journal.connection.execute(
        "INSERT INTO ledger.transfers (transfer_id, kind, status, version, code, reasons, shard, journal_index, "
        "changed_at) VALUES ($1, 'transfer', $2, 1, $3, '{}', 0, $4, $5)",
        id_of("t"),
        status,
        code,
        index,
        AT,
    )
    if legs_index is not None:
        columns = await journal.connection.fetch(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'ledger' AND table_name = 'settlements' AND is_nullable = 'NO'"
        )
        empty = {"bigint": 0, "integer": 0, "text": "", "boolean": False, "ARRAY": [], "bytea": b"", "uuid": id_of("t")}
        row = {name: empty[kind] for name, kind in columns} | {"legs_index": legs_index}
        places = ", ".join(f"${place + 1}" for place in range(len(row)))
        await journal.connection.execute(
            f"INSERT INTO ledger.settlements ({', '.join(row)}) VALUES ({places})", *row.values()
        )


async def of_kind(journal: StoredJournal, kind: str) -> None:
    """A transfer whose newest record is of this kind, and whatever had to be before."""
    for name in ("alice", "bob", "carol"):
        await account(journal, name)
    await journal.grow(300)
    if kind in MOVES:
        first = "posted" if kind == "reversed" else "held"
        await journal.append([transfer_record(300, first, LEGS, actor_id=id_of("owner of alice"))])
        said = "posted" if kind == "closed" else kind
        await journal.append([transfer_record(301, said, MOVES[kind], actor_id=id_of("clock"), version=2)])
        await transfer(journal, said, index=301, legs_index=300)
    else:
        await journal.append([transfer_record(300, kind, LEGS)])
        await transfer(journal, kind, index=300)
    await journal.grow(303)


def owner(keys: TokenKeys, name: str) -> dict[str, str]:
    return keys.bearer(id_of(f"owner of {name}"))


@pytest.mark.parametrize("kind", ["posted", "held", "voided", "refused", "blocked", "captured", "reversed", "closed"])
async def test_whatever_became_of_a_transfer_has_a_receipt_for_its_parties(
    journal: StoredJournal, client: httpx2.AsyncClient, keys: TokenKeys, kind: str
) -> None:
    await of_kind(journal, kind)
    for reader in ("alice", "bob"):
        receipt = await client.get(ADDRESS, headers=owner(keys, reader))
        assert receipt.status_code == 200
        verified = verify_receipt(receipt.content, journal.vkey)
        assert verified.record["transfer_id"] == id_of("t")
        assert verified.record["kind"] == f"transfer.{'posted' if kind == 'closed' else kind}"
        assert (verified.size, verified.origin) == (303, ORIGIN)
    stranger = await client.get(ADDRESS, headers=owner(keys, "carol"))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "transfer_not_found")


async def receipt_of(journal: StoredJournal, client: httpx2.AsyncClient, keys: TokenKeys) -> bytes:
    return (await client.get(ADDRESS, headers=owner(keys, "alice"))).content


async def test_receipts_signed_before_and_after_a_rotation_verify_with_the_published_keys(
    journal: StoredJournal, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    await of_kind(journal, "posted")
    before, retired = await receipt_of(journal, client, keys), journal.vkey
    journal.key = Ed25519PrivateKey.generate()
    await journal.grow(310)
    after = await receipt_of(journal, client, keys)
    published = f"{journal.vkey}\n{retired}\n"
    assert verify_receipt(before, published).size == 303
    assert verify_receipt(after, published).size == 310
    never_listed = vkey(ORIGIN, Ed25519PrivateKey.generate().public_key())
    for receipt, wrong in ((before, journal.vkey), (after, retired), (before, never_listed), (after, never_listed)):
        with pytest.raises(ReceiptInvalid, match="checkpoint_key_unknown"):
            verify_receipt(receipt, wrong)


async def test_a_real_receipt_fails_after_any_byte_is_changed(
    journal: StoredJournal, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    await of_kind(journal, "captured")
    good = await receipt_of(journal, client, keys)
    assert verify_receipt(good, journal.vkey).index == 301
    for at, byte in enumerate(good):
        with pytest.raises(ReceiptInvalid):
            verify_receipt(good[:at] + bytes([byte ^ 1]) + good[at + 1 :], journal.vkey)


async def test_a_receipt_says_nothing_more_than_its_four_fields(
    journal: StoredJournal, client: httpx2.AsyncClient, keys: TokenKeys
) -> None:
    await of_kind(journal, "blocked")
    said: dict[str, Any] = json.loads(await receipt_of(journal, client, keys))
    assert said.keys() == {"record", "index", "proof", "checkpoint"}
