from uuid import UUID

import pytest

from libs.common.ids import is_id, new_id, system_account_id


def test_new_ids_are_uuids_of_version_7_in_the_order_of_their_making() -> None:
    made = [new_id() for _ in range(1000)]
    assert {UUID(text).version for text in made} == {7}
    assert made == sorted(set(made))
    assert all(is_id(text) for text in made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01890a5d-ac96-774b-bcce-b302099a805",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5dac96774bbcceb302099a8057",
        "{01890a5d-ac96-774b-bcce-b302099a805}",
        "01890a5d-ac96-774b-bcce-b302099a805g",
        "01890a5d-ac96-774b-bcce-b302099a805\x00",
        "\N{ARABIC-INDIC DIGIT ZERO}1890a5d-ac96-774b-bcce-b302099a8057",
    ],
)
def test_only_the_canonical_form_is_an_id(text: str) -> None:
    assert not is_id(text)


def test_a_system_account_has_the_same_id_everywhere() -> None:
    assert system_account_id("USD", "SYS-RESERVE-0001") == "a92d6609-f95d-5f7a-b663-e8efe384d901"
    assert system_account_id("USD", "SYS-RESERVE-0001") != system_account_id("EUR", "SYS-RESERVE-0001")
