"""Setting a new password without the old one: by a token that only the customer's mailbox was sent."""

from datetime import timedelta
from typing import Final

from services.accounts.domain.mail import Mail

RESET_TOKEN_LIFETIME: Final = timedelta(minutes=30)
RESET_MAILS_MAX: Final = 3
"""Per customer and `RESET_MAILS_WITHIN`: who asks for more fills somebody's mailbox."""
RESET_MAILS_WITHIN: Final = timedelta(hours=1)


def password_reset_mail(to: str, token: str) -> Mail:
    """Return the mail that carries the token."""
    return Mail(
        to=to,
        subject="Set a new password",
        text=f"""Somebody, presumably you, asked to set a new password for your log-in at Tallystick.
Within 30 minutes, send this token and the new password to POST /api/v1/auth/password-reset/confirm:

{token}

If it was not you, do nothing: your password stays as it is.
""",
    )
