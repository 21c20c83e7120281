"""Proving that an e-mail is one's own: by a token that only its mailbox was sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.accounts.domain.mail import Mail, pause_after

VERIFICATION_TOKEN_LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class EmailVerification:
    """What is outstanding: the token mailed last, until when it works, and when another mail may follow."""

    user_id: str
    token_hash: bytes
    expires_at: datetime
    mails: int
    next_mail_at: datetime


def verification_after(user_id: str, mails_before: int, token_hash: bytes, now: datetime) -> EmailVerification:
    """Return what is outstanding after one more mail. Nobody is mailed sooner than 1, 2, 4 … 60 minutes after that."""
    return EmailVerification(
        user_id=user_id,
        token_hash=token_hash,
        expires_at=now + VERIFICATION_TOKEN_LIFETIME,
        mails=mails_before + 1,
        next_mail_at=now + pause_after(mails_before + 1),
    )


def verification_mail(to: str, token: str) -> Mail:
    """Return the mail that carries the token."""
    return Mail(
        to=to,
        subject="Verify your e-mail",
        text=(
            "Somebody, presumably you, registered with this e-mail address at Tallystick.\n"
            "Within 24 hours, send this token to POST /api/v1/auth/verify-email:\n\n"
            f"{token}\n\n"
            "If it was not you, do nothing: nobody can use the address without the token.\n"
        ),
    )
