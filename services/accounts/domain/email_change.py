"""Changing one's e-mail: the new mailbox proves itself by a token, and the old one is told."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from services.accounts.domain.mail import Mail, pause_after

CHANGE_TOKEN_LIFETIME: Final = timedelta(hours=24)
_NOT_YOU: Final = (
    "If this was not you, set a new password at once, which ends every session of yours, and tell support."
)


@dataclass(frozen=True, slots=True)
class EmailChange:
    """What is outstanding: the new e-mail, the token that proves it, and when another may be mailed."""

    user_id: str
    email: str = field(repr=False)
    token_hash: bytes
    expires_at: datetime
    mails: int
    next_mail_at: datetime


def change_after(*, user_id: str, email: str, mails_before: int, token_hash: bytes, now: datetime) -> EmailChange:
    """Return what is outstanding after one more mail; the next follows after 1, 2, 4 … 60 minutes at the soonest."""
    return EmailChange(
        user_id=user_id,
        email=email,
        token_hash=token_hash,
        expires_at=now + CHANGE_TOKEN_LIFETIME,
        mails=mails_before + 1,
        next_mail_at=now + pause_after(mails_before + 1),
    )


def change_mail(to: str, token: str) -> Mail:
    """Return the mail to the new address, with the token."""
    return Mail(
        to=to,
        subject="Confirm your new e-mail",
        text=(
            "Somebody, presumably you, wants to use this address at Tallystick from now on.\n"
            "Within 24 hours, and logged in as before, send this token to POST /api/v1/me/email/confirm:\n\n"
            f"{token}\n\n"
            "If it was not you, do nothing: the token is worth nothing to anybody else.\n"
        ),
    )


def change_asked_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail to the old address, before anything has changed."""
    return Mail(
        to=email,
        subject="Your e-mail is about to change",
        text=f"""Hello,

you, or somebody with your log-in, asked to use another e-mail from now on. Nothing changes before that mailbox
confirms it.

When: {at:%Y-%m-%d %H:%M} UTC
From: {address}

{_NOT_YOU}
""",
    )


def email_changed_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail to the old address, the last one it gets."""
    return Mail(
        to=email,
        subject="Your e-mail was changed",
        text=f"""Hello,

from now on you log in with another e-mail, and we write to that one.

When: {at:%Y-%m-%d %H:%M} UTC
From: {address}

{_NOT_YOU}
""",
    )
