"""A mail to a customer, and how long we go on trying to hand it over."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

TRIES_MAX: Final = 12
"""With the pauses below a mail server may be away for six hours before anything is given up."""
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail in plain text to one normalised address. Nothing of it shows in a log."""

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail that waits to be sent; `tries` counts those begun, from 1 once somebody has taken it up."""

    mail_id: str
    mail: Mail
    queued_at: datetime
    tries: int


def pause_after(times: int) -> timedelta:
    """Return the pause after the `times`-th try or mail, from 1: a minute, doubling, at most an hour."""
    return min(_FIRST_PAUSE * (1 << min(times - 1, 6)), _LONGEST_PAUSE)
