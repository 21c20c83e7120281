"""Which passwords somebody may choose: none of those that are tried first."""

import re
import unicodedata
from collections.abc import Container
from typing import Final

from libs.common.errors import Unprocessable

_WORD_CHARACTERS_MIN: Final = 3
_OWN_CHARACTERS_MIN: Final = 8


def canonical_password(text: str) -> str:
    """Return the password in NFKC, so that every keyboard's spelling of it is the same (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", text)


def folded_password(text: str) -> str:
    """Return what passwords that differ in case or spelling alone have in common."""
    return canonical_password(canonical_password(text).casefold())


def require_acceptable(password: str, *, common: Container[str], email: str, full_name: str) -> None:
    """Let pass what nobody tries first (NIST SP 800-63B, 5.1.1.2).

    Raises: Unprocessable `password_common` for one of the `common`, which are folded, `password_personal` for what is
    left with fewer than 8 characters once the customer's own e-mail and names are taken out of it.
    """
    folded = folded_password(password)
    if folded in common:
        raise Unprocessable("password_common", "This is one of the most common passwords; choose another.")
    for own in sorted(_own_words(email, full_name), key=len, reverse=True):
        folded = folded.replace(own, "")
    if len(folded) < _OWN_CHARACTERS_MIN:
        raise Unprocessable(
            "password_personal", "Besides your own e-mail and name there is too little in it; choose another."
        )


def _own_words(email: str, full_name: str) -> set[str]:
    mailbox, name = folded_password(email), folded_password(full_name)
    local = mailbox.rpartition("@")[0]
    words = {mailbox, local, name, *re.findall(r"[^\W_]+", local), *re.findall(r"[^\W_]+", name)}
    return {word for word in words if len(word) >= _WORD_CHARACTERS_MIN}
