"""What we saw other ledgers do when we measured them side by side, tried on a running stack: docs/lessons.md.

Formance Ledger v2.4.12 and Blnk v0.15.2, on two cores with PostgreSQL beside them.
"""

import json
import socket
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.api_client import Api, Person, new_key, stopped, transfer, wait_until

LEFT = 12
WRITERS = 96
ACCOUNTS = 6
BATCHES = 12


@pytest.fixture(scope="module")
def rich(api: Api) -> Person:
    """May send thousands of transfers an hour, and has money for them."""
    return api.business("rich", funds_minor=1_000_000)


@pytest.fixture(scope="module")
def shop(api: Api) -> Person:
    """Likewise."""
    return api.business("shop", funds_minor=1_000_000)


def begin_to_ask(api: Api, payer: Person, payee: Person, key: str, *, of_body: float = 1.0) -> socket.socket:
    """Send a request for a transfer of 1, or only so much of its body; nobody reads the answer."""
    address = urlsplit(str(api.http.base_url))
    body = json.dumps(transfer(payer, payee)).encode()
    head = (
        f"POST /api/v1/transfers HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {payer.token}\r\nIdempotency-Key: {key}\r\nPrefer: wait=30\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((address.hostname, address.port), timeout=20)
    connection.sendall(head.encode() + body[: int(of_body * len(body))])
    return connection


def hang_up(connection: socket.socket) -> None:
    """Reset the connection, as a killed client's kernel does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def kept(api: Api, keys: Sequence[str]) -> int:
    listed = ", ".join(f"'{key}'" for key in keys)
    return api.count("gateway.transfers", f"idempotency_key IN ({listed})")


def test_a_client_that_hangs_up_while_his_transfer_runs_blocks_no_account(api: Api, rich: Person, shop: Person) -> None:
    """Blnk locked a balance for five minutes, and whoever hung up never gave the lock back: later transfers failed.

    https://github.com/blnkfinance/blnk/tree/v0.15.2
    """
    before = api.balance_minor(shop)
    keys, cut = [new_key() for _ in range(LEFT)], [new_key() for _ in range(LEFT)]
    with stopped(api, "ledger"):
        asking = [begin_to_ask(api, rich, shop, key) for key in keys]
        asking += [begin_to_ask(api, rich, shop, key, of_body=0.5) for key in cut]
        wait_until("the requests to be kept", lambda: kept(api, keys) == LEFT)
        for connection in asking:
            hang_up(connection)
    there, back = (api.pay(*pair, 5, Prefer="wait=30") for pair in ((rich, shop), (shop, rich)))
    assert (there.status_code, back.status_code) == (201, 201), (there.text, back.text)
    for key in keys:
        again = api.pay(rich, shop, key=key, Prefer="wait=30")
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true"), "it ran without him"
    assert kept(api, cut) == 0, "of what did not come whole nothing happens"
    assert api.balance_minor(shop) == before + LEFT


def test_more_writers_on_one_hot_account_than_there_are_connections_to_the_database(
    api: Api, rich: Person, shop: Person
) -> None:
    """Formance needed a second connection while it held the row: with more writers than connections it hung for ever.

    https://github.com/formancehq/ledger/issues/1262
    """
    connections = "usename IN ('tallystick_gateway', 'tallystick_fraud', 'tallystick_ledger')"
    before = api.balance_minor(rich), api.balance_minor(shop)

    def pay_or_look(number: int) -> int:
        if number % 4 == 3:
            return api.get(f"/accounts/{shop.account_id}", shop.token).status_code
        return api.pay(rich, shop, Prefer="wait=30").status_code

    with ThreadPoolExecutor(WRITERS) as pool:
        with stopped(api, "gateway"):
            asked = [pool.submit(pay_or_look, number) for number in range(WRITERS + WRITERS // 3)]
            sleep(1.0)  # so that they stand at its door and come in together
        statuses = [one.result() for one in asked]
    writers = statuses.count(201)
    assert (writers, set(statuses)) == (WRITERS, {200, 201})
    assert api.count("pg_stat_activity", connections) < WRITERS, "fewer connections than writers, or nothing is shown"
    assert (api.balance_minor(rich), api.balance_minor(shop)) == (before[0] - WRITERS, before[1] + WRITERS)


def accounts_of(api: Api, person: Person, funds_minor: int) -> list[Person]:
    """Open some more accounts of his with so much in each; each is given as he is with that account."""
    opened = []
    for _ in range(ACCOUNTS):
        account = api.post("/accounts", {"asset": "USD"}, token=person.token, key=new_key()).json()
        opened.append(replace(person, account_id=account["account_id"]))
        assert api.deposit(opened[-1], funds_minor).status_code == 201
    return opened


def atomic(api: Api, transfers: Sequence[dict[str, Any]], who: Person) -> Any:
    items = [{"idempotency_key": new_key(), **each} for each in transfers]
    return api.post("/transfers/batch", {"mode": "atomic", "transfers": items}, token=who.token, Prefer="wait=30")


def deadlocks(api: Api) -> int:
    """Return how many PostgreSQL has ended; each backend tells a second late."""
    return api.count("pg_stat_database, generate_series(1, deadlocks)", "datname = current_database()")


def test_overlapping_atomic_batches_with_their_accounts_in_opposite_order(api: Api, rich: Person) -> None:
    """Formance's bulks over shared accounts deadlocked in PostgreSQL: one in 22 seconds went through.

    https://github.com/formancehq/ledger/tree/v2.4.12
    """
    accounts = accounts_of(api, rich, 100)
    circle = [transfer(source, target) for source, target in pairwise([*accounts, accounts[0]])]
    before = deadlocks(api)
    with ThreadPoolExecutor(BATCHES) as pool:
        answers = list(pool.map(lambda n: atomic(api, circle[:: 1 - 2 * (n % 2)], rich), range(BATCHES)))
    assert {answer.status_code for answer in answers} == {201}, [answer.text[:200] for answer in answers]
    sleep(1.5)
    assert deadlocks(api) == before
    assert {api.balance_minor(account) for account in accounts} == {100}


def test_a_failed_atomic_batch_among_others_leaves_nothing(api: Api, rich: Person, shop: Person) -> None:
    """Blnk's bulks that failed left a part of their items: "atomic" meant that the others were refunded.

    https://github.com/blnkfinance/blnk/tree/v0.15.2
    """
    before = api.balance_minor(shop)
    items = [*(transfer(rich, shop, 3) for _ in range(20)), transfer(rich, shop, 90_000_000)]

    def send(number: int) -> Any:
        return atomic(api, items if number % 2 else items[:-1], rich)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert [answer.status_code for answer in answers] == [201, 422] * 4, [answer.text[:200] for answer in answers]
    failed = [result["transfer_id"] for answer in answers[1::2] for result in answer.json()["results"]]
    listed = ", ".join(f"'{transfer_id}'" for transfer_id in failed)
    assert api.count("ledger.transfers", f"transfer_id IN ({listed}) AND status = 'refused'") == len(failed) == 84
    for table in ("entries", "settlements"):
        assert api.count(f"ledger.{table}", f"transfer_id IN ({listed})") == 0
    released = f"transfer_id IN ({listed})"
    wait_until("the limits to be given back", lambda: api.count("fraud.limit_releases", released) == len(failed))
    assert api.balance_minor(shop) == before + 4 * 20 * 3
