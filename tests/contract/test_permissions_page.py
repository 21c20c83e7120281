"""docs/permissions.md is what the matrix says now."""

from tools.permissions import PAGE, page


def test_the_page_of_the_permission_matrix_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with `make permissions`"
