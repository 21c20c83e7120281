import json
from dataclasses import replace

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from libs.common.proof.canonical_json import canonical, parse_canonical
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.signed_note import open_note, parse_vkeys
from libs.common.proof.tree_head import TreeHead
from services.ledger.domain.engine import decide
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import (
    AccountRecord,
    CommandRecord,
    JournalRecord,
    RecordFee,
    RecordLeg,
    TransferRecord,
    command_legs,
    decode_record,
    decode_transfer_record,
    encode_record,
    record_legs,
)
from services.ledger.use_cases.record_decisions import Signer, record_decisions
from tests.support.ledger_builders import NOW, account, held, leg, resolved, screened

SIGNER = Signer("ledger.example/test", Ed25519PrivateKey.generate())
EMPTY = JournalHead(0, bytes(32), "", TreeHead.empty())
integers = st.integers(0, 2**53 - 1)
# Records hold ids, codes, times and hex; quotes and backslashes are here to show that escaping agrees as well.
plain = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
NUMBERS = {"index": integers, "shard": integers}
legs = st.lists(st.builds(RecordLeg, integers, plain, plain, plain), max_size=3)
fees = st.lists(st.builds(RecordFee, plain, integers, integers), max_size=2)
amounts = st.lists(integers, max_size=2).map(tuple)
transfer_records = st.builds(
    TransferRecord,
    **dict.fromkeys(("actor_id", "code", "command_id", "decision_id", "expires_at", "kind", "memo_commitment"), plain),
    **dict.fromkeys(("requested_at", "reverses", "time", "transfer_id", "transfer_kind", "verdict"), plain),
    **dict.fromkeys(("fee_minor", "fee_schedule", "index", "ruleset", "shard", "version"), integers),
    **dict.fromkeys(("captured_minor", "reversed_minor"), amounts),
    fees=fees,
    legs=legs,
    reasons=st.lists(plain, max_size=2).map(tuple),
    resolver=st.sampled_from(["", "caller", "fraud"]),
)
records = (
    transfer_records
    | st.builds(CommandRecord, **dict.fromkeys(CommandRecord.__struct_fields__, plain) | NUMBERS)
    | st.builds(
        AccountRecord,
        **dict.fromkeys(AccountRecord.__struct_fields__, plain)
        | NUMBERS
        | {
            "account_status": st.sampled_from(["active", "closed"]),
            "minimum_minor": integers,
            "maximum_minor": integers,
        },
    )
)
KINDS = {TransferRecord: "transfer.posted", CommandRecord: "command.refused", AccountRecord: "account.changed"}


@given(records)
def test_a_record_is_canonical_as_it_is_encoded(record: JournalRecord) -> None:
    text = encode_record(record)
    assert text == canonical(json.loads(text))
    assert parse_canonical(text) == msgspec.json.decode(text)
    assert decode_record(text, KINDS[type(record)]) == record


def test_what_a_record_learned_later_is_left_out_while_it_says_nothing() -> None:
    part = leg("alice", "bob", 10)
    accounts = {each.account_id: each for each in (account("alice", 100), account("bob"))}
    decisions = decide([screened("t", part)], accounts=accounts, known={}, first_index=0, now=NOW)
    (text,) = record_decisions(decisions, head=EMPTY, now=NOW, shard=0, signer=SIGNER).records
    later = {"captured_minor", "command_id", "expires_at", "fee_minor", "fee_schedule", "fees", "resolver", "reverses"}
    assert not later & json.loads(text).keys()


def test_legs_survive_the_record_except_for_whom_they_were_screened() -> None:
    part = leg("alice", "bob", 5)
    assert command_legs(record_legs([part])) == (msgspec.structs.replace(part, destination_owner_id=""),)


def test_records_are_chained_counted_and_signed() -> None:
    part = leg("alice", "bob", 10)
    accounts = {each.account_id: each for each in (account("alice", 100), account("bob"))}
    decisions = decide(
        [screened("t", part), held("h", part), resolved("h", part)], accounts=accounts, known={}, first_index=0, now=NOW
    )
    sealed = record_decisions(decisions, head=EMPTY, now=NOW, shard=0, signer=SIGNER)
    said = [decode_transfer_record(text) for text in sealed.records]
    assert [(record.index, record.kind, record.verdict, record.version) for record in said] == [
        (0, "transfer.posted", "approve", 1),
        (1, "transfer.held", "hold", 1),
        (2, "transfer.posted", "release", 2),
    ]
    assert len({record.index for record in said}) == len(sealed.records)
    assert sealed.after.chain_hash == sealed.chain[-1]
    checkpoint = Checkpoint.parse(open_note(sealed.note, parse_vkeys(SIGNER.vkey)))
    assert (checkpoint.size, checkpoint.root) == (3, sealed.after.tree.root)


def test_two_batches_make_the_chain_and_tree_of_one() -> None:
    part = leg("alice", "bob", 1)
    accounts = {each.account_id: each for each in (account("alice", 500), account("bob"))}
    commands = [screened(f"t{number}", part) for number in range(300)]
    whole = decide(commands, accounts=accounts, known={}, first_index=0, now=NOW)
    together = record_decisions(whole, head=EMPTY, now=NOW, shard=0, signer=SIGNER)
    head = EMPTY
    for start, end in ((0, 1), (1, 257), (257, 300)):
        some = replace(whole, changes=whole.changes[start:end])
        head = record_decisions(some, head=head, now=NOW, shard=0, signer=SIGNER).after
    assert head == together.after
