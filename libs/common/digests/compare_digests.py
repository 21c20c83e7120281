"""Find the ids of which two services say different things: coarse digests first, then only what differs."""

from typing import Final, NamedTuple, Protocol

from libs.common.digests.digest_table import PREFIX_DIGITS, ROWS_MAX, Group

_FEW: Final = 2_000
"""A group of so few is compared row by row at once: finer digests would cost more than they spare."""


class Side(Protocol):
    """One service's digests, here or over there."""

    async def groups(self, prefix: str, digits: int, upto: str) -> dict[str, Group]:
        """Return the digests of the groups below the prefix."""
        ...

    async def rows(self, prefix: str, upto: str) -> dict[str, str]:
        """Return id → what is said of it, below the prefix."""
        ...


class Disagreement(NamedTuple):
    """An id and what each says of it; None when a side does not know it."""

    id: str
    ours: str | None
    theirs: str | None


class Compared(NamedTuple):
    """What was found. `rows` is how many ids we have; `is_cut` that there are more differences than these."""

    rows: int
    found: list[Disagreement]
    is_cut: bool


async def compare_digests(ours: Side, theirs: Side, *, upto: str, found_max: int) -> Compared:
    """Compare all ids up to this one, and stop when `found_max` differ. Theirs is asked first, ours last.

    What changes meanwhile shows up as a difference: the caller looks at those again.
    """
    coarse = PREFIX_DIGITS[0]
    there, here = await theirs.groups("", coarse, upto), await ours.groups("", coarse, upto)
    rows = sum(group.rows for group in here.values())
    found: list[Disagreement] = []
    waiting = _differing(here, there)
    while waiting:
        prefix, size = waiting.pop()
        finer = [digits for digits in PREFIX_DIGITS if digits > len(prefix)]
        if finer and size > _FEW:
            there, here = await theirs.groups(prefix, finer[0], upto), await ours.groups(prefix, finer[0], upto)
            waiting += _differing(here, there)
            continue
        found += await _compare_rows(ours, theirs, prefix, upto)
        if len(found) > found_max:
            return Compared(rows, found[:found_max], is_cut=True)
        if size > ROWS_MAX:
            return Compared(rows, found, is_cut=True)
    return Compared(rows, found, is_cut=False)


def _differing(here: dict[str, Group], there: dict[str, Group]) -> list[tuple[str, int]]:
    """Return (prefix, rows on the larger side) of the groups that differ, the newest last."""
    nothing = Group(0, "0")
    return [
        (prefix, max(here.get(prefix, nothing).rows, there.get(prefix, nothing).rows))
        for prefix in sorted(here.keys() | there.keys())
        if here.get(prefix, nothing) != there.get(prefix, nothing)
    ]


async def _compare_rows(ours: Side, theirs: Side, prefix: str, upto: str) -> list[Disagreement]:
    there, here = await theirs.rows(prefix, upto), await ours.rows(prefix, upto)
    return [
        Disagreement(id_, here.get(id_), there.get(id_))
        for id_ in sorted(here.keys() | there.keys())
        if here.get(id_) != there.get(id_)
    ]
