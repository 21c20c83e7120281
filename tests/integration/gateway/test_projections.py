"""What the gateway keeps of others: never older than what it has, and a final answer stays."""

import httpx2
import pytest

from libs.common.contracts.accounts import AccountChanged, AccountStatus, CustomerChanged, Profile
from libs.common.contracts.dead_letters import MessageParked
from libs.common.contracts.kyc import VerificationChanged
from libs.common.contracts.ledger import TransferStatus
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.gateway.store.transfers import load_outcomes
from services.gateway.use_cases.look_up_parties import Directory
from services.gateway.use_cases.project_directory import project_accounts, project_profiles, project_tiers
from services.gateway.use_cases.project_outcomes import mark_parked, project_outcomes
from tests.integration.gateway.counter import AT, Counter, changed


async def outcome(counter: Counter, transfer_id: str) -> tuple[str, int, str]:
    async with counter.connections["lookup"].autocommit() as connection:
        [found] = await load_outcomes(connection, [transfer_id])
    return found.status, found.version, found.code


async def test_an_older_version_never_replaces_a_newer_one(counter: Counter) -> None:
    transfer_id = new_id()
    await counter.hear(transfer_id, "held", 2)
    await counter.hear(transfer_id, "held", 1)
    assert await outcome(counter, transfer_id) == ("held", 2, "")
    messages = [changed(transfer_id, "posted", 3), changed(transfer_id, "held", 2)]
    await project_outcomes(messages, counter.connections["projection"])
    await project_outcomes(messages[::-1], counter.connections["projection"])
    assert await outcome(counter, transfer_id) == ("posted", 3, "")


@pytest.mark.parametrize("final", ["posted", "refused", "blocked", "voided"])
async def test_the_first_final_outcome_stays_the_answer(final: TransferStatus, counter: Counter) -> None:
    transfer_id = new_id()
    await counter.hear(transfer_id, final, 1, "first")
    await counter.hear(transfer_id, "voided", 2, "later")
    assert await outcome(counter, transfer_id) == (final, 1, "first")


def parked(*transfer_ids: str) -> MessageParked:
    return MessageParked(
        dead_letter_id=new_id(),
        group="fraud.screen",
        topic="gateway.transfer-requests.v1",
        partition=0,
        offset=1,
        message_type="x",
        cause="payer_missing",
        transfer_ids=transfer_ids,
        occurred_at=AT,
    )


async def test_a_parked_command_shows_as_parked_until_there_is_an_outcome_after_all(counter: Counter) -> None:
    submission, settled = counter.submission(), new_id()
    await counter.take(submission)
    await counter.hear(settled, "posted")
    await mark_parked([parked(submission.transfer_id, settled), parked()], counter.connections["projection"])
    assert await outcome(counter, settled) == ("posted", 1, "")
    async with counter.http() as http:
        path, bearer = f"/api/v1/transfers/{submission.transfer_id}", counter.keys.bearer(counter.payer.owner_id)
        shown = (await http.get(path, headers=bearer)).json()
        assert (shown["status"], shown["code"]) == ("parked", "payer_missing")
        await counter.hear(submission.transfer_id, "posted")
        assert (await http.get(path, headers=bearer)).json()["status"] == "posted"


def account(account_id: str, status: AccountStatus, version: int) -> AccountChanged:
    return AccountChanged(
        account_id=account_id,
        account_number="TS1",
        owner_id=new_id(),
        asset="USD",
        status=status,
        version=version,
        occurred_at=AT,
    )


def customer(user_id: str, profile: Profile, version: int) -> CustomerChanged:
    return CustomerChanged(user_id=user_id, profile=profile, status="active", version=version, occurred_at=AT)


def verified(user_id: str, tier: int, version: int) -> VerificationChanged:
    return VerificationChanged(user_id=user_id, status="approved", tier=tier, version=version, occurred_at=AT)


async def test_accounts_and_customers_are_kept_at_their_newest_version(counter: Counter) -> None:
    account_id, user_id, projection = new_id(), new_id(), counter.connections["projection"]
    await project_accounts([account(account_id, "closed", 3), account(account_id, "active", 2)], projection)
    await project_accounts([account(account_id, "active", 2)], projection)
    await project_profiles([customer(user_id, "business", 3), customer(user_id, "retail", 2)], projection)
    await project_profiles([customer(user_id, "retail", 2)], projection)
    await project_tiers([verified(user_id, 2, 3), verified(user_id, 1, 2)], projection)
    await project_tiers([verified(user_id, 1, 2)], projection)
    [row] = await counter.rows("SELECT status, version FROM gateway.accounts WHERE account_id = $1", account_id)
    assert row == {"status": "closed", "version": 3}
    [row] = await counter.rows("SELECT profile, kyc_tier FROM gateway.customers WHERE user_id = $1", user_id)
    assert row == {"profile": "business", "kyc_tier": 2}


async def test_an_account_the_projection_does_not_know_is_asked_for_once(counter: Counter) -> None:
    owner_id, account_id = new_id(), new_id()
    counter.neighbour.status = 200
    counter.neighbour.body = {"owner_id": owner_id, "asset": "USD", "status": "active", "version": 4}
    for _ in range(2):
        await counter.directory.fetch([account_id], counter.payer.owner_id)
    assert counter.neighbour.asked == ["/internal/accounts/find"]
    assert counter.directory.accounts[account_id].owner_id == owner_id
    assert counter.directory.customers[owner_id].kyc_tier == 0


async def test_an_account_nobody_knows_is_unknown(counter: Counter) -> None:
    account_id = new_id()
    for _ in range(3):
        await counter.directory.fetch([account_id], counter.payer.owner_id)
    assert account_id not in counter.directory.accounts
    assert len(counter.neighbour.asked) == 1, "who does not know it need not be asked again at once"


async def test_what_nobody_knew_is_asked_for_again_after_a_moment(counter: Counter) -> None:
    now = 0.0
    directory = Directory(counter.connections["lookup"], counter.client, "sister to sister", lambda: now)
    account_id = new_id()
    await directory.fetch([account_id], counter.payer.owner_id)
    counter.neighbour.status = 200
    counter.neighbour.body = {"owner_id": new_id(), "asset": "USD", "status": "active", "version": 1}
    now = 4.0
    await directory.fetch([account_id], counter.payer.owner_id)
    assert account_id in directory.accounts
    assert len(counter.neighbour.asked) == 2


async def test_a_batch_asks_about_all_its_accounts_at_once(counter: Counter) -> None:
    transfers = [counter.body(destination_account_id=new_id(), idempotency_key=new_id()) for _ in range(300)]
    headers = {**counter.keys.bearer(counter.payer.owner_id), "Prefer": "wait=0"}
    async with counter.http() as http:
        body = {"mode": "independent", "transfers": transfers}
        answer = await http.post("/api/v1/transfers/batch", json=body, headers=headers)
    assert answer.status_code == 200
    assert counter.neighbour.asked == ["/internal/accounts/find"]


@pytest.mark.parametrize("fault", ["away", "500", "503", "401"])
async def test_an_accounts_service_that_cannot_be_asked_is_unavailable_and_nothing_is_stored(
    fault: str, counter: Counter
) -> None:
    counter.neighbour.away = fault == "away"
    counter.neighbour.status = 404 if fault == "away" else int(fault)
    with pytest.raises(Unavailable, match="accounts_unavailable"):
        await counter.directory.fetch([new_id()], counter.payer.owner_id)
    before = await counter.rows("SELECT count(*) FROM gateway.transfers")
    bearer = counter.keys.bearer(counter.payer.owner_id)
    unknown = counter.body(destination_account_id=new_id())
    answers: list[httpx2.Response] = []
    async with counter.http() as http:
        headers = {**bearer, "Idempotency-Key": new_id()}
        answers.append(await http.post("/api/v1/transfers", json=unknown, headers=headers))
        for mode in ("independent", "atomic"):
            transfers = [{**body, "idempotency_key": new_id()} for body in (counter.body(), unknown)]
            body = {"mode": mode, "transfers": transfers}
            answers.append(await http.post("/api/v1/transfers/batch", json=body, headers=bearer))
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "accounts_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert await counter.rows("SELECT count(*) FROM gateway.transfers") == before
