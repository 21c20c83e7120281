"""What must be true after anything: called by every lane that moves money."""

from libs.common.clock import monotonic_seconds
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.reconciliation.run import reconcile
from tests.support.across_services import differences_across_services


async def check_everything(dsn: str, vkey: str) -> None:
    """Check all promises over a system at rest. Raises: AssertionError with one line for each that is broken.

    `dsn` is an administrator's, `vkey` the ledger's key as the caller trusts it. Books sum to zero per asset; balance =
    sum of entries = last balance_after; no gap in seq; one effect per idempotency key; every accepted transfer decided
    and shown so; pending amounts equal the held transfers; outboxes empty and everything published; chain, tree and
    signature verify. Schemas that do not exist are left out.
    """
    books = await reconcile(dsn, scope="books", grace_seconds=0)
    broken = [
        f"{outcome.name}: {found.subject}: {found.text}" for outcome in books.outcomes for found in outcome.differences
    ]
    broken += await differences_across_services(dsn)
    verification = await verify_ledger(dsn, parse_vkeys(vkey), monotonic_seconds=monotonic_seconds)
    broken += [
        f"{finding.kind} in {finding.table} {finding.row} at {finding.index}: {finding.detail} {finding.differences}"
        for finding in verification.findings
    ]
    if broken:
        raise AssertionError(f"{len(broken)} promises are broken:\n" + "\n".join(broken))
