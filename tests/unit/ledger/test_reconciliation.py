"""What a run says of itself: verdicts, counts and amounts as people and machines read them."""

import json
from typing import Final

import pytest

from services.ledger.domain.reconciliation import (
    AssetBalance,
    Difference,
    Outcome,
    Reconciliation,
    Standing,
    report_of,
    written,
)

FOUND: Final = tuple(Difference(f"account {number}", f"{number} minor units too many") for number in range(3))
SKIPPED: Final = Outcome("accounts_agree", "accounts show it", skipped="accounts cannot be asked", compared=0)


def run(*outcomes: Outcome) -> Reconciliation:
    return Reconciliation(
        scope="all",
        account_id="",
        began_at="2026-03-01T02:00:00.000000Z",
        ended_at="2026-03-01T02:00:09.000000Z",
        grace_seconds=5.0,
        journal_size=971,
        balances=(AssetBalance("USD", "liability", 40, 1_250, 0, 0),),
        outcomes=outcomes,
        run_id="a run",
        exponents={"USD": 2},
        standing=Standing(is_halted=True, open_findings=1),
    )


@pytest.mark.parametrize(
    ("outcome", "verdict", "scale"),
    [
        (Outcome("no_gap", "numbers follow", compared=12_500, things="entries"), "ok", "12,500 entries"),
        (Outcome("no_gap", "numbers follow", differences=FOUND, compared=3), "differs", "3"),
        (Outcome("no_gap", "numbers follow"), "ok", ""),
        (SKIPPED, "skipped", ""),
    ],
)
def test_a_promise_is_kept_broken_or_not_asked_and_says_of_how_many_things(
    outcome: Outcome, verdict: str, scale: str
) -> None:
    assert (outcome.verdict, outcome.scale) == (verdict, scale)


def test_what_could_not_be_compared_is_no_disagreement() -> None:
    assert run(SKIPPED).agrees
    assert run().differences == 0
    differs = run(SKIPPED, Outcome("no_gap", "numbers follow", differences=FOUND))
    assert (differs.agrees, differs.differences) == (False, 3)


def test_a_report_shows_the_first_differences_and_how_many_there_are() -> None:
    cut = Outcome("no_gap", "numbers follow", differences=FOUND, is_cut=True, compared=7, things="entries")
    report = json.loads(json.dumps(report_of(run(cut, SKIPPED), shown_max=2)))
    first, second = report["checks"]
    assert (first["verdict"], first["differences"], first["is_cut"], first["compared"]) == ("differs", 3, True, 7)
    assert first["examples"] == [
        {"subject": "account 0", "text": "0 minor units too many"},
        {"subject": "account 1", "text": "1 minor units too many"},
    ]
    assert (second["verdict"], second["skipped"]) == ("skipped", "accounts cannot be asked")
    assert (report["agrees"], report["journal_size"], report["run_id"]) == (False, 971, "a run")
    assert report["balances"][0]["posted_minor"] == 1_250
    assert (report["standing"]["is_halted"], report["exponents"]) == (True, {"USD": 2})


@pytest.mark.parametrize(
    ("amount_minor", "asset", "text"),
    [
        (1_234_567, "USD", "12,345.67 USD"),
        (5, "DOGE", "0.00000005 DOGE"),
        (1_234, "GOLD", "1,234 minor units of GOLD"),
    ],
)
def test_an_amount_has_the_decimals_of_its_asset(amount_minor: int, asset: str, text: str) -> None:
    assert written(amount_minor, asset, {"DOGE": 8, "USD": 4}) == text
