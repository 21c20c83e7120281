"""E-mail addresses: one canonical spelling per mailbox, so that one person registers once."""

import re
import unicodedata
from typing import Final

from libs.common.errors import Unprocessable

ADDRESS_BYTES_MAX: Final = 254
"""RFC 5321, 4.5.3.1.3 with erratum 1690: what fits into a path."""
_LOCAL_BYTES_MAX: Final = 64
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Quoted local parts exist on paper only, and comments, brackets and separators make an address mean two things.
_LOCAL_FORBIDDEN: Final = frozenset('"(),:;<>@[\\]')
# IDNA 2003, which Python's codec speaks, maps these away; IDNA 2008 keeps them. The same text would name two domains
# with two owners, so it must be written as its A-label.
_DEVIATING: Final = frozenset("ßς\u200c\u200d")


def normalise_email(text: str) -> str:
    """Return the address in NFKC, lower case, its domain as A-labels (RFC 3490). Normalising twice changes nothing.

    Raises: Unprocessable `email_invalid` for what is no plain address of a public domain.
    """
    address = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.strip()).lower())
    local, at, domain = address.rpartition("@")
    if not at or not _is_local_part(local):
        raise _invalid("The part before the @ is not acceptable.")
    normal = f"{local}@{_ascii_domain(domain)}"
    if len(normal.encode()) > ADDRESS_BYTES_MAX:
        raise _invalid("The address is longer than 254 bytes.")
    return normal


def _is_local_part(local: str) -> bool:
    if not local or local.startswith(".") or local.endswith(".") or ".." in local:
        return False
    if any(character in _LOCAL_FORBIDDEN or unicodedata.category(character)[0] in "CZ" for character in local):
        return False
    return len(local.encode()) <= _LOCAL_BYTES_MAX


def _ascii_domain(domain: str) -> str:
    if _DEVIATING & set(domain):
        raise _invalid("Write this domain as its A-label (xn--…): its letters name two different domains.")
    try:
        labels = domain.encode("idna").decode("ascii").lower().split(".")
    except UnicodeError as error:
        raise _invalid("The domain is not acceptable.") from error
    # One label alone is a machine of somebody's network; digits alone at the end are an IPv4 address.
    if len(labels) == 1 or labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid("The domain is not acceptable.")
    return ".".join(labels)


def _invalid(detail: str) -> Unprocessable:
    return Unprocessable("email_invalid", detail)
