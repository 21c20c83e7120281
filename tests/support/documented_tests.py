"""Documents that name the tests of what they say, as `tests/lane/test_file.py::test_name`."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_NAMED: Final = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def check_named_tests(line: str) -> None:
    """Check that the line names tests, and that each of them is there. Raises: AssertionError."""
    named = _NAMED.findall(line)
    assert named, "name the test that tries it"
    for path, name in named:
        assert re.search(rf"def {name}\(", (ROOT / path).read_text()), f"{path} has no {name}"
