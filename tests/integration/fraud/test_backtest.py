"""`tallystick fraud backtest`: what other rules would have decided."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.office import Office
from tests.integration.fraud.random_decisions import RULES, decide_at_random
from tests.integration.fraud.rulebook import end_rulesets, put_live
from tests.support.api_world import ROLE_PASSWORD, admin_connection
from tests.support.command_line import Finished, tallystick

ROOT = Path(__file__).parents[3]
BEGINS = datetime(2025, 9, 1, tzinfo=UTC)


def _backtest(dsn: str, rules: Path, *more: str) -> Finished:
    days = ("--from", "2025-09-01", "--to", "2025-09-04")
    return tallystick("fraud", "backtest", "--rules", str(rules), *days, "--postgres", dsn, *more)


async def _decided(office: Office, admin_dsn: str) -> None:
    await put_live(admin_dsn, RULES)
    office.screening.look_again()
    await decide_at_random(office, Random(20250901), begins_at=BEGINS, days=4)
    await end_rulesets(admin_dsn)
    office.screening.look_again()


async def test_the_same_rules_change_nothing_and_others_show_what_they_would(
    office: Office, fraud_admin_dsn: str, tmp_path: Path
) -> None:
    await _decided(office, fraud_admin_dsn)
    [[decisions]] = await office.query(
        "SELECT count(*) FROM fraud.decisions WHERE decided_at >= $1 AND decided_at < $2", BEGINS, BEGINS.replace(day=5)
    )
    [[reviewed]] = await office.query(
        "SELECT count(*) FROM fraud.decisions WHERE decided_at >= $1 AND decided_at < $2 AND 'review' = ANY (reasons)",
        BEGINS,
        BEGINS.replace(day=5),
    )
    rules, page = tmp_path / "rules.yaml", tmp_path / "page.html"

    rules.write_text(RULES)
    same = _backtest(fraud_admin_dsn, rules)
    assert same.returncode == 0, same.stderr
    assert f"{decisions:,} decisions made again by tried" in same.stdout
    assert "\n0 would come out otherwise" in same.stdout

    rules.write_text(RULES.replace("block_from: 100", "block_from: 50"))
    stricter = _backtest(fraud_admin_dsn, rules, "--html", str(page))
    assert reviewed > 0
    assert f"\n{reviewed:,} would come out otherwise" in stricter.stdout
    assert "hold → block" in stricter.stdout
    html = page.read_text()
    assert f"{reviewed:,} of {decisions:,} decisions would come out otherwise." in html
    assert html.count("<svg") == 4, "alerts a day, and each of three rules"
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")


@pytest.fixture
async def reader_dsn(fraud_admin_dsn: str) -> AsyncIterator[str]:
    """Give the DSN of the role that docs/fraud.md makes."""
    [made] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "fraud.md").read_text(), re.DOTALL)
    async with admin_connection(fraud_admin_dsn) as connection:
        await connection.execute(made.replace("…", ROLE_PASSWORD))
    yield dsn_of_role(fraud_admin_dsn, "rules_reader", ROLE_PASSWORD)
    async with admin_connection(fraud_admin_dsn) as connection:
        await connection.execute("DROP OWNED BY rules_reader; DROP ROLE rules_reader")


async def test_who_may_read_decisions_alone_may_try_rules_and_is_told_if_he_may_not(
    fraud_admin_dsn: str, reader_dsn: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    tried = _backtest(reader_dsn, rules)
    assert (tried.returncode, "decisions made again by tried" in tried.stdout) == (0, True), tried.stderr
    async with admin_connection(fraud_admin_dsn) as connection:
        await connection.execute("REVOKE SELECT ON fraud.decision_counts FROM rules_reader")
    refused = _backtest(reader_dsn, rules)
    assert (refused.returncode, "permission denied" in refused.stderr) == (2, True)


async def test_what_cannot_be_tried_is_said(fraud_admin_dsn: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.replace("usd_minor > 40000", "usd_mino > 40000"))
    wrong = _backtest(fraud_admin_dsn, rules)
    assert (wrong.returncode, "Line" in wrong.stderr, "usd_mino" in wrong.stderr) == (2, True, True)
    rules.write_text(RULES + "block_from: 1000\n")
    twice = _backtest(fraud_admin_dsn, rules)
    assert (twice.returncode, "`block_from` stands twice" in twice.stderr) == (2, True)
    assert _backtest(fraud_admin_dsn, tmp_path / "none.yaml").returncode == 2
    words = ("fraud", "backtest", "--rules", str(rules), "--postgres", fraud_admin_dsn)
    assert tallystick(*words, "--from", "2025-09-31", "--to", "2025-10-01").returncode == 1
    assert "at most 366 days" in tallystick(*words, "--from", "2024-01-01", "--to", "2025-10-01").stderr
