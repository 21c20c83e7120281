"""Run one verification in a process of its own, ask the witness outside the database, and keep what both found."""

import asyncio
import sys
from typing import Final

import msgspec

from services.ledger.audit.findings import CannotVerify, Finding, Scope, Verification
from services.ledger.audit.order import Line, Order
from services.ledger.audit.verify_everything import Progress, silent
from services.ledger.store.witness import WitnessUnreadable
from services.ledger.use_cases.ask_witness import AskWitness
from services.ledger.use_cases.record_verification import RecordVerification

_LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Findings quote what they found."""
_MODULE: Final = "services.ledger.audit_process"


class RunVerification:
    """Verifies one shard with the keys given, and records the outcome.

    The newest checkpoint seen outside the database is the floor: a journal that is shorter, or another, still verifies
    by itself. Raises: CannotVerify when nothing can be said, in time or at all; Unavailable when it could not be
    recorded, or the witness not be asked.
    """

    def __init__(self, dsn: str, vkeys: str, record: RecordVerification, witness: AskWitness, shard: int) -> None:
        """`vkeys` is one verifier key a line, never what the database says."""
        self._dsn = dsn
        self._vkeys = vkeys
        self._record = record
        self._witness = witness
        self._shard = shard

    async def __call__(
        self,
        scope: Scope,
        *,
        subject_id: str = "",
        turn: int = 0,
        seconds_max: float,
        progress: Progress = silent,
        verification_id: str = "",
    ) -> tuple[Verification, list[Finding]]:
        """Verify. Returns what was found, and of that what halts the shard."""
        order = Order(self._dsn, self._vkeys, self._shard, scope, subject_id, turn)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES_MAX,
        )
        try:
            async with asyncio.timeout(seconds_max):
                found = await _listen(process, msgspec.json.encode(order), progress)
        except TimeoutError as failure:
            raise CannotVerify(f"it took longer than {seconds_max:.0f} s") from failure
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await self._ask_witness(found)
        return found, await self._record(found, subject_id, verification_id)

    async def _ask_witness(self, found: Verification) -> None:
        """Add what the witness says."""
        try:
            found.findings += await self._witness()
        except WitnessUnreadable as failure:
            # What the database itself has shown must be told all the same.
            if found.is_good:
                raise CannotVerify(str(failure)) from failure


async def _listen(process: asyncio.subprocess.Process, order: bytes, progress: Progress) -> Verification:
    if process.stdin is None or process.stdout is None:
        raise CannotVerify("the process that verifies cannot be spoken to")
    process.stdin.write(order)
    process.stdin.write_eof()
    while text := await process.stdout.readline():
        line = msgspec.json.decode(text, type=Line)
        if line.found is not None:
            return line.found
        if line.reason:
            raise CannotVerify(line.reason)
        progress(line.done, line.total)
    raise CannotVerify("the process that verifies has ended without a word; its log says why")
