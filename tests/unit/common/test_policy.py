import pytest

from libs.common.errors import Forbidden, NotFound
from libs.common.http.auth import Principal
from libs.common.http.policy import (
    may_debit,
    require_not_self,
    require_party,
    require_payee,
    require_payer,
    require_reader,
    require_role,
)


def somebody(*roles: str, user_id: str = "ada") -> Principal:
    return Principal(user_id, frozenset(roles or ("customer",)), "t1", 0.0)


def test_one_of_the_roles_is_enough() -> None:
    require_role(somebody("operator"), "admin", "operator")


def test_none_of_the_roles_is_forbidden_and_says_which_are_needed() -> None:
    with pytest.raises(Forbidden) as refused:
        require_role(somebody("support"), "admin", "operator")
    assert refused.value.code == "role_required"
    assert refused.value.facts == {"roles": ["admin", "operator"]}


def test_nobody_decides_about_himself() -> None:
    require_not_self(somebody(), "bob", "own_case", "Ask a colleague.")
    with pytest.raises(Forbidden, match="own_case"):
        require_not_self(somebody("compliance"), "ada", "own_case", "Ask a colleague.")


@pytest.mark.parametrize("role", ["support", "compliance", "operator", "auditor", "admin"])
def test_staff_read_what_is_others(role: str) -> None:
    require_reader(somebody(role), "bob", what="account")


def test_a_stranger_is_told_the_same_as_when_there_is_nothing() -> None:
    require_reader(somebody(), "ada", what="account")
    told = []
    for owner in ("bob", None):
        with pytest.raises(NotFound) as refused:
            require_reader(somebody(), owner, what="account")
        told.append((refused.value.code, refused.value.detail, refused.value.facts))
    assert told[0] == told[1]
    assert told[0][0] == "account_not_found"


def test_only_the_owner_debits_an_account() -> None:
    assert may_debit("ada", "ada")
    assert not may_debit("ada", "bob")
    assert not may_debit("ada", None)


def test_parties_and_staff_read_and_a_stranger_learns_nothing() -> None:
    require_party(somebody(), {"ada", "bob"}, what="transfer")
    require_party(somebody("support"), {"bob"}, what="transfer")
    with pytest.raises(NotFound, match="transfer_not_found"):
        require_party(somebody(), {"bob"}, what="transfer")


def test_who_asked_for_a_hold_ends_it_and_so_do_operators() -> None:
    require_payer(somebody(), "ada", {"ada", "bob"})
    require_payer(somebody("operator"), "bob", {"bob", None})
    for principal in (somebody(), somebody("admin")):
        with pytest.raises(Forbidden, match="not_the_payer"):
            require_payer(principal, "bob", {"ada", "bob"})


def test_who_received_all_of_it_gives_back_and_so_do_operators() -> None:
    require_payee(somebody(), {"ada"}, {"ada", "bob"})
    require_payee(somebody("operator"), {"bob", None}, {"bob", "carol", None})
    for payees in ({"bob"}, {"ada", "bob"}, {"ada", None}, set[str]()):
        with pytest.raises(Forbidden, match="not_the_payee"):
            require_payee(somebody(), payees, {"ada", "bob"})


def test_an_operator_whose_money_it_moves_acts_as_the_customer_that_he_is_or_not_at_all() -> None:
    operator = somebody("operator")
    require_payer(operator, "ada", {"ada", "bob"})
    require_payee(operator, {"ada"}, {"ada", "bob"})
    with pytest.raises(Forbidden, match="own_transfer"):
        require_payer(operator, "bob", {"ada", "bob"})
    with pytest.raises(Forbidden, match="own_transfer"):
        require_payee(operator, {"bob"}, {"ada", "bob"})
