"""What a customer is told by e-mail about his log-in: what happened, from where, and what to do if it was not him."""

from datetime import datetime
from typing import Final

from services.accounts.domain.mail import Mail

_NOT_YOU: Final = "If this was not you, set a new password at once: that ends every session of yours."


def token_reused_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a refresh token that came a second time: somebody has a copy of it."""
    return Mail(
        to=email,
        subject="We ended one of your sessions",
        text=f"""Hello,

a token that keeps you logged in was used twice, so two programs have it and one of them may be a thief's.
We ended that session for both. Log in again to go on.

{_where(address, at)}

{_NOT_YOU}
""",
    )


def password_changed_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a new password, however it was set."""
    return Mail(
        to=email,
        subject="Your password was changed",
        text=f"""Hello,

your password was changed, and sessions that began with the old one were ended.

{_where(address, at)}

{_NOT_YOU}
""",
    )


def second_factor_set_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a second factor that counts from now on."""
    return Mail(
        to=email,
        subject="A second factor was set up",
        text=f"""Hello,

from now on logging in takes a code of your authenticator, or one of the recovery codes that you were shown.

{_where(address, at)}

{_NOT_YOU}
""",
    )


def second_factor_removed_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a second factor that is gone."""
    return Mail(
        to=email,
        subject="Your second factor was removed",
        text=f"""Hello,

from now on your password alone is enough to log in.

{_where(address, at)}

{_NOT_YOU}
""",
    )


def api_key_made_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a new API key: it goes on when log-ins end, and when the password changes."""
    return Mail(
        to=email,
        subject="An API key was made for you",
        text=f"""Hello,

an API key was made that acts in your name, until it ends or you revoke it. GET /api/v1/api-keys lists your keys.

{_where(address, at)}

If this was not you, revoke the key (DELETE /api/v1/api-keys/<key_id>) and set a new password at once.
""",
    )


def _where(address: str, at: datetime) -> str:
    # What somebody's program calls itself is left out: it is his text, in a mail of ours.
    return f"When: {at:%Y-%m-%d %H:%M} UTC\nFrom: {address}"
