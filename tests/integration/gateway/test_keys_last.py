"""An idempotency key means the same for as long as there is its transfer: in no cache, and for no number of seconds."""

from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.errors import Unprocessable
from services.gateway.domain.outcomes import Outcome
from tests.integration.gateway.counter import Counter, open_counter

YEARS = timedelta(days=3_650)


@pytest.mark.parametrize("scope", ["transfers", "deposits", "batch"])
async def test_a_key_is_known_ten_years_and_a_restart_later(
    counter: Counter, gateway_dsn: str, tmp_path: Path, scope: str
) -> None:
    """Keys lived for 300 seconds in a volatile store: a later retry paid again, and another body was answered.

    https://github.com/LerianStudio/midaz/issues/1974, https://github.com/LerianStudio/midaz/issues/1436
    """
    [first] = await counter.take(counter.submission("invoice 7", scope=scope))
    assert isinstance(first, Outcome)
    await counter.hear(first.transfer_id, "posted")
    (tmp_path / "later").mkdir()
    async with open_counter(gateway_dsn, tmp_path / "later") as restarted:
        restarted.payer, restarted.payee = counter.payer, counter.payee
        restarted.clock.move(YEARS)
        [again] = await restarted.take(restarted.submission("invoice 7", scope=scope))
        [other] = await restarted.take(restarted.submission("invoice 7", scope=scope, amount_minor=2))
        assert isinstance(again, Outcome)
        assert (again.transfer_id, again.status) == (first.transfer_id, "posted")
        assert isinstance(other, Unprocessable)
        assert other.code == "idempotency_key_reused"
        assert restarted.sent_ids() == []


async def test_a_refused_transfer_keeps_its_key_and_what_was_never_kept_leaves_it_free(counter: Counter) -> None:
    """A transfer that was turned away kept its key, so that its client could not send it again.

    What is refused is decided and stays so, under its key; what could not be kept was never decided.
    https://github.com/LerianStudio/midaz/issues/709
    """
    [first] = await counter.take(counter.submission("refused"))
    assert isinstance(first, Outcome)
    await counter.hear(first.transfer_id, "refused", code="insufficient_funds")
    [again] = await counter.take(counter.submission("refused"))
    assert isinstance(again, Outcome)
    assert (again.transfer_id, again.status, again.code) == (first.transfer_id, "refused", "insufficient_funds")

    await counter.rows("ALTER TABLE gateway.transfers ADD CONSTRAINT away CHECK (scope <> 'transfers') NOT VALID")
    [failure] = await counter.take(counter.submission("never kept"))
    assert isinstance(failure, BaseException)
    await counter.rows("ALTER TABLE gateway.transfers DROP CONSTRAINT away")
    [kept] = await counter.take(counter.submission("never kept"))
    assert isinstance(kept, Outcome)
