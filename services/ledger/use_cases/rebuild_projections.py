"""Have what others show of the ledger told again, from the journal. No balance, entry or record is touched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from libs.common.digests.distant_digests import Neighbour
from services.ledger.domain.reconciliation import Difference
from services.ledger.store.rebuilding import leave_to_be_told, load_answers, load_openings, load_states
from services.ledger.use_cases.compare_projections import CompareProjections, Comparison

_CLOSED: Final = "|closed"


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair would do. `left` is what it cannot mend, with the reason."""

    forgotten: list[str] = field(default_factory=list)
    """Transfers and commands of which the gateway gives up what it shows, because it is not what the journal says."""
    told_transfers: list[str] = field(default_factory=list)
    """Transfers whose states the ledger tells again."""
    told_commands: list[str] = field(default_factory=list)
    """Commands whose answers the ledger tells again."""
    told_accounts: list[str] = field(default_factory=list)
    """Accounts of which the ledger says again that they are open."""
    left: list[Difference] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing it would do."""
        return not (self.forgotten or self.told_transfers or self.told_commands or self.told_accounts)


class RebuildProjections:
    """Plans a repair by comparing, and does it when told. Idempotent by: the versions that hearers drop."""

    def __init__(self, dsn: str, compare: CompareProjections, neighbours: Mapping[str, Neighbour]) -> None:
        """`dsn` is a role's that may write the ledger's outbox."""
        self._dsn = dsn
        self._compare = compare
        self._neighbours = neighbours

    async def plan(self, *, upto: str, grace_seconds: float) -> RepairPlan:
        """Return what would be done about each disagreement. Raises: Unavailable when a neighbour does not answer."""
        plan = RepairPlan()
        for comparison, compared in await self._compare.all_disagreements(upto=upto, grace_seconds=grace_seconds):
            for found in compared.found:
                _decide(plan, comparison, found.id, ours=found.ours, theirs=found.theirs)
        return plan

    async def carry_out(self, plan: RepairPlan) -> None:
        """Do it. Emits, through the ledger's outbox: TransferChanged, CommandDecided, LedgerAccountOpened.

        Raises: Unavailable; asyncpg.PostgresError.
        """
        if plan.forgotten:
            await self._neighbours["gateway"].forget("outcomes", plan.forgotten)
        connection = await asyncpg.connect(
            self._dsn, timeout=10, server_settings={"application_name": "ledger-rebuilding"}
        )
        try:
            messages = await load_states(connection, plan.told_transfers)
            messages += await load_answers(connection, plan.told_commands)
            messages += await load_openings(connection, plan.told_accounts)
            await leave_to_be_told(connection, messages)
        finally:
            await connection.close()


def _decide(plan: RepairPlan, comparison: Comparison, id_: str, *, ours: str | None, theirs: str | None) -> None:
    table = comparison.table
    match table:
        case "outcomes" | "commands":
            if theirs is not None:
                plan.forgotten.append(id_)
            if ours is not None:
                (plan.told_transfers if table == "outcomes" else plan.told_commands).append(id_)
        case "accounts" if theirs is None and ours is not None and not ours.endswith(_CLOSED):
            plan.told_accounts.append(id_)
        case "accounts":
            plan.left.append(Difference(id_, "accounts owns who has an account; a person has to look at both"))
        case _ if not comparison.rows:
            said = f"{comparison.owner} tells it again at the next change; nothing is guessed until then"
            plan.left.append(Difference(id_, said))
        case _ if ours is None:
            plan.left.append(Difference(id_, "undecided: the gateway asks again by itself, see its repeats"))
        case _:
            plan.left.append(Difference(id_, "decided, and the gateway has no request for it: somebody has to ask why"))


def sentences(plan: RepairPlan) -> Sequence[str]:
    """Return what the plan does, for a person who is asked for leave."""
    return [
        f"{len(plan.forgotten)} transfer(s) or command(s): the gateway gives up what the journal does not say",
        f"{len(plan.told_transfers)} transfer(s): the ledger tells every state again, from the journal",
        f"{len(plan.told_commands)} command(s): the ledger tells its answer again, from the journal",
        f"{len(plan.told_accounts)} account(s): the ledger says again that they are open",
        f"{len(plan.left)} difference(s) are left: no projection is their cause",
    ]
