"""Passwords are hashed with what OWASP asks for, a few at a time."""

import asyncio
import threading
from typing import Any

import pytest

from libs.common.errors import Unavailable
from services.accounts import passwords as module
from services.accounts.passwords import Passwords


async def test_a_hash_is_argon2id_with_its_parameters_written_out() -> None:
    stored = await Passwords().hash("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_only_the_right_password_fits_and_nobody_has_one() -> None:
    passwords = Passwords()
    stored = await passwords.hash("pässwort mit Umlaut")
    assert await passwords.verify(stored, "pa\u0308sswort mit Umlaut")
    assert not await passwords.verify(stored, "passwort mit Umlaut")
    assert not await passwords.verify(None, "the password of nobody")


async def test_a_rush_of_logins_is_turned_away_instead_of_queued_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING_MAX", 2)
    passwords = Passwords()
    answers = await asyncio.gather(*(passwords.verify(None, "x" * 12) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [bool, bool, Unavailable]


async def test_nobody_waits_for_his_turn_as_long_as_the_gateway_does(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def slow(*_: Any) -> bool:
        return over.wait(30)  # as Argon2 does, this holds a thread and not the loop

    assert module._WAIT_SECONDS <= 5.0
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "_verify", slow)
    passwords = Passwords()
    asking = [asyncio.create_task(passwords.verify(None, "x" * 12)) for _ in range(4)]
    await asyncio.wait(asking[2:], timeout=30)
    over.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [getattr(answer, "code", answer) for answer in answers] == [False, False, "login_busy", "login_busy"]
    assert await passwords.verify("known", "x" * 12)
