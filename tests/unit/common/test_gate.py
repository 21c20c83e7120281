"""Every route declares its action, and the gate lets in whom the permission matrix names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Route

from libs.common.errors import Forbidden, InvariantBroken
from libs.common.http.app import make_app
from libs.common.http.auth import AskFirst, Principal
from libs.common.http.gate import BY_OWNER, Gate, GuardedEndpoint, GuardedRoute, action_of, admit, permitted
from libs.common.http.health import Health
from libs.common.http.hot import HotAnswer, HotEndpoint, HotRequest
from libs.common.http.permissions import PERMISSIONS, ROLES, Permission
from tests.support.http_wire import Known


@asynccontextmanager
async def nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


def somebody(*roles: str) -> Principal:
    return Principal("somebody", frozenset(roles), "a token", float("inf"))


def start(*, router: APIRouter | None = None, hot: HotEndpoint | None = None, route: BaseRoute | None = None) -> None:
    make_app(
        service="test",
        title="Test",
        description="",
        version="1",
        routers=[router] if router else [],
        lifespan=nothing,
        health=Health(),
        hot={"/hot": hot} if hot else {},
        routes=[route] if route else [],
    )


async def answer(_request: object) -> HotAnswer:
    return HotAnswer(200, b"answered")


def test_a_route_without_an_action_keeps_its_service_from_starting() -> None:
    router = APIRouter()
    router.add_api_route("/forgotten", answer)
    with pytest.raises(InvariantBroken) as broken:
        start(router=router)
    assert broken.value.facts == {"undeclared": ["/forgotten"]}


def test_a_hot_endpoint_without_an_action_keeps_its_service_from_starting() -> None:
    with pytest.raises(InvariantBroken):
        start(hot=answer)


def test_a_plain_route_without_an_action_keeps_its_service_from_starting() -> None:
    with pytest.raises(InvariantBroken):
        start(route=Route("/plain", answer))


def test_a_service_starts_when_every_route_declares_its_action() -> None:
    router = APIRouter()
    router.add_api_route("/one", answer, dependencies=[permitted("transparency.read")])
    guarded = GuardedEndpoint("transfer.create", Known("customer"), answer)
    start(router=router, hot=guarded, route=GuardedRoute(BY_OWNER, "/plain", answer, methods=["GET"]))
    assert [action_of(route) for route in router.routes] == ["transparency.read"]


def test_an_action_that_is_not_in_the_matrix_is_none() -> None:
    with pytest.raises(InvariantBroken):
        Gate("transfer.steal")


def test_a_plain_route_is_public_or_forwarded() -> None:
    with pytest.raises(InvariantBroken):
        GuardedRoute("transfer.create", "/plain", answer, methods=["POST"])


@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_gate_lets_in_one_role_and_no_other(role: str) -> None:
    permission = Permission("publish", frozenset({"operator"}))
    if role == "operator":
        assert admit(somebody(role), permission, Known()) == somebody(role)
    else:
        with pytest.raises(Forbidden) as refused:
            admit(somebody(role), permission, Known())
        assert (refused.value.code, refused.value.facts) == ("role_required", {"roles": ["operator"]})


def test_who_may_be_related_is_left_to_the_route() -> None:
    permission = Permission("read", frozenset({"auditor"}), "the owner")
    assert admit(somebody("customer"), permission, Known()) == somebody("customer")


async def test_a_guarded_endpoint_learns_who_asks_and_is_not_asked_by_others() -> None:
    seen: list[str] = []

    async def note(request: HotRequest) -> HotAnswer:
        seen.append(request.principal.user_id)
        return await answer(request)

    request = HotRequest("Bearer x", None, None, "192.0.2.1", "an id")
    await GuardedEndpoint("deposit.create", Known("operator"), note)(request)
    with pytest.raises(Forbidden):
        GuardedEndpoint("deposit.create", Known("customer"), note)(request)
    assert seen == ["somebody"]


def test_every_action_says_who_may_do_it_and_a_public_one_nothing_more() -> None:
    for action, permission in PERMISSIONS.items():
        assert permission.public != bool(permission.roles or permission.related), action
        assert not (permission.public and permission.scope), action


def with_key(*scopes: str, roles: tuple[str, ...] = ("operator",)) -> Principal:
    return Principal("somebody", frozenset(roles), "a key", float("inf"), scopes=frozenset(scopes), key_id="a key")


@pytest.mark.parametrize(
    ("principal", "action", "code"),
    [
        (with_key("treasury:write"), "deposit.create", None),
        (with_key("transfers:write"), "deposit.create", "scope_required"),
        (with_key("treasury:write", roles=("customer",)), "deposit.create", "role_required"),
        (with_key("treasury:write", roles=("admin",)), "customer.set_roles", "person_required"),
        (with_key(), "session.end", "person_required"),
        (with_key("accounts:read", roles=("customer",)), "account.read", None),
    ],
)
def test_a_key_does_what_its_scopes_say_and_its_holder_s_roles_allow(
    principal: Principal, action: str, code: str | None
) -> None:
    if code is None:
        assert admit(principal, PERMISSIONS[action], Known()) is principal
        return
    with pytest.raises(Forbidden) as refused:
        admit(principal, PERMISSIONS[action], Known())
    assert refused.value.code == code


class Slow(Known):
    """Knows whom a key names only once it was asked."""

    asked = 0

    def verify(self, authorization: str | None, address: str = "") -> Principal:
        if not self.asked:
            raise AskFirst
        return super().verify(authorization, address)

    async def identify(self, authorization: str | None, address: str = "") -> Principal:
        self.asked += 1
        return self.verify(authorization, address)


async def test_a_hot_endpoint_asks_whose_key_it_is_once() -> None:
    verifier = Slow("customer")
    endpoint = GuardedEndpoint("transfer.create", verifier, answer)
    for _ in range(2):
        assert (await endpoint(HotRequest("Bearer tsk_x", None, None, "192.0.2.1", "an id"))).status == 200
    assert verifier.asked == 1


class Strict(Known):
    """Takes nobody for fresh."""

    def require_fresh(self, principal: Principal) -> None:
        raise Forbidden("second_factor_stale", "Log in again.")


@pytest.mark.parametrize("action", sorted(name for name, permission in PERMISSIONS.items() if permission.fresh))
def test_staff_who_change_something_are_asked_whether_they_are_fresh(action: str) -> None:
    with pytest.raises(Forbidden) as refused:
        admit(somebody(*sorted(ROLES)), PERMISSIONS[action], Strict())
    assert refused.value.code == "second_factor_stale"


def test_neither_customers_nor_api_keys_nor_readers_are_asked_whether_they_are_fresh() -> None:
    admit(somebody("customer"), PERMISSIONS["hold.end"], Strict())
    admit(with_key("treasury:write"), PERMISSIONS["deposit.create"], Strict())
    admit(somebody("auditor"), PERMISSIONS["audit.read"], Strict())


def test_staff_who_are_not_fresh_make_no_key_that_would_never_be_asked() -> None:
    with pytest.raises(Forbidden, match="second_factor_stale"):
        admit(somebody("operator"), PERMISSIONS["api_key.create"], Strict())
    admit(somebody("customer"), PERMISSIONS["api_key.create"], Strict())


def test_what_asks_for_freshness_names_a_role_or_makes_what_a_role_is_worth() -> None:
    for action, permission in PERMISSIONS.items():
        assert not permission.fresh or permission.roles or action == "api_key.create", action
