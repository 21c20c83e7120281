"""Every promise of the books is looked at, and `tallystick reconcile` tells what breaks it."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from libs.common.clock import monotonic_seconds
from libs.common.ids import system_account_id
from libs.common.messaging.outbox import Outbox
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.store.assets import restore_accounts_of_the_house
from services.ledger.store.promises import PROMISES
from services.ledger.use_cases.compare_projections import COMPARISONS
from services.ledger.use_cases.record_verification import RecordVerification
from services.ledger.use_cases.verify_ledger import verify_ledger
from tallystick.reconciliation.evidence import read_checkpoint
from tallystick.reconciliation.html_report import html_report
from tallystick.reconciliation.maker import this_maker
from tallystick.reconciliation.run import reconcile
from tests.integration.ledger.books import SIGNER, Books, check
from tests.support.api_world import admin_connection
from tests.support.command_line import tallystick
from tests.support.ledger_builders import RESERVE, capture, change, held, id_of, leg, reverse, screened, void

ALICE, BOB, T, HOLD, REVERSAL = (id_of(name) for name in ("alice", "bob", "t", "h", "reversal of t"))

# What is changed behind the ledger's back → the promises that it breaks.
TAMPERED: dict[str, tuple[str, set[str]]] = {
    "a balance": (
        f"UPDATE ledger.accounts SET posted_minor = posted_minor + 1 WHERE account_id = '{BOB}'",
        {"trial_balance", "balances"},
    ),
    "a reservation": (
        f"UPDATE ledger.accounts SET pending_out_minor = 1 WHERE account_id = '{BOB}'",
        {"held_amounts"},
    ),
    "an entry's amount": (
        f"UPDATE ledger.entries SET amount_minor = amount_minor + 1 WHERE account_id = '{BOB}' AND transfer_id = '{T}'",
        {"entries_balance", "balances", "running_balances"},
    ),
    "an entry's running balance": (
        f"UPDATE ledger.entries SET balance_after_minor = 7 WHERE account_id = '{BOB}' AND seq = 1",
        {"running_balances"},
    ),
    "an entry is gone": (
        f"DELETE FROM ledger.entries WHERE account_id = '{BOB}' AND seq = 1",
        {"entries_balance", "balances", "entry_sequence", "running_balances"},
    ),
    "a transfer's entries are gone": (
        f"DELETE FROM ledger.entries WHERE transfer_id = '{T}'",
        {"entries_of_moved", "balances", "entry_sequence", "running_balances"},
    ),
    "an entry names another record": (
        f"UPDATE ledger.entries SET journal_index = 0 WHERE account_id = '{BOB}' AND transfer_id = '{T}'",
        {"entries_recorded"},
    ),
    "a transfer's state": (
        (
            "UPDATE ledger.transfers SET status = 'refused', code = 'insufficient_funds' WHERE transfer_id = "
            f"'{id_of('start of bob')}'"
        ),
        {"entries_of_moved", "transfers_recorded"},
    ),
    "a transfer is gone": (
        f"DELETE FROM ledger.transfers WHERE transfer_id = '{id_of('no')}'",
        {"records_applied"},
    ),
    "a transfer is behind": (
        f"UPDATE ledger.transfers SET version = 1 WHERE transfer_id = '{T}'",
        {"transfers_recorded", "records_applied"},
    ),
    "a hold is closed": (
        f"UPDATE ledger.settlements SET is_open = false WHERE transfer_id = '{HOLD}'",
        {"open_holds", "held_amounts"},
    ),
    "a captured amount": (
        f"UPDATE ledger.settlements SET captured_minor = '{{0}}' WHERE transfer_id = '{HOLD}'",
        {"settlements_recorded", "held_amounts", "entries_of_moved"},
    ),
    "a reversed amount": (
        f"UPDATE ledger.settlements SET reversed_minor = '{{1}}' WHERE transfer_id = '{T}'",
        {"settlements_recorded", "reversals"},
    ),
    "a line of the history": (
        f"UPDATE ledger.reversals SET amounts_minor = '{{1}}' WHERE reversal_id = '{REVERSAL}'",
        {"reversals", "reversals_recorded"},
    ),
    "a line of the history is gone": (
        f"DELETE FROM ledger.reversals WHERE reversal_id = '{REVERSAL}'",
        {"reversals", "reversals_recorded"},
    ),
    "a command's answer": (
        f"UPDATE ledger.commands SET code = 'account_closed' WHERE command_id = '{id_of('void of t')}'",
        {"commands_recorded"},
    ),
    "a command's answer is gone": (
        f"DELETE FROM ledger.commands WHERE command_id = '{id_of('void of t')}'",
        {"commands_answered"},
    ),
    "an account's limit": (
        f"UPDATE ledger.accounts SET minimum_minor = -5 WHERE account_id = '{ALICE}'",
        {"account_limits_recorded"},
    ),
    "the journal's tail": (
        "DELETE FROM ledger.journal WHERE journal_index = (SELECT max(journal_index) FROM ledger.journal)",
        {"journal_complete", "account_limits_recorded", "commands_recorded"},
    ),
    "a system account is gone": (
        f"DELETE FROM ledger.accounts WHERE account_id = '{system_account_id('EUR', 'SYS-FEES-0001')}'",
        {"system_accounts"},
    ),
    "a system account's limit": (
        f"UPDATE ledger.accounts SET minimum_minor = -2000000 WHERE account_id = '{RESERVE}'",
        {"system_accounts"},
    ),
    "the published mark": ("UPDATE ledger.heads SET published_size = 1", {"published"}),
    "a row in the outbox": (
        "INSERT INTO ledger.outbox (row_id, payload) VALUES (gen_random_uuid(), '')",
        {"ledger_outbox"},
    ),
    "a fee schedule": (
        (
            "INSERT INTO ledger.fee_schedules (version, rules, sha256, published_by, shard, journal_index,"
            " published_at) "
            f"VALUES (9, '', sha256(''), '{ALICE}', 0, 1, now())"
        ),
        {"fee_schedules_recorded"},
    ),
}


async def history(books: Books, admin_dsn: str) -> None:
    """Something of everything: posted, refused, held and captured in part, voided, reversed, limited."""
    await books.fund(alice=1_000, bob=1)
    await books.do(
        screened("t", leg("alice", "bob", 300)),
        screened("no", leg("alice", "nobody", 9)),
        screened("h", leg("alice", "bob", 100), hold_seconds=600),
        held("review", leg("alice", "bob", 10)),
        screened("v", leg("alice", "bob", 50), hold_seconds=600),
    )
    await books.do(capture("h", 40), void("v"), void("t"), reverse("t", 100), change("bob", minimum_minor=-10))
    await books.outcomes.flush()
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("DELETE FROM ledger.outbox")


async def broken(admin_dsn: str, sql: str) -> set[str]:
    """Do it as superuser, with triggers and constraints' checks off, and return the promises that are broken."""
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(f"SET session_replication_role = replica; {sql}")
    run = await reconcile(admin_dsn, scope="books", grace_seconds=0)
    return {outcome.name for outcome in run.outcomes if outcome.differences}


async def test_nothing_differs_after_a_history_of_everything(books: Books, admin_dsn: str) -> None:
    await history(books, admin_dsn)
    run = await reconcile(admin_dsn, scope="books", grace_seconds=0)
    assert [outcome for outcome in run.outcomes if outcome.differences] == []
    assert {outcome.name for outcome in run.outcomes} == {promise.name for promise in PROMISES}
    assert run.journal_size > 10
    assert {row.asset: 0 for row in run.balances} == {
        asset: sum(row.posted_minor for row in run.balances if row.asset == asset)
        for asset in {row.asset for row in run.balances}
    }
    await check(admin_dsn)


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_is_changed_breaks_its_promises(books: Books, admin_dsn: str, what: str) -> None:
    await history(books, admin_dsn)
    sql, expected = TAMPERED[what]
    assert await broken(admin_dsn, sql) == expected


def test_every_promise_can_be_broken() -> None:
    assert {promise.name for promise in PROMISES} == {name for _, names in TAMPERED.values() for name in names}


async def test_a_sample_finds_what_is_wrong_with_accounts_that_moved(books: Books, admin_dsn: str) -> None:
    await history(books, admin_dsn)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(f"UPDATE ledger.accounts SET posted_minor = 302 WHERE account_id = '{BOB}'")
    run = await reconcile(admin_dsn, scope="sample", grace_seconds=0)
    assert {outcome.name for outcome in run.outcomes if outcome.differences} == {"trial_balance", "balances"}


async def test_one_account_is_compared_alone(books: Books, admin_dsn: str) -> None:
    await history(books, admin_dsn)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(f"UPDATE ledger.accounts SET posted_minor = 302 WHERE account_id = '{BOB}'")
    good = await reconcile(admin_dsn, scope="account", account_id=ALICE)
    bad = await reconcile(admin_dsn, scope="account", account_id=BOB)
    assert good.agrees
    assert [(found.subject, outcome.name) for outcome in bad.outcomes for found in outcome.differences] == [
        (BOB, "balances")
    ]


class Loading(HTMLParser):
    """Collects what a browser would run or fetch, and whether tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe", "object"}:
            self.found.append(tag)
        self.found += [name for name, to in attrs if name == "src" or name.startswith("on")]
        self.found += [name for name, to in attrs if name == "href" and not (to or "").startswith("#")]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_command_says_what_differs_in_text_json_and_html(
    books: Books, admin_dsn: str, tmp_path: Path
) -> None:
    await history(books, admin_dsn)
    words = ("--postgres", admin_dsn, "--data", str(tmp_path / "nowhere"))
    finished = tallystick("reconcile", *words)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "All agree" in finished.stdout
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(
            "UPDATE ledger.accounts SET asset = '<b>' WHERE account_number = 'SYS-FEES-0001' AND asset = 'EUR'"
        )
        await connection.execute(f"UPDATE ledger.accounts SET posted_minor = 302 WHERE account_id = '{BOB}'")
    page = tmp_path / "report.html"
    finished = tallystick("reconcile", *words, "--report", str(page), "--json")
    said: dict[str, Any] = json.loads(finished.stdout)
    assert (finished.returncode, said["agrees"], said["scope"]) == (1, False, "books")
    differing = {check["name"]: check for check in said["checks"] if check["differences"]}
    assert differing.keys() == {"trial_balance", "balances", "system_accounts"}
    assert differing["balances"]["examples"] == [
        {"subject": BOB, "text": "balance 3.02 USD, entries 2.41 USD, last balance_after 2.41 USD"}
    ]
    html = page.read_text()
    looking = Loading()
    looking.feed(html)
    assert (looking.found, looking.open) == ([], [])
    assert "balance 3.02 USD, entries 2.41 USD" in html
    assert "<b>" not in html
    assert "&lt;b&gt;" in html


async def test_a_run_says_what_the_books_stood_at_and_how_much_each_check_compared(
    books: Books, admin_dsn: str
) -> None:
    await history(books, admin_dsn)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("INSERT INTO ledger.assets (code, exponent, added_at) VALUES ('DOGE', 8, now())")
        await restore_accounts_of_the_house(connection, books.clock())
        await connection.execute("UPDATE ledger.accounts SET posted_minor = 5 WHERE asset = 'DOGE' AND code = '4000'")
        counted = {
            table: await connection.fetchval(f"SELECT count(*) FROM ledger.{table}")
            for table in ("accounts", "entries", "transfers", "commands", "journal")
        }
        alices = await connection.fetchval(f"SELECT count(*) FROM ledger.entries WHERE account_id = '{ALICE}'")
    found = await verify_ledger(admin_dsn, parse_vkeys(SIGNER.vkey), monotonic_seconds=monotonic_seconds)
    record = RecordVerification(books.writing, Outbox("ledger", books.publisher, books.writing), SIGNER, books.clock, 0)
    await record(found)
    run = await reconcile(admin_dsn, scope="books", grace_seconds=0)
    compared = {outcome.name: (outcome.compared, outcome.things) for outcome in run.outcomes}
    assert compared["balances"] == (counted["accounts"], "accounts")
    assert compared["running_balances"] == (counted["entries"], "entries")
    assert compared["records_applied"] == (counted["transfers"], "transfers")
    assert compared["commands_recorded"] == (counted["commands"], "commands")
    assert compared["journal_complete"] == (counted["journal"], "records")
    assert compared["system_accounts"] == (30, "accounts of the house")
    of_alice = await reconcile(admin_dsn, scope="account", account_id=ALICE)
    compared = {outcome.name: (outcome.compared, outcome.things) for outcome in of_alice.outcomes}
    assert (compared["balances"], compared["entries_recorded"]) == ((1, "accounts"), (alices, "entries"))
    (newest,) = run.standing.verifications
    assert (newest.scope, newest.size, newest.findings) == ("full", run.journal_size, len(found.findings))
    assert run.standing.is_halted
    html = html_report(run, parse_vkeys(SIGNER.vkey), this_maker())
    assert "0.00000005 DOGE too many" in html
    checkpoint = read_checkpoint(run.standing.checkpoint, parse_vkeys(SIGNER.vkey))
    assert (checkpoint.size, checkpoint.root, checkpoint.signature) == (run.journal_size, found.root, "good")
    assert found.root in html


async def test_what_could_not_be_asked_is_no_agreement(books: Books, admin_dsn: str, tmp_path: Path) -> None:
    await history(books, admin_dsn)
    words = ("--postgres", admin_dsn, "--data", str(tmp_path / "nowhere"), "--json")
    finished = tallystick("reconcile", "--all", *words)
    said = json.loads(finished.stdout)
    assert (finished.returncode, said["agrees"]) == (2, True)
    assert {check["name"] for check in said["checks"] if check["skipped"]} == {
        *(comparison.name for comparison in COMPARISONS),
        *("gateway_outbox", "accounts_outbox", "fraud_outbox", "kyc_outbox"),
    }
    assert tallystick("reconcile", "--account", id_of("nobody"), *words).returncode == 2
    for wrong in (("--account", "x"), ("--account", ALICE, "--all")):
        assert tallystick("reconcile", *wrong, *words).returncode == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "no stack runs on"),
        (("--postgres", "postgresql://nobody@127.0.0.1:1/nothing"), "the database cannot be read"),
        (("--postgres", "postgresql://nobody@127.0.0.1:1/nothing", "--account", "7"), "is no account id"),
        (("--postgres", "postgresql://nobody@127.0.0.1:1/nothing", "--repair", "--by", "7"), "not '7'"),
    ],
)
def test_what_could_not_be_done_at_all_ends_as_unknown_and_not_as_a_difference(
    tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    finished = tallystick("reconcile", *words, "--data", str(tmp_path / "nowhere"))
    assert (finished.returncode, finished.stdout) == (2, "")
    assert why in finished.stderr
    assert "Traceback" not in finished.stderr
