"""Credentials were revoked: from the tip, in every process that verifies them."""

from collections.abc import Sequence

import msgspec
import structlog

from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.http.revocations import Revocations
from libs.common.messaging.batched_record import UNREADABLE
from libs.common.messaging.records import Glimpse

log = structlog.get_logger()

_decode = msgspec.json.Decoder(CredentialsRevoked).decode


class OnCredentialsRevoked:
    """Remembers each; what cannot be read is passed over, because the owner is asked as well."""

    def __init__(self, revocations: Revocations) -> None:
        """Remember there."""
        self._revocations = revocations

    def __call__(self, glimpses: Sequence[Glimpse]) -> None:
        """Take them in."""
        for key, payload in glimpses:
            try:
                self._revocations.take(_decode(payload))
            except (*UNREADABLE, ValueError) as failure:
                log.warning("revocation_not_understood", key=key, cause=str(failure))
