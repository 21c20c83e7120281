"""The proof, second half: the books as the database holds them, recomputed and compared across services."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from libs.common.clock import monotonic_seconds
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.audit.findings import Verification
from services.ledger.domain.reconciliation import Reconciliation
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.reconciliation.run import reconcile
from tallystick.stack.stack_file import Stack

_SUMS: Final = "SELECT asset, sum(posted_minor) FROM ledger.accounts GROUP BY asset ORDER BY asset"
_DIFFERENCES_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Books:
    """What the database says of itself. `sums_minor` per asset, over all accounts of the ledger."""

    sums_minor: Mapping[str, int]
    verification: Verification
    reconciled: Reconciliation

    @property
    def checks(self) -> int:
        """Return how many comparisons within and between the services were made."""
        return sum(not one.skipped for one in self.reconciled.outcomes)

    @property
    def differences(self) -> list[str]:
        """Return the first of what is not as it should be, in sentences."""
        found = [f"{finding.kind}: {finding.detail}" for finding in self.verification.findings]
        found += [
            f"{one.name}: {found.subject}: {found.text}"
            for one in self.reconciled.outcomes
            for found in one.differences
        ]
        return found[:_DIFFERENCES_SHOWN_MAX]


async def check_books(stack: Stack, vkeys_text: str) -> Books:
    """Sum up, recompute the journal with the keys given, and compare what the services say of the same money."""
    connection = await asyncpg.connect(
        stack.postgres, timeout=10, server_settings={"application_name": "tallystick-demo"}
    )
    try:
        sums_minor = {row[0]: int(row[1]) for row in await connection.fetch(_SUMS)}
    finally:
        await connection.close()
    return Books(
        sums_minor=sums_minor,
        verification=await verify_ledger(stack.postgres, parse_vkeys(vkeys_text), monotonic_seconds=monotonic_seconds),
        reconciled=await reconcile(stack.postgres, stack),
    )
