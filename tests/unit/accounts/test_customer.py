"""Which roles there are."""

import pytest

from libs.common.errors import Unprocessable
from services.accounts.domain.customer import EVERY_ROLE, read_roles


def test_known_roles_are_read_as_a_set() -> None:
    assert read_roles(["operator", "customer", "operator"]) == {"operator", "customer"}
    assert read_roles(sorted(EVERY_ROLE)) == EVERY_ROLE


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(Unprocessable) as refusal:
        read_roles(["customer", "root"])
    assert refusal.value.code == "unknown_role"
