"""What a frozen customer can still do about what he opened or got before: void, and nothing that moves money."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tallystick.reconciliation.run import reconcile
from tallystick.stack.stack_file import find_stack
from tests.e2e.api_client import Api, Person, new_key, problem, staff, stopped, transfer, wait_until

LISTS = "/admin/fraud/lists"
REASON = {"reason": "goods came back"}
REFUSED = (403, "transfer_not_permitted")


@pytest.fixture(scope="module")
def compliance(api: Api) -> str:
    """Give the token of somebody in compliance."""
    return staff(api, "compliance")


@contextmanager
def frozen(api: Api, compliance: str, person: Person) -> Iterator[None]:
    """Freeze somebody for as long as the block."""
    wanted = {"list": "freeze", "subject": "customer", "value": person.user_id, "reason": "his phone was stolen"}
    entry = api.post(LISTS, wanted, token=compliance)
    assert entry.status_code == 201, entry.text
    yield
    removed = api.post(f"{LISTS}/{entry.json()['entry_id']}/remove", {"reason": "he has a new one"}, token=compliance)
    assert removed.status_code == 200, removed.text


def hold(api: Api, payer: Person, payee: Person, amount_minor: int) -> str:
    answer = api.post("/transfers", transfer(payer, payee, amount_minor, hold=True), token=payer.token, key=new_key())
    assert (answer.status_code, answer.json()["status"]) == (201, "held")
    return str(answer.json()["transfer_id"])


def act(api: Api, token: str, transfer_id: str, action: str, body: object, key: str = "") -> httpx2.Response:
    return api.post(f"/transfers/{transfer_id}/{action}", body, token=token, key=key or new_key())


def test_a_frozen_customer_voids_but_neither_captures_nor_gives_back_until_he_is_free(
    api: Api, compliance: str
) -> None:
    frank, other = api.person("frank", funds_minor=1_000), api.person("otto", funds_minor=1_000)
    to_capture, to_void = hold(api, frank, other, 300), hold(api, frank, other, 200)
    got = str(api.pay(other, frank, 400).json()["transfer_id"])
    his_key = api.post(
        "/api-keys",
        {"name": "till", "scopes": ["transfers:write"]},
        token=frank.token,
        key=new_key(),
    )
    assert his_key.status_code == 201, his_key.text
    key = new_key()

    with frozen(api, compliance, frank):
        for token in (frank.token, his_key.json()["key"]):
            answer = act(api, token, to_capture, "capture", {"amount_minor": 100})
            refused = problem(answer, *REFUSED)
            assert refused["detail"] == "This transfer cannot be made; ask support."
            assert not {"limit", "entry_ids", "list"} & refused.keys(), "nobody is told why"
            problem(act(api, token, got, "reversals", REASON), *REFUSED)
        first = act(api, frank.token, to_capture, "capture", {}, key)
        assert act(api, frank.token, to_capture, "capture", {}, key).content == first.content
        assert api.get(f"/transfers/{to_capture}", frank.token).json()["status"] == "held"
        assert (api.balance_minor(frank), api.balance_minor(other)) == (1_400, 600)
        voided = act(api, frank.token, to_void, "void", {})
        assert (voided.status_code, voided.json()["status"]) == (200, "voided")
        recovered = act(api, staff(api, "operator"), got, "reversals", {"amount_minor": 150, **REASON})
        assert (recovered.status_code, recovered.json()["status"]) == (201, "posted"), recovered.text
        assert (api.balance_minor(frank), api.balance_minor(other)) == (1_250, 750)

    assert act(api, frank.token, to_capture, "capture", {}, key).content == first.content, "a key has one answer"
    captured = act(api, frank.token, to_capture, "capture", {"amount_minor": 100})
    assert (captured.status_code, captured.json()["captured_minor"]) == (200, 100), captured.text
    returned = act(api, frank.token, got, "reversals", {"amount_minor": 50, **REASON})
    assert returned.status_code == 201, returned.text
    assert (api.balance_minor(frank), api.balance_minor(other)) == (1_100, 900)
    history = api.get(f"/transfers/{got}/reversals", other.token).json()["reversals"]
    assert [(one["status"], one.get("code")) for one in history] == [
        ("refused", REFUSED[1]),
        ("refused", REFUSED[1]),
        ("posted", None),
        ("posted", None),
    ]


def test_a_freeze_holds_for_what_is_asked_while_fraud_is_away(api: Api, compliance: str) -> None:
    payer, payee = api.person("wim", funds_minor=500), api.person("will")
    held = hold(api, payer, payee, 100)
    with frozen(api, compliance, payer):
        with stopped(api, "fraud"):
            asked = api.post(
                f"/transfers/{held}/capture", {}, token=payer.token, key=(key := new_key()), prefer="respond-async"
            )
            assert asked.status_code == 202, asked.text
        refused: list[httpx2.Response] = []

        def is_refused() -> bool:
            refused[:] = [act(api, payer.token, held, "capture", {}, key)]
            return refused[0].status_code != 202

        wait_until("the answer", is_refused)
        problem(refused[0], *REFUSED)
    assert (api.balance_minor(payer), api.balance_minor(payee)) == (500, 0)


def test_after_all_of_it_the_gateway_shows_what_the_ledger_refused(api: Api) -> None:
    def differences() -> list[str]:
        run = asyncio.run(reconcile(api.dsn, find_stack(api.folder, {}), grace_seconds=0))
        return [f"{outcome.name}: {found}" for outcome in run.outcomes for found in outcome.differences]

    wait_until("the projections to agree", lambda: differences() == [])
