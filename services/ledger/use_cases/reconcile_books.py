"""Compare everything the system says of the same money. Nothing is changed."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import structlog

from libs.common.clock import Clock, to_rfc3339
from libs.common.digests.digest_table import LAST_ID
from libs.common.ids import first_id_at, new_id
from services.ledger.domain.reconciliation import Outcome, Reconciliation, Scope
from services.ledger.store.promises import PROMISES
from services.ledger.store.promises.promise import Promise
from services.ledger.store.reconciling import Looking, Snapshot
from services.ledger.use_cases.compare_projections import CompareProjections

GRACE_SECONDS: Final = 15.0
"""What changed within this time may still be on its way to the others."""

log = structlog.get_logger()


def nobody(_name: str, _done: int, _of: int) -> None:
    """Tell nobody of the progress."""


class ReconcileBooks:
    """Looks at the ledger's own tables in one snapshot, then asks the neighbours.

    Raises: asyncpg.PostgresError or OSError when the database cannot be read.
    """

    def __init__(self, looking: Looking, compare: CompareProjections, clock: Clock) -> None:
        """Take what it reads with."""
        self._looking = looking
        self._compare = compare
        self._clock = clock

    async def __call__(
        self,
        scope: Scope,
        *,
        account_id: str = "",
        run_id: str = "",
        grace_seconds: float = GRACE_SECONDS,
        progress: Callable[[str, int, int], None] = nobody,
    ) -> Reconciliation:
        """Run one reconciliation; without an id it gets a new one.

        `progress` hears each promise's name, how many are done and how many there are.
        """
        began_at = self._clock()
        promises = _promises_of(scope)
        async with self._looking.snapshot() as snapshot:
            size, balances = await snapshot.size(), await snapshot.balances()
            snapshot_at, standing = await snapshot.taken_at(), await snapshot.standing()
            exponents = await snapshot.exponents()
            accounts = [account_id] if account_id else await _sampled(snapshot, scope)
            outcomes: list[Outcome] = []
            if account_id:
                outcomes.append(_known(account_id, is_known=await snapshot.knows(account_id)))
            for number, promise in enumerate(promises):
                progress(promise.name, number, len(promises) + 1)
                outcomes.append(await snapshot.look(promise, accounts, grace_seconds, exponents))
        if scope == "all":
            progress("neighbours", len(promises), len(promises) + 1)
            upto = first_id_at(began_at - timedelta(seconds=grace_seconds)) if grace_seconds else LAST_ID
            outcomes += await self._compare(upto=upto, grace_seconds=grace_seconds)
        ended_at = self._clock()
        return Reconciliation(
            scope=scope,
            account_id=account_id,
            began_at=to_rfc3339(began_at),
            ended_at=to_rfc3339(ended_at),
            grace_seconds=grace_seconds,
            journal_size=size,
            balances=balances,
            outcomes=outcomes,
            run_id=run_id or new_id(),
            snapshot_at=to_rfc3339(snapshot_at),
            exponents=exponents,
            standing=standing,
        )


def _promises_of(scope: Scope) -> Sequence[Promise]:
    match scope:
        case "account":
            return [promise for promise in PROMISES if promise.per_account]
        case "sample":
            return [promise for promise in PROMISES if promise.per_account or promise.quick]
        case _:
            return PROMISES


async def _sampled(snapshot: Snapshot, scope: Scope) -> list[str] | None:
    return await snapshot.sample() if scope == "sample" else None


def _known(account_id: str, *, is_known: bool) -> Outcome:
    skipped = "" if is_known else f"the books have no account {account_id}"
    return Outcome("account_known", "the account is in the books", skipped, compared=1, things="accounts")
