"""Which credentials end before they run out: remembered until the longest-lived of them would have run out anyway."""

from collections import OrderedDict
from typing import Final

from libs.common.clock import from_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked

KEPT_SECONDS: Final = 16 * 60.0
"""A minute more than an access token lives."""
_REMEMBERED_MAX: Final = 100_000


class Revocations:
    """The revocations of the last quarter of an hour, in memory; moments are seconds since 1970.

    Bounded: when too many come, the oldest are replaced by a rule that refuses more, never less: whatever was issued
    before them is refused, and whoever holds it refreshes or logs in again.
    """

    def __init__(self) -> None:
        """Begin with nothing revoked."""
        self.are_known = True
        """Whether these are all there are; until a process has asked, it may not believe anybody."""
        self.heard = 0
        """How many were news."""
        self._users: OrderedDict[str, float] = OrderedDict()
        self._others: OrderedDict[str, float] = OrderedDict()
        self._floor = float("-inf")

    def take(self, revoked: CredentialsRevoked) -> None:
        """Remember one; hearing it again changes nothing. Raises: ValueError for a moment that is none."""
        at = from_rfc3339(revoked.occurred_at).timestamp()
        named = [name for name in (revoked.session_id, revoked.key_id) if name]
        for name in named:
            self._remember(self._others, name, at)
        if not named:
            self._remember(self._users, revoked.user_id, at)

    def user_revoked_at(self, user_id: str) -> float:
        """Return up to when everything that was issued to the user has ended."""
        return max(self._floor, self._users.get(user_id, float("-inf")))

    def names(self, session_or_key_id: str) -> bool:
        """Tell whether this log-in or this API key was revoked by itself."""
        return session_or_key_id in self._others

    def _remember(self, kept: OrderedDict[str, float], name: str, at: float) -> None:
        self.heard += at > kept.get(name, float("-inf"))
        kept[name] = max(at, kept.get(name, at))
        kept.move_to_end(name)
        while len(kept) > _REMEMBERED_MAX or next(iter(kept.values())) < at - KEPT_SECONDS:
            _, dropped_at = kept.popitem(last=False)
            if dropped_at >= at - KEPT_SECONDS:
                self._floor = max(self._floor, dropped_at)
