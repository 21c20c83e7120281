"""Who asked for what a ledger's record tells of, and from where, as far as the audit log has it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from libs.common.audit.entry import COLUMNS, RECORDS, from_row
from services.gateway.store.money_callers import find_callers

# The facts are text, and may have been changed: as text they are read, so that nothing in them is an error. Only asked
# when something was found, so no index is kept for it.
_OF_RECORDS: Final = f"""
SELECT {", ".join(COLUMNS)}, string_to_array(substring(facts FROM '"{RECORDS}":\\[([0-9,]*)\\]'), ',') AS records
FROM gateway.audit_entries
WHERE service = 'ledger' AND string_to_array(substring(facts FROM '"{RECORDS}":\\[([0-9,]*)\\]'), ',') && $1::text[]
ORDER BY entry_id
"""  # noqa: S608 -- the columns stand in the contract
_OF_TRANSFERS: Final = """
SELECT transfer_id::text, principal_id::text FROM gateway.transfers WHERE transfer_id = ANY($1::uuid[])
"""


class AskedBy(NamedTuple):
    """Somebody at the other end of a request. Address and request are empty where the log does not have them."""

    actor_id: str
    actor_kind: str
    address: str
    user_agent: str
    request_id: str


async def askers_of_records(connection: asyncpg.Connection, indexes: Sequence[int]) -> dict[int, AskedBy]:
    """Return journal index → who asked, of records that a caller's or staff's command made."""
    found: dict[int, AskedBy] = {}
    for row in await connection.fetch(_OF_RECORDS, [str(index) for index in indexes]):
        entry = from_row("ledger", row[:-1])
        asked_by = AskedBy(entry.actor_id, entry.actor_kind, entry.address, entry.user_agent, entry.request_id)
        found |= {int(index): asked_by for index in row["records"] if index.isdecimal()}
    return {index: found[index] for index in indexes if index in found}


async def askers_of_transfers(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, AskedBy]:
    """Return transfer → who asked for it."""
    callers = await find_callers(connection, transfer_ids)
    found: dict[str, AskedBy] = {}
    for transfer_id, principal_id in await connection.fetch(_OF_TRANSFERS, transfer_ids):
        request_id, address, user_agent, key_id = callers.get(transfer_id, ("", "", "", ""))
        kind = "machine" if key_id else "person"
        found[transfer_id] = AskedBy(principal_id, kind, address, user_agent, request_id)
    return found
