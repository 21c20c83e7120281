"""Decides which requests the edge writes an audit entry of, and what it says. Pure: no I/O, no clock."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from libs.common.audit.asker import Asker, printable
from libs.common.contracts.audit import Outcome

FORWARDED: Final = "request.forward"
"""The action of what the gateway itself refused before it handed it on: only the owner would know a better name."""
NOT_ADMITTED: Final = "request.admit"
"""The action of a request beyond a rate limit, which is refused before anybody looks what it is."""

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = frozenset({401, 403, 404, 409, 422, 429})
_OUR_FAULT: Final = 500
_ID: Final = "_id"
_ID_CHARACTERS_MAX: Final = 200
_QUERY_BYTES_MAX: Final = 2000
_FILTERS_MAX: Final = 20
_FILTER_CHARACTERS_MAX: Final = 60
_PAGING: Final = frozenset({"limit", "cursor", "after"})
_ASKED_FOR: Final = ("account_id", "user_id", "transfer_id")


def outcome_of(asker: Asker, *, is_read: bool, status: int, staff_may: bool) -> Outcome | None:
    """Return what came of a request, or None when nothing is to be written of it.

    Written are refusals with a code of ours; what was done unless a transaction has recorded it; reads by staff of what
    staff may read; and failures of what was more than somebody's own read. `staff_may`: the matrix names roles.
    """
    if not asker.action or asker.is_noted_by_owner:
        return None
    by_staff = asker.is_staff and staff_may
    if status >= _OUR_FAULT:
        return "failed" if by_staff or not is_read else None
    if status in _REFUSED:
        known = asker.actor_id or status != 404  # noqa: PLR2004 -- nobody in particular found nothing
        return "refused" if asker.reason and known else None
    if status >= 400 or asker.is_recorded:  # noqa: PLR2004 -- could not even be read
        return None
    return "done" if by_staff or not is_read else None


def is_kept_first(asker: Asker, *, is_read: bool, status: int, staff_may: bool) -> bool:
    """Tell whether the answer waits until its entry is durable: it shows staff what is somebody else's."""
    return is_read and outcome_of(asker, is_read=is_read, status=status, staff_may=staff_may) == "done"


def is_read(method: str) -> bool:
    """Tell whether a method changes nothing (RFC 9110, 9.2.1)."""
    return method in _READS


def resource_of(asker: Asker, path_params: Mapping[str, Any], query: bytes) -> tuple[str, str]:
    """Return (type, id) of what the request was about: as the use case said, else as its path or its query names it."""
    if asker.resource_type:
        return asker.resource_type, printable(asker.resource_id)[:_ID_CHARACTERS_MAX]
    named = [(name, str(value)) for name, value in path_params.items() if name.endswith(_ID) or name == "version"]
    if not named and query:
        asked = parse_qs(query[:_QUERY_BYTES_MAX].decode("latin-1"))
        named = [(name, asked[name][0]) for name in _ASKED_FOR if name in asked]
    if not named:
        return "", ""
    name, value = named[-1]
    return _type_of(name), printable(value)[:_ID_CHARACTERS_MAX]


def facts_of_read(asker: Asker, query: bytes) -> dict[str, object]:
    """Return by which roles staff read, and what they searched by: the filters' names.

    The filters' values may be personal, and an entry stays for ever.
    """
    names = parse_qs(query[:_QUERY_BYTES_MAX].decode("latin-1"), keep_blank_values=True).keys() - _PAGING
    filters = sorted(printable(name)[:_FILTER_CHARACTERS_MAX] for name in names)[:_FILTERS_MAX]
    return {"roles": list(asker.staff_roles), **({"filters": filters} if filters else {})}


def _type_of(name: str) -> str:
    return {"user_id": "customer", "version": "fee_schedule"}.get(name, name.removesuffix(_ID))
