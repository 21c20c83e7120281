"""Each error of the tree becomes one problem document (RFC 9457), with nothing of our insides."""

import json
from typing import Any

import pytest

from libs.common.errors import (
    Conflict,
    Forbidden,
    InvariantBroken,
    Malformed,
    NotFound,
    Rejected,
    TallystickError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from libs.common.http.problems import error_response, problem_body


def read(error: TallystickError) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bytes(error_response(error, "r1").body))
    return document


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Rejected, 422),
        (Unauthenticated, 401),
        (Forbidden, 403),
        (NotFound, 404),
        (Conflict, 409),
        (Malformed, 400),
        (Unprocessable, 422),
        (TooLarge, 413),
        (Unavailable, 503),
    ],
)
def test_each_class_has_its_status_and_the_document_its_code_and_facts(
    kind: type[TallystickError], status: int
) -> None:
    error = kind("some_code", "Do this.", needed_minor=12)
    response = error_response(error, "r1")
    assert response.status_code == status
    assert response.media_type == "application/problem+json"
    document = read(error)
    assert document.pop("title")
    assert document == {
        "type": "/errors/some_code",
        "status": status,
        "code": "some_code",
        "detail": "Do this.",
        "instance": "urn:tallystick:request:r1",
        "needed_minor": 12,
    }


def test_a_broken_promise_says_only_that_it_is_our_fault() -> None:
    document = read(InvariantBroken("entries must balance", secret="of the house"))
    assert document["status"] == 500
    assert "balance" not in str(document)
    assert "of the house" not in str(document)


def test_a_rate_limit_and_an_outage_say_when_to_come_back() -> None:
    assert error_response(TooManyRequests("slow_down", "Wait.", retry_after_seconds=7)).headers["retry-after"] == "7"
    assert error_response(Unavailable("away", "Again.")).headers["retry-after"] == "1"
    assert error_response(Unavailable("away", "Again.", retry_after_seconds=5)).headers["retry-after"] == "5"


def test_missing_credentials_are_answered_with_the_challenge_that_http_asks_for() -> None:
    assert error_response(Unauthenticated("token_missing", "Log in.")).headers["www-authenticate"] == "Bearer"


def test_facts_never_replace_the_standard_members() -> None:
    document = json.loads(problem_body(403, "a", "b", facts={"status": 200, "code": "fine", "type": "x"}))
    assert (document["status"], document["code"], document["type"]) == (403, "a", "/errors/a")


def test_an_error_in_a_log_shows_its_code_detail_and_facts() -> None:
    assert str(Rejected("insufficient_funds", "Not enough.", needed_minor=5)) == (
        "insufficient_funds: Not enough. {'needed_minor': 5}"
    )
    assert str(NotFound("x_not_found", "None.")) == "x_not_found: None."
