"""The unit lane keeps what its name promises."""

import asyncio
import socket

import pytest


def test_a_unit_test_cannot_reach_the_network() -> None:
    with socket.socket() as closed, pytest.raises(RuntimeError, match="move the test to another lane"):
        closed.connect(("127.0.0.1", 9))


async def test_a_coroutine_runs_without_the_network() -> None:
    await asyncio.sleep(0)


def test_a_test_is_marked_with_the_folder_it_lies_in(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("unit") is not None
    assert request.node.get_closest_marker("chaos") is None
