"""The table of codes is read line by line, and each line makes a page."""

import pytest

from libs.common.http.error_codes import TABLE, error_codes, operations_by_code, read_codes, render_index, render_page
from libs.common.http.openapi import refusals


def test_every_line_of_the_table_is_read_and_says_where_its_code_comes_from() -> None:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    assert len(error_codes()) == len(lines) > 100
    assert [error.code for error in error_codes().values() if not error.section or not error.place] == []


def test_a_heading_forgets_the_place_of_the_one_before() -> None:
    text = "## One\n\nSaid by: a.\n\n| `a_b` | 422 | What. | Do. |\n\n## Two\n\n| `c_d` | \N{EN DASH} | What. | Do. |\n"
    one, two = read_codes(text)
    assert (one.section, one.place, one.is_answered) == ("One", "a.", True)
    assert (two.section, two.place, two.is_answered) == ("Two", "", False)


@pytest.mark.parametrize("code", error_codes())
def test_a_page_says_what_the_code_means_and_what_to_do(code: str) -> None:
    error = error_codes()[code]
    page = render_page(error, ["GET /api/v1/somewhere"])
    assert page.startswith(f"# `{code}`\n")
    assert f"\n{error.meaning}\n" in page
    assert f"\n{error.advice}\n" in page
    assert "- `GET /api/v1/somewhere`" in page
    assert (f'"type": "/errors/{code}"' in page) == error.is_answered


def test_the_index_links_every_page() -> None:
    index = render_index()
    assert [code for code in error_codes() if f"[`{code}`]({code}.md)" not in index] == []
    assert "<!--" not in index


def test_the_operations_of_a_code_are_those_that_name_it() -> None:
    document = {
        "paths": {
            "/b": {"get": {"responses": refusals("some_code", "other_code")}},
            "/a": {"post": {"responses": {"200": {}, **refusals("some_code")}}},
        }
    }
    assert operations_by_code(document) == {"some_code": ["POST /a", "GET /b"], "other_code": ["GET /b"]}
