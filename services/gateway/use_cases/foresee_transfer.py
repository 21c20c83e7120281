"""Say what would become of a transfer now: fraud's verdict and the ledger's outcome, without either being written.

Nothing is kept here either: a dry run has no idempotency key, and the real request may be answered otherwise.
"""

from typing import Final

import httpx2
import msgspec

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.ledger import TransferChanged
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.gateway.domain.outcomes import Outcome
from services.gateway.use_cases.prepare_transfer import Draft
from services.gateway.use_cases.project_outcomes import outcome_of

_TIMEOUT: Final = httpx2.Timeout(5.0, connect=2.0)
_PATH: Final = "/internal/dry-runs"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(TransferChanged).decode


class ForeseeTransfer:
    """Asks fraud, then the ledger with fraud's verdict, as the messages of a real transfer would go."""

    def __init__(
        self, fraud: httpx2.AsyncClient, ledger: httpx2.AsyncClient, *, internal_token: str, clock: Clock
    ) -> None:
        """Take clients at the two services' addresses."""
        self._fraud = fraud
        self._ledger = ledger
        self._headers = {"X-Internal-Token": internal_token}
        self._clock = clock

    async def __call__(self, draft: Draft) -> Outcome:
        """Return what would become of it. Raises: Unavailable."""
        command = draft.command(new_id(), to_rfc3339(self._clock()))
        screening = await self._ask(self._fraud, _encode(command))
        return outcome_of(_decode(await self._ask(self._ledger, screening)))

    async def _ask(self, client: httpx2.AsyncClient, body: bytes) -> bytes:
        try:
            answer = await client.post(_PATH, content=body, headers=self._headers, timeout=_TIMEOUT)
            answer.raise_for_status()
        except httpx2.HTTPError as failure:
            raise Unavailable("service_unavailable", "A service that has to be asked does not answer.") from failure
        return answer.content
