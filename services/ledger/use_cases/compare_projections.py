"""Compare what services were told with who told it, the ledger above all, by the digests that they publish."""

import asyncio
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
_SECOND_LOOK_SECONDS_MAX: Final = 5.0


class Comparison(NamedTuple):
    """A promise between who owns a truth and a neighbour who was told of it.

    `rows` is the ledger's side of it; without them `owner` is another neighbour, which publishes it by the same name.
    """

    name: str
    promise: str
    neighbour: str
    table: str
    rows: str = ""
    owner: str = "ledger"


THINGS: Final = {
    "requests": "transfers",
    "outcomes": "transfers",
    "commands": "commands",
    "accounts": "accounts",
    "owners": "accounts",
    "profiles": "customers",
    "tiers": "customers",
    "verifications": "customers",
}
"""table of a comparison → what its ids are ids of"""
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
        "an account has the same owner, asset, number and state in accounts and in the books",
        "accounts",
        "accounts",
        ACCOUNTS_SAID,
    ),
    *(
        Comparison(
            f"{hearer}_knows_{table}", f"{hearer} knows of {about} what {owner} says", hearer, table, owner=owner
        )
        for hearer, table, about, owner in (
            ("gateway", "owners", "each account's owner", "accounts"),
            ("fraud", "owners", "each account's owner", "accounts"),
            ("gateway", "profiles", "each customer's limit profile", "accounts"),
            ("fraud", "profiles", "each customer's limit profile", "accounts"),
            ("gateway", "tiers", "each customer's tier", "kyc"),
            ("fraud", "verifications", "each customer's verification", "kyc"),
        )
    ),
)
NEIGHBOURS: Final = ("gateway", "accounts", "fraud", "kyc")


class CompareProjections:
    """Asks the neighbours. One that does not answer, or is not known, is skipped and named."""

    def __init__(self, looking: Looking, neighbours: Mapping[str, Neighbour]) -> None:
        """Take the neighbours by name, those of `NEIGHBOURS` that have an address."""
        self._looking = looking
        self._neighbours = neighbours
        # Nobody is asked twice at once; but whatever needs a second look waits for it together.
        self._one_look = asyncio.Lock()

    async def __call__(self, *, upto: str, grace_seconds: float) -> list[Outcome]:
        """Compare ids up to this one; what changed within the grace may still be on its way."""
        outcomes = await asyncio.gather(*(self._answer(one, upto, grace_seconds) for one in COMPARISONS))
        return [*outcomes, *[await self._unsent(name) for name in NEIGHBOURS]]

    async def all_disagreements(self, *, upto: str, grace_seconds: float) -> list[tuple[Comparison, Compared]]:
        """Return for each comparison that can be made what differs and is not on its way. Raises: Unavailable."""
        known = [comparison for comparison in COMPARISONS if not self._unknown(comparison)]
        found = await asyncio.gather(*(self._disagreements(one, upto, grace_seconds) for one in known))
        return list(zip(known, found, strict=True))

    async def _disagreements(self, comparison: Comparison, upto: str, grace_seconds: float) -> Compared:
        compared = await self._look(comparison, upto)
        if not compared.found:
            return compared
        if comparison.rows:
            ids = [found.id for found in compared.found]
            fresh = await self._looking.lately_changed(comparison.table, ids, grace_seconds)
            return compared._replace(found=[found for found in compared.found if found.id not in fresh])
        # When that changed is known over there alone: what was on its way has arrived at a second look.
        await asyncio.sleep(min(grace_seconds, _SECOND_LOOK_SECONDS_MAX))
        again = await self._look(comparison, upto)
        return again._replace(found=[found for found in again.found if found in compared.found])

    async def _look(self, comparison: Comparison, upto: str) -> Compared:
        ours: Side = (
            DigestTable(self._looking.connect, comparison.rows)
            if comparison.rows
            else self._neighbours[comparison.owner].digests(comparison.table)
        )
        theirs = self._neighbours[comparison.neighbour].digests(comparison.table)
        async with self._one_look:
            return await compare_digests(ours, theirs, upto=upto, found_max=_FOUND_MAX)

    def _unknown(self, comparison: Comparison) -> str:
        """Return who of the two has no address; nothing when both can be asked."""
        asked = (comparison.neighbour,) if comparison.rows else (comparison.owner, comparison.neighbour)
        return next((name for name in asked if name not in self._neighbours), "")

    async def _answer(self, comparison: Comparison, upto: str, grace_seconds: float) -> Outcome:
        unknown = self._unknown(comparison)
        if unknown:
            return Outcome(comparison.name, comparison.promise, f"no address of {unknown} is known")
        try:
            compared = await self._disagreements(comparison, upto, grace_seconds)
        except Unavailable as silent:
            return Outcome(comparison.name, comparison.promise, silent.detail)
        return Outcome(
            comparison.name,
            comparison.promise,
            differences=[_difference(found, comparison) for found in compared.found],
            is_cut=compared.is_cut,
            compared=compared.rows,
            things=THINGS[comparison.table],
        )

    async def _unsent(self, name: str) -> Outcome:
        check, promise = f"{name}_outbox", f"{name} has told the bus everything it committed"
        if name not in self._neighbours:
            return Outcome(check, promise, f"no address of {name} is known")
        try:
            unsent = await self._neighbours[name].unsent()
        except Unavailable as silent:
            return Outcome(check, promise, silent.detail)
        differences = [Difference(name, f"{unsent} rows unsent")] if unsent else []
        return Outcome(check, promise, differences=differences, compared=unsent, things="rows unsent")


def _difference(found: Disagreement, comparison: Comparison) -> Difference:
    ours = "knows nothing of it" if found.ours is None else f"says {found.ours or 'it is there'}"
    theirs = "knows nothing of it" if found.theirs is None else f"says {found.theirs or 'it is there'}"
    owner = "the ledger" if comparison.rows else comparison.owner
    return Difference(found.id, f"{owner} {ours}, {comparison.neighbour} {theirs}")
