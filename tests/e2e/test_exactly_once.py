"""One key moves money once: however many copies, whichever process they reach, whatever dies in between."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.api_client import Api, Person, new_key, problem, transfer
from tests.e2e.second_gateway import SecondGateway, second_gateway
from tests.support.crashing import order_crash


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("orders")


@pytest.fixture(scope="module")
def second(api: Api, orders: Path) -> Iterator[SecondGateway]:
    with second_gateway(api, orders) as gateway:
        yield gateway


def pay(http: httpx2.Client, payer: Person, payee: Person, key: str, amount_minor: int = 1) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {payer.token}", "Idempotency-Key": key, "Prefer": "wait=30"}
    return http.post("/api/v1/transfers", json=transfer(payer, payee, amount_minor), headers=headers)


def test_sixty_four_copies_over_two_processes_make_one_transfer_and_one_answer(
    api: Api, second: SecondGateway, alice: Person, bob: Person
) -> None:
    before, key = api.rows(), new_key()
    with ThreadPoolExecutor(64) as pool:
        clients = [api.http, second.http] * 32
        answers = list(pool.map(lambda http: pay(http, alice, bob, key, 5), clients))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert api.rows() == (before[0] + 1, before[1] + 1)


def test_sixty_four_copies_of_what_is_refused_get_one_refusal(
    api: Api, second: SecondGateway, stranger: Person, bob: Person
) -> None:
    before, key = api.rows(), new_key()
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda http: pay(http, stranger, bob, key, 5_000), [api.http, second.http] * 32))
    problem(answers[0], 422, "insufficient_funds")
    assert {(answer.status_code, answer.content) for answer in answers} == {(422, answers[0].content)}
    assert api.rows() == (before[0] + 1, before[1] + 1)


def test_a_gateway_killed_in_intake_leaves_one_transfer_for_every_later_copy(
    api: Api, second: SecondGateway, orders: Path, alice: Person, bob: Person
) -> None:
    before = api.rows()
    with second_gateway(api, orders) as doomed:
        uncommitted = killed_while_paying(doomed, orders, alice, bob, "gateway.intake_before_commit")
    with second_gateway(api, orders) as restarted:
        assert_answered_alike([api, restarted, second], alice, bob, uncommitted)
        committed = killed_while_paying(restarted, orders, alice, bob, "gateway.intake_after_commit")
    assert api.count("gateway.transfers", f"idempotency_key = '{uncommitted}'") == 1
    assert api.count("gateway.transfers", f"idempotency_key = '{committed}'") == 1, "stored, and nobody was told"
    assert_answered_alike([api, second], alice, bob, committed)
    assert api.rows() == (before[0] + 2, before[1] + 2)


def killed_while_paying(gateway: SecondGateway, orders: Path, payer: Person, payee: Person, point: str) -> str:
    """Return the key of a request that killed the gateway at this point."""
    key = new_key()
    order_crash(orders, "gateway", point, reached=1)
    with pytest.raises(httpx2.TransportError):
        pay(gateway.http, payer, payee, key)
    assert gateway.process.wait(10) == -9
    return key


def assert_answered_alike(gateways: Sequence[Api | SecondGateway], payer: Person, payee: Person, key: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda gateway: pay(gateway.http, payer, payee, key), [*gateways, *gateways]))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}


def test_the_first_answer_stays_after_the_money_was_given_back(api: Api, alice: Person, bob: Person) -> None:
    key = new_key()
    first = api.pay(alice, bob, 9, key=key)
    reversals: list[Any] = []
    reversal_key = new_key()
    for _ in range(2):
        path = f"/transfers/{first.json()['transfer_id']}/reversals"
        reversals.append(api.post(path, {"reason": "sent twice"}, token=bob.token, key=reversal_key))
    again = api.pay(alice, bob, 9, key=key)
    assert [reversal.status_code for reversal in reversals] == [201, 201]
    assert reversals[0].content == reversals[1].content
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, first.content, "true")
    shown = api.get(f"/transfers/{first.json()['transfer_id']}", alice.token).json()
    assert shown["reversed_minor"], "what became of it since is told where it is asked for"
