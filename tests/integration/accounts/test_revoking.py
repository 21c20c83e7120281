"""What is revoked ends what was issued before it, and is told to whoever asks."""

from datetime import timedelta

import pytest

from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.errors import Unauthenticated
from libs.common.http.credentials import Credentials
from libs.common.ids import new_id
from services.accounts.use_cases.remove_revocations import RemoveRevocations
from services.accounts.use_cases.revoke_credentials import revoke_credentials
from services.accounts.use_cases.tell_credentials import TellCredentials
from tests.integration.accounts.conftest import INTERNAL_TOKEN, PASSWORD, World


async def log_in(world: World) -> tuple[str, str, str]:
    """(user id, access token as a header's value, refresh token) of a fresh customer."""
    email = f"{new_id()}@example.com"
    user_id = await world.register(email)
    pair = (await world.log_in(email, PASSWORD)).json()
    return user_id, f"Bearer {pair['access_token']}", pair["refresh_token"]


async def test_other_roles_end_the_access_tokens_issued_before_and_a_refreshed_one_stands(world: World) -> None:
    user_id, before, refresh_token = await log_in(world)
    credentials = Credentials(world.keys.jwks_file, TellCredentials(world.uow, world.clock))
    await credentials.look()
    assert credentials.verifier.verify(before).roles == {"customer"}

    path = f"/api/v1/admin/users/{user_id}/roles"
    for _ in range(2):
        await world.http.put(path, json={"roles": ["support"]}, headers=world.keys.bearer(new_id(), "admin"))
    said = [one for one in world.publisher.said(user_id) if isinstance(one, CredentialsRevoked)]
    assert [(one.user_id, one.session_id, one.key_id) for one in said] == [(user_id, "", "")]

    await credentials.look()
    with pytest.raises(Unauthenticated) as refused:
        credentials.verifier.verify(before)
    assert refused.value.code == "token_revoked"
    after = (await world.http.post("/api/v1/auth/refresh", json={"refresh_token": refresh_token})).json()
    assert credentials.verifier.verify(f"Bearer {after['access_token']}").roles == {"support"}


async def test_sisters_read_every_revocation_in_pages_and_nobody_else_any(world: World) -> None:
    user_id = await world.register()
    await world.rows(
        """
        INSERT INTO accounts.revocations (revocation_id, user_id, session_id, occurred_at)
        SELECT gen_random_uuid(), $1, gen_random_uuid(), now() + n * interval '1 microsecond'
        FROM generate_series(1, 5001) AS n
        """,
        user_id,
    )
    since, after, found = "", "", 0
    while True:
        answer = await world.http.get(
            "/internal/revocations",
            params={"since": since, "after": after},
            headers={"X-Internal-Token": INTERNAL_TOKEN},
        )
        page = answer.json()
        found += sum(one["user_id"] == user_id for one in page["revocations"])
        after = page["next_after"]
        if not after:
            break
    assert found == 5_001
    assert (await world.http.get("/internal/revocations")).status_code == 401
    nonsense = {"X-Internal-Token": INTERNAL_TOKEN}
    for query in ("since=yesterday", "after=x", "after=x/y"):
        assert (await world.http.get(f"/internal/revocations?{query}", headers=nonsense)).status_code == 422


async def test_revocations_are_forgotten_once_every_token_of_their_time_has_run_out(world: World) -> None:
    user_id = await world.register()
    async with world.uow.begin() as tx:
        await revoke_credentials(tx, user_id, now=world.clock())
    forget, mine = RemoveRevocations(world.uow, world.clock), "SELECT 1 FROM accounts.revocations WHERE user_id = $1"
    world.clock.move(timedelta(minutes=15))
    await forget()
    assert len(await world.rows(mine, user_id)) == 1
    world.clock.move(timedelta(minutes=2))
    await forget()
    assert await world.rows(mine, user_id) == []
