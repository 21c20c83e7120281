"""GET /api/v1/admin/ledger/trial-balance: what the whole house has, owes and earned, per asset."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from libs.common.clock import Clock, to_rfc3339
from libs.common.http.gate import permitted
from libs.common.http.moments import Moment, require_past
from libs.common.http.openapi import refusals
from services.ledger.views.trial_balance import CodeTotals, TrialBalanceView

_DEBIT_TYPES: Final = frozenset({"asset", "expense"})
"""Types whose balance stands on the debit side by nature."""


class CodeLine(BaseModel):
    """The balances of all accounts of one type and code, each on the side it stands on."""

    type: str
    code: str
    accounts: int
    debit_minor: int
    credit_minor: int


class BalanceSheet(BaseModel):
    """Balances by type, each above zero on its natural side: asset and expense debit, the others credit.

    asset + expense = liability + equity + income.
    """

    asset_minor: int
    liability_minor: int
    equity_minor: int
    income_minor: int
    expense_minor: int


class AssetBalance(BaseModel):
    """One asset's trial balance and balance sheet. `difference_minor` is credits less debits; it must be 0."""

    asset: str
    lines: list[CodeLine]
    debit_minor: int
    credit_minor: int
    difference_minor: int
    balance_sheet: BalanceSheet


class TrialBalanceAnswer(BaseModel):
    """The books at one moment, each asset by itself; `at` null: now."""

    at: str | None
    assets: list[AssetBalance]


def trial_balance_router(trial_balance: TrialBalanceView, clock: Clock) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1/admin/ledger", tags=["staff"])

    @router.get(
        "/trial-balance",
        dependencies=[permitted("trial_balance.read")],
        summary="Get the trial balance and the balance sheet",
        responses=refusals("role_required", "moment_in_future"),
    )
    async def get_trial_balance(
        at: Annotated[Moment | None, Query(description="as of this moment (RFC 3339); now if absent")] = None,
    ) -> TrialBalanceAnswer:
        """Return the sums of all balances by asset, type and code, now or at a moment that has passed.

        For auditors, operators and administrators. Today's is read from the accounts. For the past each account that
        changed since is searched; a book too large for that within five seconds answers `database_busy`.
        """
        require_past(at, clock())
        totals = await (trial_balance.now() if at is None else trial_balance.at(at))
        return TrialBalanceAnswer(at=None if at is None else to_rfc3339(at), assets=summed_by_asset(totals))

    return router


def summed_by_asset(totals: Iterable[CodeTotals]) -> list[AssetBalance]:
    """Sum lines, which are sorted by asset, into one balance an asset."""
    return [_balance(asset, list(lines)) for asset, lines in groupby(totals, key=lambda line: line.asset)]


def _balance(asset: str, totals: Sequence[CodeTotals]) -> AssetBalance:
    debit_minor, credit_minor = (sum(line.debit_minor for line in totals), sum(line.credit_minor for line in totals))

    def of_type(kind: str) -> int:
        credits_less_debits = sum(line.credit_minor - line.debit_minor for line in totals if line.type == kind)
        return -credits_less_debits if kind in _DEBIT_TYPES else credits_less_debits

    return AssetBalance(
        asset=asset,
        lines=[
            CodeLine(
                type=line.type,
                code=line.code,
                accounts=line.accounts,
                debit_minor=line.debit_minor,
                credit_minor=line.credit_minor,
            )
            for line in totals
        ],
        debit_minor=debit_minor,
        credit_minor=credit_minor,
        difference_minor=credit_minor - debit_minor,
        balance_sheet=BalanceSheet(
            asset_minor=of_type("asset"),
            liability_minor=of_type("liability"),
            equity_minor=of_type("equity"),
            income_minor=of_type("income"),
            expense_minor=of_type("expense"),
        ),
    )
