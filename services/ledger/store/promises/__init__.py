"""What must be true in the ledger's own tables, as SQL: each statement finds what breaks one promise."""

from typing import Final

from services.ledger.store.promises.balances import BALANCES
from services.ledger.store.promises.counted import COUNTED
from services.ledger.store.promises.holds import HOLDS
from services.ledger.store.promises.journal import JOURNAL
from services.ledger.store.promises.promise import Promise

PROMISES: Final[tuple[Promise, ...]] = (*BALANCES, *HOLDS, *JOURNAL)

__all__ = ["COUNTED", "PROMISES"]
