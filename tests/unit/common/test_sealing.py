"""Sealing personal data: under a key of the person's own, which a master key wraps."""

import base64
from pathlib import Path

import pytest

from libs.common.errors import InvariantBroken
from libs.common.personal.master_keys import MasterKeyFile
from libs.common.personal.sealing import Sealer

OLD, NEW = b"o" * 32, b"n" * 32
ADA, BOB = "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f01", "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f02"


def test_what_is_sealed_opens_as_the_same_field_of_the_same_person_alone() -> None:
    sealer = Sealer([OLD])
    key = sealer.new_key(ADA)
    sealed = sealer.seal(key, ADA, "full_name", "Ada Lovelace")
    assert sealer.open(key, ADA, "full_name", sealed) == "Ada Lovelace"
    assert b"Lovelace" not in key + sealed
    for person, field in ((ADA, "email"), (BOB, "full_name")):
        with pytest.raises(InvariantBroken):
            sealer.open(key, person, field, sealed)


def test_one_persons_key_opens_nobody_elses_data() -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal(sealer.new_key(ADA), ADA, "full_name", "Ada")
    with pytest.raises(InvariantBroken):
        sealer.open(sealer.new_key(ADA), ADA, "full_name", sealed)


@pytest.mark.parametrize("place", [0, 15, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    sealer = Sealer([OLD])
    key = sealer.new_key(ADA)
    sealed = bytearray(sealer.seal(key, ADA, "email", "ada@example.com"))
    sealed[place] ^= 1
    with pytest.raises(InvariantBroken) as failure:
        sealer.open(key, ADA, "email", bytes(sealed))
    assert "example" not in str(failure.value)


def test_the_same_text_is_sealed_differently_and_found_by_the_same_hash() -> None:
    sealer = Sealer([OLD])
    key = sealer.new_key(ADA)
    assert sealer.seal(key, ADA, "email", "a@b.example") != sealer.seal(key, ADA, "email", "a@b.example")
    assert sealer.search_hash("a@b.example") == sealer.search_hash("a@b.example")
    assert sealer.search_hash("a@b.example") not in {
        sealer.search_hash("a@c.example"),
        Sealer([NEW]).search_hash("a@b.example"),
    }


def test_a_newer_master_key_wraps_what_the_older_one_did_and_finds_the_same() -> None:
    before, after = Sealer([OLD]), Sealer([NEW, OLD])
    key = before.new_key(ADA)
    sealed = before.seal(key, ADA, "full_name", "Ada")
    assert after.open(key, ADA, "full_name", sealed) == "Ada"
    assert not key.startswith(after.newest_id)
    rewrapped = after.rewrap(key, ADA)
    assert rewrapped.startswith(after.newest_id)
    assert Sealer([NEW]).open(rewrapped, ADA, "full_name", sealed) == "Ada"
    assert after.search_hash("ada@example.com") == before.search_hash("ada@example.com")
    with pytest.raises(InvariantBroken):
        before.open(rewrapped, ADA, "full_name", sealed)


def test_a_process_that_meets_a_key_it_does_not_know_looks_for_it_and_seals_by_it_from_then_on() -> None:
    keys = [OLD]
    running = Sealer([OLD], lambda: keys)
    key = running.new_key(ADA)
    sealed, found_by = running.seal(key, ADA, "full_name", "Ada"), running.search_hash("ada@example.com")
    rewrapped = Sealer([NEW, OLD]).rewrap(key, ADA)
    with pytest.raises(InvariantBroken):
        running.open(rewrapped, ADA, "full_name", sealed)
    keys = [NEW, OLD]
    assert running.open(rewrapped, ADA, "full_name", sealed) == "Ada"
    assert running.new_key(BOB).startswith(Sealer([NEW]).newest_id)
    assert running.open(key, ADA, "full_name", sealed) == "Ada"
    assert running.search_hash("ada@example.com") == found_by


def test_a_row_in_passing_opens_as_itself_alone() -> None:
    sealer = Sealer([NEW, OLD])
    sealed = sealer.seal_in_passing(ADA, b"a mail")
    assert sealer.open_in_passing(ADA, sealed) == b"a mail"
    with pytest.raises(InvariantBroken):
        sealer.open_in_passing(BOB, sealed)
    older = Sealer([OLD]).seal_in_passing(ADA, b"a mail")
    assert Sealer([NEW]).open_in_passing(ADA, sealer.reseal_in_passing(ADA, older)) == b"a mail"


def test_a_file_keeps_one_key_a_line(tmp_path: Path) -> None:
    file = tmp_path / "master.keys"
    file.write_bytes(base64.b64encode(NEW) + b"\n" + base64.b64encode(OLD) + b"\n")
    assert MasterKeyFile(file).load() == [NEW, OLD]


@pytest.mark.parametrize(
    "content", [b"", b"no base64!", base64.b64encode(b"short"), b"\n".join([base64.b64encode(OLD)] * 2)]
)
def test_a_file_without_sound_keys_keeps_the_service_from_starting(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master.keys"
    file.write_bytes(content)
    with pytest.raises(InvariantBroken):
        MasterKeyFile(file).load()
