"""Whatever stands in `Idempotency-Key`: a key that reads the same when it is quoted, or refused."""

import re
from typing import Final

from hypothesis import strategies as st

from libs.common.errors import Malformed
from libs.common.idempotency_keys import KEY_SCHEMA, read_key, require_readable
from tests.fuzz.fuzzing import damaged_text, fuzz

GOOD: Final = ("rent-2026-03", '"rent-2026-03"', "x" * 255, f'"{"x" * 255}"', '""', '"')
PUBLISHED: Final = re.compile(str(KEY_SCHEMA["pattern"]))


@fuzz(header=st.none() | damaged_text(GOOD))
def test_a_key_reads_the_same_when_it_is_quoted_or_is_refused(header: str | None) -> None:
    try:
        key = read_key(header)
    except Malformed as refused:
        assert refused.code == ("idempotency_key_missing" if header is None else "idempotency_key_invalid")
        assert header is None or len(header) > 255 or PUBLISHED.fullmatch(header) is None, "the document promises it"
        return
    assert re.fullmatch(r"[\x21-\x7e]{1,255}", key)
    assert read_key(f'"{key}"') == key
    require_readable(header)
