"""What the broker forgot to tell, kyc asks for: whom accounts has erased."""

import httpx2
import pytest
from pydantic import SecretStr

from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.personal.erased_at_accounts import ErasedAtAccounts
from libs.common.personal.fetch_erasures import FetchErasures
from services.kyc.use_cases.forget_applicants import ForgetApplicants
from tests.integration.kyc.conftest import World


class Accounts:
    """Accounts, as far as it tells whom it erased: a page of one."""

    def __init__(self) -> None:
        self.erased: list[tuple[str, str]] = []
        self.asked_since: list[str] = []
        self.status = 200

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.headers["x-internal-token"] == "sister to sister"
        place = (request.url.params["since"], request.url.params["after"])
        self.asked_since.append(place[0])
        page = sorted(one for one in self.erased if one > place)[:1]
        body = {"erasures": [{"user_id": user_id, "erased_at": at} for at, user_id in page]}
        return httpx2.Response(self.status, json=body)


async def test_whom_accounts_has_erased_is_forgotten_here_though_no_message_came(world: World) -> None:
    accounts = Accounts()
    sister = ErasedAtAccounts("http://accounts", SecretStr("sister to sister"), httpx2.MockTransport(accounts))
    fetch = FetchErasures(sister, ForgetApplicants(world.uow, world.clock))
    first, second, kept = new_id(), new_id(), new_id()
    for user_id in (first, second, kept):
        await world.apply(user_id)
    accounts.erased = [("2026-03-01T09:30:00.000000Z", first), ("2026-03-01T12:00:00.000000Z", second)]
    await fetch()
    rows = await world.rows("SELECT user_id::text FROM kyc.verifications WHERE erased_at IS NOT NULL")
    assert {first, second} <= {row["user_id"] for row in rows}
    assert kept not in {row["user_id"] for row in rows}
    accounts.asked_since.clear()
    await fetch()
    assert accounts.asked_since[0] == "2026-03-01T11:00:00.000000Z"
    accounts.status = 503
    with pytest.raises(Unavailable):
        await fetch()
    await sister.close()
