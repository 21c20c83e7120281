"""Compare the ledger with what its neighbours show of it, by the digests that they publish."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from libs.common.digests.compare_digests import Compared, Disagreement, Side, compare_digests
from libs.common.digests.digest_table import DigestTable
from libs.common.digests.distant_digests import Neighbour
from libs.common.errors import Unavailable
from services.ledger.domain.reconciliation import Difference, Outcome
from services.ledger.store.reconciling import (
    ACCOUNTS_SAID,
    COMMANDS_SAID,
    TRANSFERS_ASKED,
    TRANSFERS_SAID,
    Looking,
)

_FOUND_MAX: Final = 1_000


class Comparison(NamedTuple):
    """A promise between the ledger and a neighbour; `rows` is the ledger's side of it."""

    name: str
    promise: str
    neighbour: str
    table: str
    rows: str


COMPARISONS: Final = (
    Comparison(
        "asked_and_decided",
        "the gateway's requests and the ledger's decisions are about the same transfers",
        "gateway",
        "requests",
        TRANSFERS_ASKED,
    ),
    Comparison(
        "gateway_agrees",
        "the gateway shows of each transfer what the ledger decided last",
        "gateway",
        "outcomes",
        TRANSFERS_SAID,
    ),
    Comparison(
        "answers_agree",
        "the gateway answers each capture, void and change of an account or of fees as the ledger decided it",
        "gateway",
        "commands",
        COMMANDS_SAID,
    ),
    Comparison(
        "accounts_agree",
        "an account has the same owner, asset and number in accounts and in the books, and is open in both or in none",
        "accounts",
        "accounts",
        ACCOUNTS_SAID,
    ),
)


class CompareProjections:
    """Asks the neighbours. One that does not answer, or is not known, is skipped and named."""

    def __init__(self, looking: Looking, neighbours: Mapping[str, Neighbour]) -> None:
        """Take the neighbours by name: `gateway`, `accounts`."""
        self._looking = looking
        self._neighbours = neighbours

    async def __call__(self, *, upto: str, grace_seconds: float) -> list[Outcome]:
        """Compare ids up to this one; what changed within the grace may still be on its way."""
        outcomes = [await self._answer(comparison, upto, grace_seconds) for comparison in COMPARISONS]
        return [*outcomes, *[await self._unsent(name) for name in ("gateway", "accounts")]]

    async def disagreements(self, comparison: Comparison, *, upto: str, grace_seconds: float) -> Compared:
        """Return what differs and is not on its way. Raises: Unavailable; KeyError for a neighbour not known."""
        ours = DigestTable(self._looking.connect, comparison.rows)
        theirs: Side = self._neighbours[comparison.neighbour].digests(comparison.table)
        compared = await compare_digests(ours, theirs, upto=upto, found_max=_FOUND_MAX)
        if not compared.found:
            return compared
        ids = [found.id for found in compared.found]
        fresh = await self._looking.lately_changed(comparison.table, ids, grace_seconds)
        return compared._replace(found=[found for found in compared.found if found.id not in fresh])

    async def _answer(self, comparison: Comparison, upto: str, grace_seconds: float) -> Outcome:
        if comparison.neighbour not in self._neighbours:
            skipped = f"no address of {comparison.neighbour} is known"
            return Outcome(comparison.name, comparison.promise, skipped)
        try:
            compared = await self.disagreements(comparison, upto=upto, grace_seconds=grace_seconds)
        except Unavailable as silent:
            return Outcome(comparison.name, comparison.promise, silent.detail)
        return Outcome(
            comparison.name,
            comparison.promise,
            differences=[_difference(found, comparison.neighbour) for found in compared.found],
            is_cut=compared.is_cut,
            compared=compared.rows,
        )

    async def _unsent(self, name: str) -> Outcome:
        check, promise = f"{name}_outbox", f"{name} has told the bus everything it committed"
        if name not in self._neighbours:
            return Outcome(check, promise, f"no address of {name} is known")
        try:
            unsent = await self._neighbours[name].unsent()
        except Unavailable as silent:
            return Outcome(check, promise, silent.detail)
        return Outcome(check, promise, differences=[Difference(name, f"{unsent} rows unsent")] if unsent else [])


def _difference(found: Disagreement, neighbour: str) -> Difference:
    ours = "knows nothing of it" if found.ours is None else f"says {found.ours or 'it is there'}"
    theirs = "knows nothing of it" if found.theirs is None else f"says {found.theirs or 'it is there'}"
    return Difference(found.id, f"the ledger {ours}, {neighbour} {theirs}")
