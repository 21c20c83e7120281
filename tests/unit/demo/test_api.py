"""The client waits when it is told to, and says what came when the story cannot go on."""

import httpx2
import pytest

from tallystick.demo.api import Api, DemoFailed


def client(*answers: httpx2.Response) -> httpx2.AsyncClient:
    left = list(answers)
    return httpx2.AsyncClient(
        base_url="http://gateway.test", transport=httpx2.MockTransport(lambda _: left.pop(0) if left else answers[-1])
    )


async def test_a_request_that_is_put_off_is_sent_again_and_the_person_is_told() -> None:
    notices: list[str] = []
    busy = httpx2.Response(429, headers={"Retry-After": "0"}, json={"detail": "At most 5 of these a minute."})
    async with client(busy, httpx2.Response(200, json={"ok": 1})) as http:
        answer = await Api(http, notices.append).post("/auth/login", {})
    assert answer.expect(200) == {"ok": 1}
    assert [notice.endswith("(429): At most 5 of these a minute.") for notice in notices] == [True]


async def test_a_request_that_is_put_off_for_ever_ends_the_story() -> None:
    busy = httpx2.Response(503, headers={"Retry-After": "0"}, content=b"")
    async with client(busy) as http:
        with pytest.raises(DemoFailed, match="put off 20 times"):
            await Api(http, lambda _: None).get("/me")


async def test_another_status_than_expected_names_request_and_answer() -> None:
    async with client(httpx2.Response(409, json={"code": "email_taken"})) as http:
        answer = await Api(http, lambda _: None).post("/users", {})
    with pytest.raises(DemoFailed, match=r"POST /users answered 409.*email_taken"):
        answer.expect(201)
