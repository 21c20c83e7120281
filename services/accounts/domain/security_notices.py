"""What a customer is told by e-mail about his log-in: what happened, from where, and what to do if it was not him."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.accounts.domain.mail import Mail

_NOT_YOU: Final = "If this was not you, set a new password at once: that ends every session of yours."


def token_reused_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a refresh token that came a second time: somebody has a copy of it."""
    said = (
        "a token that keeps you logged in was used twice, so two programs have it and one of them may be a thief's.\n"
        "We ended that session for both. Log in again to go on."
    )
    return _notice(email, "We ended one of your sessions", said, address, at)


def password_changed_notice(
    email: str, address: str, at: datetime, *, living_keys: Sequence[tuple[str, datetime]]
) -> Mail:
    """Return the mail about a new password, however it was set, with what goes on in spite of it.

    Keys are named by id and day: their names are text of whoever made them. Webhooks are the gateway's to list.
    """
    keys = "".join(f"\n  {key_id}, made on {made_at:%Y-%m-%d}" for key_id, made_at in living_keys)
    said = (
        "your password was changed, and sessions that began with the old one were ended.\n\n"
        "What was made for your programs before goes on, so that payments do not stop. Look through it:\n"
        f"API keys that work: {keys or 'none'}\n"
        "Webhooks: GET /api/v1/webhooks lists where we send what happens to your money.\n"
        "If one is not yours, end it: DELETE /api/v1/api-keys/<key_id>, DELETE /api/v1/webhooks/<webhook_id>."
    )
    return _notice(email, "Your password was changed", said, address, at)


def second_factor_set_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a second factor that counts from now on."""
    said = "from now on logging in takes a code of your authenticator, or one of the recovery codes you were shown."
    return _notice(email, "A second factor was set up", said, address, at)


def second_factor_removed_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a second factor that is gone."""
    said = "from now on your password alone is enough to log in."
    return _notice(email, "Your second factor was removed", said, address, at)


def api_key_made_notice(email: str, address: str, at: datetime) -> Mail:
    """Return the mail about a new API key: it goes on when log-ins end, and when the password changes."""
    said = (
        "an API key was made that acts in your name, until it ends or you revoke it. "
        "GET /api/v1/api-keys lists your keys."
    )
    not_you = "If this was not you, revoke the key (DELETE /api/v1/api-keys/<key_id>) and set a new password at once."
    return _notice(email, "An API key was made for you", said, address, at, not_you)


def _notice(email: str, subject: str, said: str, address: str, at: datetime, not_you: str = _NOT_YOU) -> Mail:
    # What somebody's program calls itself is left out: it is his text, in a mail of ours.
    where = f"When: {at:%Y-%m-%d %H:%M} UTC\nFrom: {address}"
    return Mail(to=email, subject=subject, text=f"Hello,\n\n{said}\n\n{where}\n\n{not_you}\n")
