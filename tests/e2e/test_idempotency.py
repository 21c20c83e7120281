"""One key, one effect: whoever asks again gets the same answer, byte for byte."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.api_client import Api, Person, code_of, new_key, problem, transfer, wait_until


def test_a_posted_transfer_is_replayed_byte_for_byte(api: Api, alice: Person, bob: Person) -> None:
    key, before = new_key(), api.rows()
    first, second = (api.pay(alice, bob, 7, key=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert api.rows() == (before[0] + 1, before[1] + 1)


def test_a_block_is_replayed_byte_for_byte(api: Api, bob: Person) -> None:
    nobody_verified = api.person("carol", verified=False)
    key = new_key()
    first, second = (api.pay(nobody_verified, bob, key=key) for _ in range(2))
    problem(first, 403, "kyc_required")
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert second.headers["content-type"] == "application/problem+json"


def test_a_refusal_is_replayed_byte_for_byte_even_when_it_would_now_be_possible(api: Api, bob: Person) -> None:
    poor, key = api.person("dora"), new_key()
    first = api.pay(poor, bob, 50, key=key)
    problem(first, 422, "insufficient_funds")
    assert api.deposit(poor, 100).status_code == 201
    second = api.pay(poor, bob, 50, key=key)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert api.balance_minor(poor) == 100


def test_a_deposit_is_replayed_byte_for_byte(api: Api) -> None:
    erna, key = api.person("erna", verified=False), new_key()
    first, second = (api.deposit(erna, 11, key=key) for _ in range(2))
    assert (first.status_code, first.content) == (second.status_code, second.content) == (201, first.content)
    assert api.balance_minor(erna) == 11


def test_order_and_spacing_of_the_json_do_not_make_another_request(api: Api, alice: Person, bob: Person) -> None:
    key = new_key()
    first = api.pay(alice, bob, 3, key=key)
    reordered = str(dict(reversed(transfer(alice, bob, 3).items()))).replace("'", '"').replace(",", " ,\n").encode()
    second = api.post("/transfers", content=reordered, token=alice.token, key=key)
    assert first.content == second.content


def test_the_same_key_with_another_body_is_refused(api: Api, alice: Person, bob: Person) -> None:
    key, before = new_key(), api.rows()
    assert api.pay(alice, bob, 3, key=key).status_code == 201
    problem(api.pay(alice, bob, 4, key=key), 422, "idempotency_key_reused")
    legs = {"legs": [transfer(alice, bob, 3)]}
    problem(api.post("/transfers", legs, token=alice.token, key=key), 422, "idempotency_key_reused")
    assert api.rows() == (before[0] + 1, before[1] + 1)


def test_a_key_belongs_to_its_owner_and_route(api: Api, alice: Person, bob: Person, stranger: Person) -> None:
    key = new_key()
    mine = api.pay(alice, bob, 2, key=key)
    his = api.pay(stranger, bob, 2, key=key)
    deposited = api.deposit(bob, 2, key=key)
    batch = {"mode": "independent", "transfers": [transfer(alice, bob, 2, idempotency_key=key)]}
    batched = api.post("/transfers/batch", batch, token=alice.token)
    ids = {mine.json()["transfer_id"], his.json()["transfer_id"], deposited.json()["transfer_id"]}
    ids.add(batched.json()["results"][0]["transfer_id"])
    assert [answer.status_code for answer in (mine, his, deposited, batched)] == [201] * 4
    assert len(ids) == 4


def test_concurrent_copies_have_one_effect(api: Api, alice: Person, bob: Person) -> None:
    before, balance_minor = api.rows(), api.balance_minor(bob)
    keys = [new_key() for _ in range(5)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda key: (key, api.pay(alice, bob, 10, key=key)), keys * 10))
    for key in keys:
        copies = [answer for asked, answer in answers if asked == key]
        posted = {answer.content for answer in copies if answer.status_code == 201}
        assert len(posted) == 1
        for answer in copies:
            if answer.status_code != 201:
                problem(answer, 409, "request_in_progress")
    assert api.rows() == (before[0] + 5, before[1] + 5)
    assert api.balance_minor(bob) == balance_minor + 50


def test_concurrent_requests_with_one_key_and_two_bodies_have_one_effect(api: Api, alice: Person, bob: Person) -> None:
    before, key = api.rows(), new_key()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda amount: api.pay(alice, bob, amount, key=key), [21, 22] * 8))
    codes = {code_of(answer) for answer in answers if answer.status_code != 201}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert codes <= {"idempotency_key_reused", "request_in_progress"}
    assert api.rows() == (before[0] + 1, before[1] + 1)


def test_a_copy_of_a_held_transfer_gets_its_final_outcome_once_there_is_one(api: Api, alice: Person) -> None:
    pending, key = api.person("frieda", verified=False), new_key()
    first, second = (api.pay(alice, pending, 5, key=key) for _ in range(2))
    assert (first.status_code, first.json()["status"]) == (202, "held")
    assert first.content == second.content
    api.verify(pending)
    wait_until("the hold to be released", lambda: api.pay(alice, pending, 5, key=key).status_code == 201)
    final = api.pay(alice, pending, 5, key=key)
    assert (final.json()["status"], final.json()["transfer_id"]) == ("posted", first.json()["transfer_id"])
    assert final.content == api.pay(alice, pending, 5, key=key).content
    assert api.balance_minor(pending) == 5
