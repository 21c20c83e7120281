"""Chain what was collected of the audit logs, and sign it."""

from typing import Final

import asyncpg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.leaf import leaf_of
from libs.common.clock import Clock, to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.proof.checkpoint import Checkpoint
from libs.common.proof.frontier import EMPTY_FRONTIER, Frontier
from libs.common.proof.signed_note import sign_note
from services.gateway.metrics import AUDIT_SEALED, AUDIT_UNSEALED_SECONDS
from services.gateway.store.audit_entries import load_unsealed, unsealed_age_seconds
from services.gateway.store.audit_seals import StoredSeal, load_newest_seal, save_seal, take_lease
from services.gateway.store.seal_witness import SealWitness

log = structlog.get_logger()

_BATCH: Final = 1000
_LEASE_SECONDS: Final = 20.0


class SealAuditLog:
    """Seals in batches, as the only one: by a lease, and by the leaves' primary key should a lease be overrun.

    No process that writes an entry waits for it. The newest seal is kept outside the database as well, where whoever
    cuts off the log's end does not reach it; behind that seal nothing is signed again.
    """

    def __init__(
        self, hot: HotConnection, origin: str, key: Ed25519PrivateKey, witness: SealWitness, clock: Clock
    ) -> None:
        """Sign as this origin."""
        self._hot = hot
        self._origin = origin
        self._key = key
        self._witness = witness
        self._clock = clock
        self._holder = new_id()

    async def __call__(self) -> None:
        """Seal what waits. Commits: leaves and seal together. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            AUDIT_UNSEALED_SECONDS.set(await unsealed_age_seconds(connection))
            if not await take_lease(connection, self._holder, _LEASE_SECONDS):
                return
        while await self._seal_batch() == _BATCH:
            pass

    async def _seal_batch(self) -> int:
        """Return how many entries were sealed."""
        # tidy: allow commit-outside-unit-of-work: it says nothing on the bus
        async with self._hot.transaction() as connection:
            newest = await load_newest_seal(connection)
            tree = EMPTY_FRONTIER if newest is None else Frontier.restored(newest.size, newest.peaks)
            if self._witness.size() > tree.size:
                log.error("audit_log_is_behind_its_seal", size=tree.size, seen=self._witness.size())
                return 0
            entries = await load_unsealed(connection, _BATCH)
            if not entries:
                return 0
            leaves = [leaf_of(entry) for entry in entries]
            seal = self._signed(tree.extended(leaves))
            try:
                await save_seal(
                    connection,
                    first_index=tree.size,
                    entry_ids=[entry.entry_id for entry in entries],
                    leaves=leaves,
                    seal=seal,
                )
            except asyncpg.UniqueViolationError as failure:
                raise Unavailable("audit_sealed_elsewhere", "Another process has sealed meanwhile.") from failure
        self._witness.keep(seal)
        AUDIT_SEALED.inc(len(entries))
        return len(entries)

    def _signed(self, tree: Frontier) -> StoredSeal:
        """Return the seal: a checkpoint with the time of signing in a line below, which verifiers let through."""
        text = Checkpoint(self._origin, tree.size, tree.root).text() + f"{to_rfc3339(self._clock())}\n"
        return StoredSeal(tree.size, tree.stored, sign_note(text, self._origin, self._key))
