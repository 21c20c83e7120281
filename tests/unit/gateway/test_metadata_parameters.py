"""`metadata.key=value` is bounded as the metadata of a request is."""

import pytest

from libs.common.errors import Unprocessable
from services.gateway.api.transfer_lists import metadata_of


def test_parameters_that_begin_with_metadata_are_pairs() -> None:
    asked = [("limit", "3"), ("metadata.invoice", "A=1.2"), ("metadata.a.b", ""), ("metadata", "x")]
    assert metadata_of(asked) == {"invoice": "A=1.2", "a.b": ""}
    assert metadata_of([]) == {}


@pytest.mark.parametrize(
    "asked",
    [
        [("metadata.", "x")],
        [("metadata." + "k" * 41, "x")],
        [("metadata.k", "v" * 201)],
        [("metadata.k", "\x00")],
        [("metadata.k\n", "v")],
        [("metadata.k", "1"), ("metadata.k", "2")],
        [(f"metadata.{number}", "v") for number in range(6)],
    ],
)
def test_metadata_out_of_bounds_is_refused(asked: list[tuple[str, str]]) -> None:
    with pytest.raises(Unprocessable, match="invalid_request"):
        metadata_of(asked)
