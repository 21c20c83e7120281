"""Digests find every id of which two sides say different things, and ask for little else."""

from collections.abc import Mapping
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from libs.common.digests import compare_digests as module
from libs.common.digests.compare_digests import Disagreement, compare_digests
from libs.common.digests.digest_table import LAST_ID, ROWS_MAX, Group

IDS = st.uuids().map(str)
SAID = st.sampled_from(["", "posted|1", "held|1"])


class Said:
    """One side, in memory."""

    def __init__(self, said: Mapping[str, str]) -> None:
        self.said = said
        self.asked_rows: list[str] = []

    async def groups(self, prefix: str, digits: int, upto: str) -> dict[str, Group]:
        found: dict[str, list[str]] = {}
        for id_, text in self.said.items():
            name = id_.replace("-", "")
            if name.startswith(prefix) and id_ <= upto:
                found.setdefault(name[:digits], []).append(text)
        return {name: Group(len(texts), str(sum(map(_number, texts)))) for name, texts in found.items()}

    async def rows(self, prefix: str, upto: str) -> dict[str, str]:
        self.asked_rows.append(prefix)
        rows = {id_: text for id_, text in self.said.items() if id_.replace("-", "").startswith(prefix) and id_ <= upto}
        return dict(sorted(rows.items())[:ROWS_MAX])


def _number(text: str) -> int:
    return int(sha256(text.encode()).hexdigest()[:15], 16)


def different(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[Disagreement]:
    return [
        Disagreement(id_, ours.get(id_), theirs.get(id_))
        for id_ in sorted(ours.keys() | theirs.keys())
        if ours.get(id_) != theirs.get(id_)
    ]


@given(st.dictionaries(IDS, SAID, max_size=20), st.dictionaries(IDS, SAID, max_size=4), st.data())
async def test_exactly_what_differs_is_found(ours: dict[str, str], others: dict[str, str], data: st.DataObject) -> None:
    forgotten = data.draw(st.sets(st.sampled_from(sorted(ours)))) if ours else set()
    theirs = {id_: text for id_, text in ours.items() if id_ not in forgotten} | others
    compared = await compare_digests(Said(ours), Said(theirs), upto=LAST_ID, found_max=100)
    assert sorted(compared.found) == different(ours, theirs)
    assert (compared.rows, compared.is_cut) == (len(ours), False)


async def test_one_difference_among_many_is_found_without_reading_the_others() -> None:
    ours = {
        f"0198c2f0-{group:02x}00-7000-8000-{number:012x}": "posted|1" for group in range(4) for number in range(1_000)
    }
    changed = "0198c2f0-0200-7000-8000-000000000007"
    there = Said(ours | {changed: "held|1"})
    compared = await compare_digests(Said(ours), there, upto=LAST_ID, found_max=100)
    assert compared.found == [Disagreement(changed, "posted|1", "held|1")]
    assert there.asked_rows == ["0198c2f002"]


async def test_ids_above_the_bound_are_left_out() -> None:
    bound, above = "0198c2f0-0000-7000-8000-000000000000", "0198c2f0-0000-7000-8000-000000000001"
    compared = await compare_digests(Said({bound: "", above: ""}), Said({}), upto=bound, found_max=100)
    assert [found.id for found in compared.found] == [bound]


async def test_more_differences_than_asked_for_are_cut_and_said_to_be() -> None:
    ours = {f"0198c2f0-0000-7000-8000-{number:012x}": "" for number in range(module._FEW)}
    compared = await compare_digests(Said(ours), Said({}), upto=LAST_ID, found_max=5)
    assert (len(compared.found), compared.is_cut) == (5, True)
