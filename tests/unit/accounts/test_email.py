"""One mailbox, one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import Unprocessable
from services.accounts.domain.email import normalise_email


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace@Example.COM ", "ada.lovelace@example.com"),
        ("ada+notes@example.com", "ada+notes@example.com"),
        ("\uff41\uff44\uff41@example.com", "ada@example.com"),  # full-width letters
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),  # u and a combining diaeresis
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@example。com", "ada@example.com"),  # ideographic full stop, RFC 3490, 3.1
        ("用户@example.com", "用户@example.com"),
    ],
)
def test_an_address_has_one_normal_form(written: str, stored: str) -> None:
    assert normalise_email(written) == stored
    assert normalise_email(stored) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        "ada@127.0.0.1",
        "ada@[127.0.0.1]",
        "a@b@example.com",
        "a da@example.com",
        "ada\u00a0@example.com",
        "ada\u200b@example.com",
        '"ada"@example.com',
        "ada,eve@example.com",
        "<ada@example.com>",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada@-example.com",
        "ada@example..com",
        "ada@exa_mple.com",
        "ada@example.com.",
        "ada@" + "a" * 64 + ".com",
        "a" * 65 + "@example.com",
        "ü" * 33 + "@example.com",
        "ada@" + ".".join(["a" * 60] * 5) + ".com",
        "ada\0@example.com",
        "ada\ud800@example.com",
        "ada@\ud800.com",
        "ada@example.com\nBcc: eve@example.com",
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        normalise_email(text)
    assert refusal.value.code == "email_invalid"


@pytest.mark.parametrize("domain", ["straße.example", "σίδηρος.example", "a\u200db.example"])
def test_a_domain_that_two_standards_read_differently_must_be_written_out(domain: str) -> None:
    with pytest.raises(Unprocessable):
        normalise_email(f"ada@{domain}")


@given(st.text(max_size=300) | st.emails())
def test_any_text_is_refused_or_has_a_normal_form_that_stays(text: str) -> None:
    try:
        normal = normalise_email(text)
    except Unprocessable:
        return
    assert normalise_email(normal) == normal
    assert len(normal.encode()) <= 254
