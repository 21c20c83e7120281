"""The result, for a person and for a script."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from libs.common.money import format_minor
from tallystick.demo.customers import ASSET, PENDING
from tallystick.demo.pay import BATCH_LINES
from tallystick.demo.speed import Speed, measure
from tallystick.demo.story import Told
from tallystick.demo.verdict import Figure, count_codes, repeated, sum_minor

_LIMIT_FACTS: Final = ("code", "limit", "limit_count", "used_count", "resets_at")
_SHOWN_MAX: Final = 400
"""Characters of a wrong figure: a few lines of a terminal."""


def as_json(told: Told, figures: Sequence[Figure], *, rate_limits: str, seconds: float) -> dict[str, Any]:
    """Return everything of interest as one document."""
    paid, books = told.payroll.paid, told.books
    again = repeated(paid)
    return {
        "ok": all(figure.is_right for figure in figures),
        "rate_limits": rate_limits,
        "seconds": round(seconds, 1),
        "payroll": {
            "lines": told.lines,
            "posted": sum(one.status == "posted" for one in paid) - len(again),
            "held": sum(one.status == "held" for one in paid),
            "held_then_released": told.arrival.statuses.count("posted"),
            "blocked": count_codes(paid, "blocked"),
            "refused": count_codes(paid, "refused"),
            "answered_again": len(again),
            "seconds": round(told.payroll.seconds, 2),
        },
        "speed": {name: round(value, 1) for name, value in asdict(speed_of(told)).items()},
        "hourly_limit": {name: told.singles.over_limit.said.get(name) for name in _LIMIT_FACTS},
        "release": {
            "seconds": round(told.arrival.seconds, 2),
            "before_minor": told.arrival.before_minor,
            "after_minor": told.arrival.after_minor,
        },
        "proof": {
            "receipts_verified": len(told.receipts.proven),
            "receipts_wrong": told.receipts.faults,
            "sums_minor": dict(books.sums_minor),
            "journal_records": books.verification.records,
            "journal_root": books.verification.root,
            "service_checks": books.checks,
            "differences": books.differences,
        },
        "figures": [{**asdict(figure), "right": figure.is_right} for figure in figures],
    }


def show(console: Console, told: Told, figures: Sequence[Figure], *, seconds: float) -> None:
    """Print the table, how fast it went, the proof, and what is wrong, if anything is."""
    console.print(_outcomes(told))
    _show_speed(console, told)
    _show_limit_and_release(console, told)
    _show_proof(console, told)
    wrong = [figure for figure in figures if not figure.is_right]
    for figure in wrong:
        text = f"WRONG: {figure.name}: expected {_short(figure.expected)}, found {_short(figure.found)}"
        console.print(Text(text, style="bold red"))
    if wrong:
        console.print(Text(f"{len(wrong)} of {len(figures)} figures are wrong ({seconds:.0f} s).", style="bold red"))
    else:
        console.print(
            Text(f"All {len(figures)} figures are what the file says they must be ({seconds:.0f} s).", "bold green")
        )


def speed_of(told: Told) -> Speed:
    """Return the speed of the payroll's lines that were posted without waiting for anybody."""
    posted = {one.transfer_id for one in told.payroll.paid if one.status == "posted" and one.transfer_id is not None}
    return measure(told.receipts.proven, posted)


def _outcomes(told: Told) -> Table:
    paid, again = told.payroll.paid, repeated(told.payroll.paid)
    table = Table(title=f"Payroll of {told.lines:,} lines", title_justify="left")
    table.add_column("what became of it")
    table.add_column("lines", justify="right")
    table.add_column("amount", justify="right")
    table.add_column("why")
    repeats = [second for _, second in again]

    def row(name: str, status: str, why: str, code: str = "") -> None:
        lines = [one for one in paid if one.status == status and one.code == code and one not in repeats]
        _add(table, name, len(lines), sum_minor(lines), why)

    row("posted", "posted", "")
    row("held → released", "held", f"{PENDING} was verified only after the payroll")
    for status in ("blocked", "refused"):
        for code in sorted(count_codes(paid, status)):
            row(status, status, code, code)
    _add(table, "answered again", len(repeats), sum_minor(repeats), "a key used before: not paid twice")
    return table


def _add(table: Table, name: str, lines: int, total_minor: int, why: str) -> None:
    table.add_row(name, f"{lines:,}", format_minor(total_minor, ASSET), why)


def _show_speed(console: Console, told: Told) -> None:
    speed = speed_of(told)
    console.print(
        f"Speed    {speed.per_second:,.0f} transfers/s; accepted to posted p50 {speed.p50_ms:.0f} ms, "
        f"p95 {speed.p95_ms:.0f} ms (by the receipts; batches of {BATCH_LINES})",
        highlight=False,
    )


def _show_limit_and_release(console: Console, told: Told) -> None:
    over, arrival = told.singles.over_limit.said, told.arrival
    console.print(
        f"Limit    transfer 51 of a retail customer: {over.get('code')}, limit {over.get('limit_count')}, "
        f"used {over.get('used_count')}, resets_at {over.get('resets_at')}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"Release  {PENDING} approved: {len(arrival.statuses)} held salaries arrived in {arrival.seconds:.1f} s, "
        f"{format_minor(arrival.before_minor, ASSET)} → {format_minor(arrival.after_minor, ASSET)}",
        highlight=False,
        soft_wrap=True,
    )


def _show_proof(console: Console, told: Told) -> None:
    books, first, again = told.books, told.singles.first, told.replayed
    sums = ", ".join(format_minor(total_minor, asset) for asset, total_minor in books.sums_minor.items())
    same = "the same bytes" if first.body == again.body else "OTHER bytes"
    compared = f"{books.checks} comparisons between services, {len(books.differences)} differences"
    for text in (
        f"Proof    books sum up to {sums}; {books.verification.records:,} journal records recomputed; {compared}",
        f"         {len(told.receipts.proven):,} receipts verified offline, {len(told.receipts.faults)} wrong",
        f"         one key replayed: {same}",
    ):
        console.print(Text(text), soft_wrap=True)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
