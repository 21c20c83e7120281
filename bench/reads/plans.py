"""The query plans of every read, as text to be committed and compared."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

# Costs and times are a machine's; which index is used, how many rows and pages it takes, is the design.
_EXPLAIN: Final = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) "
_IN_FUNCTIONS: Final = (
    (
        "what last_seq_at and last_seq_by say for each of up to 20 probes",
        "SELECT posted_at FROM ledger.entries WHERE account_id = md5('account 0')::uuid AND seq = 5000",
    ),
    (
        "what size_at says for each probe",
        """
        SELECT size, previous_size, sealed_at
        FROM ledger.blocks WHERE shard = 0 AND size >= 5000 ORDER BY size LIMIT 1""",
    ),
)


async def read_plans(dsn: str, reads: Mapping[str, Sequence[tuple[str, Sequence[Any]]]]) -> dict[str, str]:
    """Return file name → text, a file a read: each statement as it was said, then its plan."""
    texts = {}
    connection = await asyncpg.connect(dsn, server_settings={"enable_bitmapscan": "off", "jit": "off"})
    try:
        for name, said in reads.items():
            parts = [await _plan(connection, statement, arguments) for statement, arguments in said]
            texts[f"{_file_name(name)}.txt"] = f"{name}\n\n" + "\n".join(parts)
        parts = [f"-- {what}\n" + await _plan(connection, statement, ()) for what, statement in _IN_FUNCTIONS]
        texts["inside-the-functions.txt"] = "\n".join(parts)
    finally:
        await connection.close()
    return texts


async def _plan(connection: asyncpg.Connection, statement: str, arguments: Sequence[Any]) -> str:
    lines = [row[0] for row in await connection.fetch(_EXPLAIN + statement, *arguments)]
    plan = "\n".join(line for line in lines if not line.lstrip().startswith(("Planning:", "Buffers: shared hit=0")))
    return f"{statement.strip()}\n\n{plan}\n"


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
