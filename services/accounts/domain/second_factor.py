"""The second factor: one-time codes of an authenticator, and recovery codes for whoever has lost it."""

from dataclasses import dataclass, field
from typing import Final

RECOVERY_CODES: Final = 10


@dataclass(frozen=True, slots=True)
class Totp:
    """An authenticator; it counts once it is confirmed. `last_step` is the newest time step that was used."""

    secret: str = field(repr=False)
    is_confirmed: bool
    last_step: int


@dataclass(frozen=True, slots=True)
class GivenCodes:
    """What somebody gives to prove that he has the second factor; None is not given."""

    totp_code: str | None = field(default=None, repr=False)
    recovery_code: str | None = field(default=None, repr=False)
