"""What every process is told of credentials; the processes of accounts ask here themselves."""

from datetime import datetime, timedelta
from typing import Final

from libs.common.clock import Clock, from_rfc3339, to_rfc3339
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Unprocessable
from libs.common.http.api_keys import KeyFacts
from libs.common.http.credential_owner import RevokedPage
from libs.common.http.revocations import KEPT_SECONDS
from libs.common.ids import is_id
from services.accounts.store.api_keys import find_living_key
from services.accounts.store.revocations import Place, read_revocations

_PAGE: Final = 5_000
_LOWEST_ID: Final = "00000000-0000-0000-0000-000000000000"


class TellCredentials:
    """Answers as `CredentialOwner` asks."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it reads with."""
        self._uow = uow
        self._clock = clock

    async def revoked(self, *, since: str, after: str) -> RevokedPage:
        """Return a page of revocations. Raises: Unprocessable `invalid_request`, Unavailable."""
        now = self._clock()
        place = _place(after) if after else (_moment(since, now - timedelta(seconds=KEPT_SECONDS)), _LOWEST_ID)
        async with self._uow.begin() as tx:
            page, behind = await read_revocations(tx.connection, place, _PAGE)
        next_after = f"{to_rfc3339(behind[0])}/{behind[1]}" if behind else ""
        return RevokedPage(as_of=to_rfc3339(now), revocations=list(page), next_after=next_after)

    async def find_key(self, key_id: str, secret_sha256: str) -> KeyFacts | None:
        """Return what a living key with this secret is worth, and note that it is in use. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            return await find_living_key(tx.connection, key_id, secret_sha256, self._clock())

    async def close(self) -> None:
        """Its connections belong to the unit of work."""


def _place(text: str) -> Place:
    moment, _, revocation_id = text.partition("/")
    if not is_id(revocation_id):
        raise _not_understood()
    return _moment(moment, None), revocation_id


def _moment(text: str, default: datetime | None) -> datetime:
    if not text and default is not None:
        return default
    try:
        return from_rfc3339(text)
    except ValueError as failure:
        raise _not_understood() from failure


def _not_understood() -> Unprocessable:
    return Unprocessable("invalid_request", "Send what the page before said.")
