"""A reconciliation as one HTML file for an auditor: no scripts, nothing loaded from anywhere, everything escaped."""

from html import escape
from typing import Final

from services.ledger.domain.reconciliation import AssetBalance, Outcome, Reconciliation
from tallystick.reconciliation.amounts import written

_STYLE: Final = """
:root { color-scheme: light; --ink: #16202a; --soft: #5b6875; --line: #d9dfe5; --good: #14713d; --bad: #a6192e;
  --open: #8a5a00; --paper: #ffffff; --tint: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.75rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
.lead { color: var(--soft); margin: 0 0 1.5rem; }
.verdict { border-left: .4rem solid; padding: .8rem 1rem; background: var(--tint); font-weight: 600; }
.verdict.ok { border-color: var(--good); color: var(--good); } .verdict.differs { border-color: var(--bad);
  color: var(--bad); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 1.5rem 0 0; }
dt { color: var(--soft); } dd { margin: 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; } .number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
tr.total td { font-weight: 600; border-top: 2px solid var(--ink); }
code { font: .85em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
.ok { color: var(--good); } .differs { color: var(--bad); font-weight: 600; } .skipped { color: var(--open); }
footer { margin-top: 3rem; color: var(--soft); font-size: .9rem; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""
_FOOTER: Final = """
<footer>All figures of the ledger come from one snapshot of its tables. Other services are compared by digests that they
publish of what they show. Whether the ledger's own records are genuine is another question:
<code>tallystick verify</code> answers it from the signed journal.</footer>
"""
_SCOPES: Final = {
    "all": "the whole ledger, and what the other services show of it",
    "books": "the whole ledger",
    "account": "one account",
    "sample": "the accounts that moved last, and what is quick to check of all others",
}


def html_report(run: Reconciliation) -> str:
    """Return the report."""
    checked = [outcome for outcome in run.outcomes if outcome.verdict != "skipped"]
    skipped = len(run.outcomes) - len(checked)
    found = f"No difference in {len(checked)} checks." if run.agrees else f"{run.differences} difference(s); see below."
    left_out = f" {skipped} check(s) could not be made." if skipped else ""
    facts = {
        "Compared": _SCOPES[run.scope] + (f": {run.account_id}" if run.account_id else ""),
        "Began": run.began_at,
        "Ended": run.ended_at,
        "Journal": f"{run.journal_size:,} records",
        "Left out": f"what changed in the last {run.grace_seconds:.0f} s and may still be on its way to other services",
    }
    body = [
        "<h1>Reconciliation</h1>",
        '<p class="lead">What the ledger and the services around it say of the same money, compared.</p>',
        f'<p class="verdict {"ok" if run.agrees else "differs"}">{escape(found + left_out)}</p>',
        "<dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()),
        "</dl>",
        _trial_balance(run),
        _checks(run),
        *(_differences(outcome) for outcome in run.outcomes if outcome.differences),
        _FOOTER,
    ]
    return _PAGE.format(title=escape(f"Reconciliation {run.began_at}"), style=_STYLE, body="\n".join(body))


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _trial_balance(run: Reconciliation) -> str:
    rows = []
    for asset in sorted({row.asset for row in run.balances}):
        of_asset = [row for row in run.balances if row.asset == asset]
        rows += [_balance_row(row) for row in of_asset]
        total_minor = sum(row.posted_minor for row in of_asset)
        accounts = sum(row.accounts for row in of_asset)
        rows.append(
            f'<tr class="total"><td>{escape(asset)}</td><td>all</td><td class="number">{accounts:,}</td>'
            f'<td class="number {"ok" if total_minor == 0 else "differs"}">{_money(total_minor, asset)}</td>'
            "<td></td><td></td></tr>"
        )
    heads = "".join(f'<th class="number">{name}</th>' for name in ("accounts", "posted", "pending in", "pending out"))
    return (
        "<h2>Trial balance</h2><p>Credits less debits: all accounts of an asset sum up to zero.</p>"
        f'<div class="wide"><table><tr><th>asset</th><th>type</th>{heads}</tr>{"".join(rows)}</table></div>'
    )


def _balance_row(row: AssetBalance) -> str:
    minors = (row.posted_minor, row.pending_in_minor, row.pending_out_minor)
    numbers = "".join(f'<td class="number">{_money(minor, row.asset)}</td>' for minor in minors)
    named = f"<td>{escape(row.asset)}</td><td>{escape(row.type)}</td>"
    return f'<tr>{named}<td class="number">{row.accounts:,}</td>{numbers}</tr>'


def _money(amount_minor: int, asset: str) -> str:
    return escape(written(amount_minor, asset))


def _checks(run: Reconciliation) -> str:
    rows = "".join(
        f"<tr><td>{escape(outcome.promise)}<br><code>{escape(outcome.name)}</code></td>"
        f'<td class="{outcome.verdict}">{escape(_said(outcome))}</td></tr>'
        for outcome in run.outcomes
    )
    return f'<h2>Checks</h2><div class="wide"><table><tr><th>promise</th><th>result</th></tr>{rows}</table></div>'


def _said(outcome: Outcome) -> str:
    match outcome.verdict:
        case "ok":
            return "kept" if outcome.compared is None else f"kept, {outcome.compared:,} compared"
        case "skipped":
            return f"not checked: {outcome.skipped}"
        case _:
            return f"{len(outcome.differences):,}{' and more' if outcome.is_cut else ''} differ"


def _differences(outcome: Outcome) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(difference.subject)}</code></td><td>{escape(difference.text)}</td></tr>"
        for difference in outcome.differences
    )
    return (
        f"<h3>{escape(outcome.name)}: {escape(outcome.promise)}</h3>"
        f'<div class="wide"><table><tr><th>about</th><th>what differs</th></tr>{rows}</table></div>'
    )
