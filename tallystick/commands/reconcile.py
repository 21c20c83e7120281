"""`tallystick reconcile --all`: compare what the services say of the same money. SQL alone, nothing is changed."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tallystick.stack.errors import StackError
from tallystick.stack.stack_file import find_stack

GRACE_SECONDS: Final = 15
"""What changed within this time may still be on its way to the others."""
_SHOWN_MAX: Final = 20


@dataclass(frozen=True)
class Check:
    """A promise and the SQL that finds what breaks it, one text a row. `$1` is the grace in seconds, where asked."""

    name: str
    promise: str
    needs: tuple[str, ...]
    sql: str


CHECKS: Final = (
    Check(
        "trial_balance",
        "the balances of each asset sum up to zero",
        ("ledger.accounts",),
        """
        SELECT format('%s: %s minor units too many', asset, sum(posted_minor)) FROM ledger.accounts
        GROUP BY asset HAVING sum(posted_minor) <> 0
        """,
    ),
    Check(
        "entries_balance",
        "the entries of each posted transfer sum up to zero in each asset, and no other transfer has any",
        ("ledger.entries", "ledger.transfers"),
        """
        SELECT format('transfer %s: %s in %s, status %s', e.transfer_id, sum(e.amount_minor), a.asset, t.status)
        FROM ledger.entries e JOIN ledger.accounts a USING (account_id) LEFT JOIN ledger.transfers t USING (transfer_id)
        GROUP BY e.transfer_id, a.asset, t.status
        HAVING sum(e.amount_minor) <> 0 OR t.status IS DISTINCT FROM 'posted'
        """,
    ),
    Check(
        "posted_has_entries",
        "every posted transfer has its entries",
        ("ledger.entries", "ledger.transfers"),
        """
        SELECT format('transfer %s is posted and moved nothing', transfer_id) FROM ledger.transfers t
        WHERE status = 'posted' AND NOT EXISTS (
            SELECT FROM ledger.entries e WHERE e.transfer_id = t.transfer_id)
        """,
    ),
    Check(
        "balances",
        "balance = sum of entries = last balance_after, and seq has no gap",
        ("ledger.entries", "ledger.accounts"),
        """
        SELECT format('account %s: balance %s, entries %s, last balance_after %s, last_seq %s, newest seq %s of %s',
            a.account_id, a.posted_minor, coalesce(e.total, 0), coalesce(l.balance_after_minor, 0), a.last_seq,
            coalesce(e.newest, 0), coalesce(e.number, 0))
        FROM ledger.accounts a
        LEFT JOIN (SELECT account_id, sum(amount_minor) AS total, max(seq) AS newest, count(*) AS number
                   FROM ledger.entries GROUP BY account_id) e USING (account_id)
        LEFT JOIN ledger.entries l ON l.account_id = a.account_id AND l.seq = e.newest
        WHERE (a.posted_minor, a.posted_minor, a.last_seq, a.last_seq) IS DISTINCT FROM
              (coalesce(e.total, 0), coalesce(l.balance_after_minor, 0), coalesce(e.newest, 0), coalesce(e.number, 0))
        """,
    ),
    Check(
        "running_balances",
        "each balance_after is the one before plus the amount",
        ("ledger.entries",),
        """
        SELECT format('account %s, seq %s: %s is not %s + %s',
            account_id, seq, balance_after_minor, before, amount_minor)
        FROM (SELECT *, lag(balance_after_minor, 1, 0::bigint) OVER (PARTITION BY account_id ORDER BY seq) AS before
              FROM ledger.entries) e
        WHERE balance_after_minor <> before + amount_minor
        """,
    ),
    Check(
        "held_amounts",
        "what accounts have pending is what the held transfers reserve",
        ("ledger.accounts", "ledger.transfers", "ledger.journal"),
        """
        WITH legs AS (
            SELECT jsonb_array_elements(convert_from(j.record, 'UTF8')::jsonb -> 'legs') AS leg
            FROM ledger.transfers t JOIN ledger.journal j ON j.shard = t.shard AND j.journal_index = t.journal_index
            WHERE t.status = 'held'
        ), reserved AS (
            SELECT account_id, sum(going_out) AS going_out, sum(coming_in) AS coming_in FROM (
                SELECT (leg ->> 'source_account_id')::uuid, (leg ->> 'amount_minor')::bigint, 0 FROM legs
                UNION ALL
                SELECT (leg ->> 'destination_account_id')::uuid, 0, (leg ->> 'amount_minor')::bigint FROM legs
            ) AS sides (account_id, going_out, coming_in) GROUP BY account_id
        )
        SELECT format('account %s: pending out %s, held %s; pending in %s, held %s', account_id, pending_out_minor,
            coalesce(going_out, 0), pending_in_minor, coalesce(coming_in, 0))
        FROM ledger.accounts LEFT JOIN reserved USING (account_id)
        WHERE pending_out_minor <> coalesce(going_out, 0) OR pending_in_minor <> coalesce(coming_in, 0)
        """,
    ),
    Check(
        "published",
        "the bus was told everything the journal holds",
        ("ledger.heads",),
        """
        SELECT format('shard %s: %s of %s records published', shard, published_size, size) FROM ledger.heads
        WHERE published_size <> size AND last_record_at < now() - make_interval(secs => $1::double precision)
        """,
    ),
    Check(
        "asked_and_decided",
        "every transfer the gateway accepted was decided by the ledger",
        ("gateway.transfers", "ledger.transfers"),
        """
        SELECT format('transfer %s, accepted %s, is undecided', transfer_id, accepted_at)
        FROM gateway.transfers LEFT JOIN ledger.transfers l USING (transfer_id)
        WHERE l.transfer_id IS NULL AND accepted_at < now() - make_interval(secs => $1::double precision)
        """,
    ),
    Check(
        "decided_was_asked",
        "the ledger decided nothing that nobody asked for",
        ("gateway.transfers", "gateway.commands", "ledger.transfers"),
        """
        SELECT format('transfer %s is %s and was never accepted', l.transfer_id, l.status)
        FROM ledger.transfers l LEFT JOIN gateway.transfers g USING (transfer_id)
        LEFT JOIN gateway.commands c ON c.command_id = l.transfer_id
        WHERE g.transfer_id IS NULL AND c.command_id IS NULL
        """,
    ),
    Check(
        "gateway_agrees",
        "the gateway shows what the ledger decided",
        ("gateway.outcomes", "gateway.later_states", "ledger.transfers"),
        """
        SELECT format('transfer %s: ledger %s version %s, gateway %s version %s', l.transfer_id, l.status, l.version,
            coalesce(s.status, o.status, 'nothing'), coalesce(s.version, o.version, 0))
        FROM ledger.transfers l LEFT JOIN gateway.outcomes o USING (transfer_id) LEFT JOIN gateway.later_states s
            ON s.transfer_id = l.transfer_id AND s.version = l.version
        WHERE (l.status, l.version) IS DISTINCT FROM (coalesce(s.status, o.status), coalesce(s.version, o.version))
          AND l.changed_at < now() - make_interval(secs => $1::double precision)
        """,
    ),
    Check(
        "one_effect_per_key",
        "one idempotency key made one transfer",
        ("gateway.transfers",),
        """
        SELECT format('principal %s, %s, key %s: %s transfers', principal_id, scope, idempotency_key, count(*))
        FROM gateway.transfers GROUP BY principal_id, scope, idempotency_key HAVING count(*) > 1
        """,
    ),
    Check(
        "accounts_agree",
        "an account is the same account in accounts and in the books",
        ("accounts.accounts", "ledger.accounts"),
        """
        SELECT format('account %s: %s %s %s in accounts, %s %s %s in the books', coalesce(a.account_id, l.account_id),
            a.owner_id, a.asset, a.status, l.owner_id, l.asset, l.status)
        FROM accounts.accounts a
        FULL JOIN (SELECT * FROM ledger.accounts WHERE kind = 'customer') l USING (account_id)
        WHERE (a.account_id IS NULL
               OR (l.account_id IS NULL AND a.status = 'active')
               OR (a.owner_id, a.asset, a.account_number) IS DISTINCT FROM (l.owner_id, l.asset, l.account_number)
                  AND l.account_id IS NOT NULL
               OR (a.status = 'closed') <> (l.status = 'closed'))
          AND coalesce(a.changed_at, l.opened_at) < now() - make_interval(secs => $1::double precision)
        """,
    ),
    *(
        Check(
            f"{schema}_outbox",
            f"{schema} has told the bus everything it committed",
            (f"{schema}.outbox",),
            f"""
            SELECT format('{schema}.outbox row %s since %s', row_id, recorded_at) FROM {schema}.outbox
            WHERE recorded_at < now() - make_interval(secs => $1::double precision)
            """,  # noqa: S608 -- the names stand below
        )
        for schema in ("accounts", "kyc", "ledger", "fraud", "gateway")
    ),
)


@dataclass(frozen=True)
class Outcome:
    """One check's answer. `skipped` when a table it compares does not exist here."""

    name: str
    promise: str
    skipped: bool
    differences: list[str]


async def reconcile(dsn: str, *, grace_seconds: float, checks: Sequence[Check] = CHECKS) -> list[Outcome]:
    """Run the checks over one read-only snapshot, as a role that may read every schema."""
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "tallystick-reconcile"})
    try:
        await connection.execute("SET default_transaction_isolation = 'repeatable read'")
        await connection.execute("BEGIN READ ONLY")
        return [await _run(connection, check, grace_seconds) for check in checks]
    finally:
        await connection.close()


async def _run(connection: asyncpg.Connection, check: Check, grace_seconds: float) -> Outcome:
    for table in check.needs:
        if await connection.fetchval("SELECT to_regclass($1)", table) is None:
            return Outcome(check.name, check.promise, skipped=True, differences=[])
    arguments = [grace_seconds] if "$1" in check.sql else []
    rows = await connection.fetch(check.sql, *arguments)
    return Outcome(check.name, check.promise, skipped=False, differences=[row[0] for row in rows])


def reconcile_command(
    everything: Annotated[bool, typer.Option("--all", help="Compare all services, not the books alone.")] = False,
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = Path(".tallystick"),
    postgres: Annotated[
        str | None, typer.Option(envvar="TALLYSTICK_POSTGRES", help="Admin DSN; else the stack running on the folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare what the services say of the same money. Exit 0 when they agree, 1 when not."""
    dsn = postgres or find_stack(data).postgres
    checks = CHECKS if everything else [check for check in CHECKS if _is_of_the_books(check)]
    try:
        outcomes = asyncio.run(reconcile(dsn, grace_seconds=GRACE_SECONDS, checks=checks))
    except (OSError, asyncpg.PostgresError) as error:
        raise StackError(f"the database cannot be read: {error}") from error
    agrees = not any(outcome.differences for outcome in outcomes)
    if as_json:
        typer.echo(json.dumps(_as_json(outcomes, agrees=agrees)))
    else:
        _print(outcomes, agrees=agrees)
    raise typer.Exit(0 if agrees else 1)


def _is_of_the_books(check: Check) -> bool:
    return all(table.startswith("ledger.") for table in check.needs)


def _as_json(outcomes: Sequence[Outcome], *, agrees: bool) -> dict[str, object]:
    return {
        "agrees": agrees,
        "checks": [
            {
                "name": outcome.name,
                "skipped": outcome.skipped,
                "differences": len(outcome.differences),
                "examples": outcome.differences[:_SHOWN_MAX],
            }
            for outcome in outcomes
        ],
    }


def _print(outcomes: Sequence[Outcome], *, agrees: bool) -> None:
    console = Console()
    table = Table("check", "promise", "result")
    for outcome in outcomes:
        result = "skipped" if outcome.skipped else f"{len(outcome.differences)} differ" if outcome.differences else "ok"
        table.add_row(outcome.name, outcome.promise, Text(result, style="" if result == "ok" else "bold"))
    console.print(table)
    for outcome in outcomes:
        for difference in outcome.differences[:_SHOWN_MAX]:
            console.print(Text(f"{outcome.name}: {difference}"))
    if agrees:
        left_out = f"what changed in the last {GRACE_SECONDS} s may still be on its way and was left out"
        console.print(Text(f"All agree; {left_out}.", style="bold green"))
    else:
        stopped = "A service that hangs or was stopped looks like this too: see that all are ready, and try again."
        console.print(Text(f"They differ. {stopped}", style="bold red"))
        console.print("If it stays, run `tallystick verify`: the journal says who is right.")
