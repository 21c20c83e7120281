"""Who may give which roles to whom."""

import pytest

from libs.common.errors import Forbidden, Unprocessable
from services.accounts.domain.customer import EVERY_ROLE, decide_roles


def test_an_admin_gives_others_any_known_roles() -> None:
    assert decide_roles("admin", "other", ["operator", "customer", "operator"]) == {"operator", "customer"}
    assert decide_roles("admin", "other", sorted(EVERY_ROLE)) == EVERY_ROLE


def test_nobody_changes_his_own_roles_even_to_unknown_ones() -> None:
    with pytest.raises(Forbidden) as refusal:
        decide_roles("admin", "admin", ["root"])
    assert refusal.value.code == "own_roles"


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(Unprocessable) as refusal:
        decide_roles("admin", "other", ["customer", "root"])
    assert refusal.value.code == "unknown_role"
