"""Records that cannot be read, are spelled in another way, go back in time or are signed as another tree."""

import pytest

from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.signed_note import sign_note
from services.ledger.audit.findings import CannotVerify
from tests.integration.ledger.books import KEY
from tests.integration.ledger.ruin import (
    ORIGIN,
    edit_record,
    fetch,
    index_of,
    rewrite_records,
    seen,
    tamper,
    time_of,
    verify,
)
from tests.support.ledger_builders import id_of

SIZE = "SELECT max(size) FROM ledger.blocks"
UNREADABLE = ("record", "unreadable", "a record of transfer.posted")


async def test_a_record_that_cannot_be_read_is_named_with_its_hashes(dsn: str) -> None:
    index = await index_of(dsn, id_of("small 3"), "posted")
    await edit_record(dsn, index, b'"legs":[', b'"limbs":[')
    found = await verify(dsn)
    assert seen(found, "journal") == [("record_altered", f"0/{index}", [UNREADABLE])]
    assert [one.detail for one in found.findings] == ["the record is not what its hash was made of"]
    leaf = await fetch(dsn, "SELECT leaf_hash FROM ledger.journal WHERE journal_index = $1", index)
    assert found.findings[0].stored_hash == leaf.hex() != found.findings[0].computed_hash
    assert found.records == found.size - 1


async def test_a_record_that_cannot_be_read_is_named_though_its_hashes_fit(dsn: str) -> None:
    index = await index_of(dsn, id_of("small 3"), "posted")
    await rewrite_records(dsn, {index: (b'{"actor_id"', b'["actor_id"')})
    found = await verify(dsn)
    assert seen(found, "journal") == [("record_altered", f"0/{index}", [UNREADABLE])]
    assert len(found.findings) == 1


async def test_a_record_of_a_kind_that_a_later_version_writes_is_not_called_broken(dsn: str) -> None:
    index = await index_of(dsn, id_of("small 3"), "posted")
    later = (b'"kind":"transfer.posted","legs"', b'"kind":"transfer.pledged","limbs"')
    await rewrite_records(dsn, {index: later})
    await tamper(dsn, f"UPDATE ledger.journal SET kind = 'transfer.pledged' WHERE journal_index = {index}")
    with pytest.raises(CannotVerify, match=f"record {index} is of kind transfer.pledged, unknown to this version"):
        await verify(dsn)


async def test_a_record_spelled_in_another_way_is_named_though_its_hashes_fit(dsn: str) -> None:
    index = await index_of(dsn, id_of("small 3"), "posted")
    written = await fetch(
        dsn, "SELECT convert_from(record, 'UTF8') FROM ledger.journal WHERE journal_index = $1", index
    )
    await rewrite_records(dsn, {index: (b'"code":""', b'"code" : ""')})
    found = await verify(dsn)
    spelled = written.replace('"code":""', '"code" : ""')
    assert seen(found, "journal") == [("record_altered", f"0/{index}", [("record", spelled, written)])]
    assert [one.detail for one in found.findings] == ["it is spelled in another way than the ledger spells"]


async def test_a_time_before_that_of_the_record_before_it_is_named_with_what_it_made(dsn: str) -> None:
    index = await index_of(dsn, id_of("small 3"), "posted")
    before, time = await time_of(dsn, index - 1), await time_of(dsn, index)
    early = "2020-01-01T00:00:00.000000Z"
    await rewrite_records(dsn, {index: (f'"time":"{time}"'.encode(), f'"time":"{early}"'.encode())})
    found = await verify(dsn)
    assert seen(found, "journal") == [("timestamp_backwards", f"0/{index}", [("time", early, f"{before} or later")])]
    ((kind, row, ((field, stored, computed),)),) = seen(found, "transfers")
    assert (kind, row, field) == ("record_altered", id_of("small 3"), "changed_at")
    assert float(stored) > float(computed) == 1_577_836_800
    assert {(one[0], one[2][0][0], one[2][0][2]) for one in seen(found, "entries")} == {
        ("entry_altered", "posted_at", computed)
    }


@pytest.mark.parametrize("signed", [("size",), ("root",), ("size", "root")], ids="-".join)
async def test_what_the_key_has_signed_has_to_be_the_tree_that_the_records_make(
    dsn: str, signed: tuple[str, ...]
) -> None:
    """Signed with the ledger's own key: a stolen key is no way to another past."""
    size, root = await fetch(dsn, SIZE), await fetch(dsn, f"SELECT root FROM ledger.blocks WHERE size = ({SIZE})")
    false = Checkpoint(ORIGIN, size - 1 if "size" in signed else size, bytes(32) if "root" in signed else root)
    note = sign_note(false.text(), ORIGIN, KEY)
    await tamper(dsn, f"UPDATE ledger.checkpoints SET note = '{note}' WHERE size = {size}")
    found = await verify(dsn)
    differing = {"size": ("size", str(size - 1), str(size)), "root": ("root", bytes(32).hex(), root.hex())}
    assert seen(found, "checkpoints") == [("checkpoint_forged", f"0/{size}", [differing[name] for name in signed])]
    assert len(found.findings) == 1
    assert (found.findings[0].stored_hash, found.findings[0].computed_hash) == (false.root.hex(), root.hex())
