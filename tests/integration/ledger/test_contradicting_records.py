"""Records rewritten together with all hashes and signed again with the ledger's key: they still have to agree."""

from tests.integration.ledger.ruin import index_of, rewrite_records, seen, verify
from tests.support.ledger_builders import id_of

NO_HOLD = "1: the records before know no such hold"


async def test_a_post_of_a_hold_that_never_began_is_named(dsn: str) -> None:
    index = await index_of(dsn, id_of("small 3"), "posted")
    await rewrite_records(dsn, {index: (b'"version":1', b'"version":2')})
    found = await verify(dsn)
    assert seen(found, "journal") == [("record_altered", f"0/{index}", [("version", "2", NO_HOLD)])]
    assert seen(found, "transfers") == [("record_altered", id_of("small 3"), [("version", "1", "2")])]


async def test_a_void_of_a_hold_that_is_over_is_named(dsn: str) -> None:
    index = await index_of(dsn, id_of("c6"), "voided")
    await rewrite_records(dsn, {index: (id_of("c6").encode(), id_of("c3").encode())})
    found = await verify(dsn)
    assert ("record_altered", f"0/{index}", [("version", "2", NO_HOLD)]) in seen(found, "journal")
    # What the void gave back stays reserved.
    pending = [
        (field, int(computed) - int(stored))
        for kind, row, differing in seen(found, "accounts")
        for field, stored, computed in differing
        if (kind, row) == ("balance_altered", id_of("alice"))
    ]
    assert pending == [("pending_out_minor", 600 + 400)]


async def test_a_capture_that_sums_up_to_another_amount_than_the_captures_is_named(dsn: str) -> None:
    index = await index_of(dsn, id_of("c1"), "captured")
    await rewrite_records(dsn, {index: (b'"captured_minor":[100,0]', b'"captured_minor":[101,0]')})
    found = await verify(dsn)
    assert seen(found, "journal") == [("record_altered", f"0/{index}", [("captured_minor", "(101, 0)", "(100, 0)")])]
    assert len(found.findings) == 1


async def test_a_state_missing_among_those_of_a_transfer_is_named_on_both_sides(dsn: str) -> None:
    second, third = await index_of(dsn, id_of("c1"), "captured"), await index_of(dsn, id_of("c1"), "posted")
    await rewrite_records(dsn, {second: (b'"version":2', b'"version":5')})
    found = await verify(dsn)
    assert seen(found, "journal") == [
        ("sequence_gap", f"0/{second}", [("version", "5", "2")]),
        ("sequence_gap", f"0/{third}", [("version", "3", "6")]),
    ]
    assert {one.transfer_id for one in found.findings} == {id_of("c1")}
    assert {one.parties for one in found.findings} == {(id_of("alice"), id_of("bob"), id_of("carol"))}
