"""How a parser is fuzzed: the same hundred inputs each run, or for `TALLYSTICK_FUZZ_SECONDS` new ones as time allows.

Inputs are good texts that were damaged, since of random bytes nearly all fail at the first one.
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SECONDS: Final = float(os.environ.get("TALLYSTICK_FUZZ_SECONDS", "0"))
_EXAMPLES: Final = 300 if SECONDS else 100
_DAMAGES_MAX: Final = 4

# Where parsers and the languages they are written in have stumbled before.
_NASTY: Final = (
    *(b"\x00", b"\n", b"\r", b"\x7f", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", "\u2028é\U0001f4b6".encode()),
    *(b'"', b"\\", b'"\\ud800"', b"\\u0000", b'"": ', b"{", b"}", b"[]", b"[" * 3000, b"{}", b",", b":", b" "),
    *(b"null", b"true", b"NaN", b"-", b"0", b"-0", b"1.0", b"1e2", b"1e400", b"9007199254740993", b"9" * 5000),
    *("٣".encode(), b"=", b"+", b"/", b"AAAA", "— ".encode(), b"\n\n"),
)


def fuzz(**inputs: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Have a test tried with many inputs, one after the other; what fails is shrunk and shown by hypothesis."""

    def fuzzed(test: Callable[..., None]) -> Callable[[], None]:
        try_some = settings(max_examples=_EXAMPLES, derandomize=not SECONDS)(given(**inputs)(test))

        @pytest.mark.timeout(SECONDS + 180)
        def tried() -> None:
            ends_at = time.monotonic() + SECONDS
            try_some()
            while time.monotonic() < ends_at:
                try_some()

        tried.__name__, tried.__doc__ = test.__name__, test.__doc__
        return tried

    return fuzzed


def damaged(good: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw one of the good texts, with up to four pieces of it taken out, doubled, altered, or replaced.

    Each damage is one number: it shrinks to fewer damages, and costs a tenth of what drawing each of its parts does.
    """
    numbers = st.lists(st.integers(0, 2**32 - 1), max_size=_DAMAGES_MAX)
    return st.builds(_damage, st.sampled_from(good), numbers, st.just(good))


def damaged_text(good: Sequence[str]) -> st.SearchStrategy[str]:
    """Draw text likewise; what is no UTF-8 any more becomes lone surrogates."""
    return damaged([one.encode() for one in good]).map(lambda text: text.decode("utf-8", "surrogateescape"))


def _damage(text: bytes, numbers: Sequence[int], good: Sequence[bytes]) -> bytes:
    for number in numbers:
        drawn = random.Random(number)
        begin = drawn.randint(0, len(text))
        end = min(len(text), begin + drawn.choice((0, 1, 1, 4, 12)))
        old, other = text[begin:end], drawn.choice(good)
        new = drawn.choice(
            (
                b"",
                old * 2,
                bytes(byte ^ 1 << drawn.randrange(8) for byte in old),
                drawn.choice(_NASTY),
                drawn.randbytes(drawn.randint(1, 8)),
                other[drawn.randint(0, len(other)) :][:40],
            )
        )
        text = text[:begin] + new + text[end:]
    return text
