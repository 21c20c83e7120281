"""The page of a back-test: whole, without anything from elsewhere, with plots that stay within their frame."""

import re
from datetime import date, timedelta
from html.parser import HTMLParser

from services.fraud.domain.rulesets import Outcome
from tallystick.backtest.comparison import Comparison
from tallystick.backtest.html_report import html_report

LONGEST = "r" * 60
_EMPTY_ELEMENTS = {"meta", "rect", "br"}


class Tree(HTMLParser):
    """Checks that elements end where they must, and keeps attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _EMPTY_ELEMENTS:
            self.open.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY_ELEMENTS:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def compared(days: int = 3) -> Comparison:
    """Return what a stricter set says: each day ten transfers, one of them held instead of approved."""
    comparison = Comparison()
    for day in range(days):
        for number in range(10):
            is_odd = number == 0
            comparison.add(
                transfer_id=f"transfer-{day}-{number}",
                day=date(2026, 3, 1) + timedelta(day),
                usd_minor=1_234_567_89,
                old="approve",
                new="hold" if is_odd else "approve",
                old_hits=("gone",) if number < 4 else (),
                alerted=(False, is_odd),
                outcome=Outcome("review", 100, (LONGEST,)) if is_odd else Outcome("approve", 0),
            )
    return comparison


def page(comparison: Comparison, name: str = "stricter") -> tuple[str, Tree]:
    html = html_report(name, "2026-03-01", "2026-03-03", comparison)
    return html, Tree(html)


def test_nothing_is_loaded_or_run() -> None:
    html, tree = page(compared())
    assert "default-src 'none'" in html
    assert not {tag for tag, *_ in tree.attributes} & {"script", "link", "img", "iframe", "a", "form"}
    assert not {name for _, name, _ in tree.attributes if name in {"src", "href"} or name.startswith("on")}
    assert "url(" not in html
    assert "@import" not in html


def test_what_is_told_of_a_rule_is_beside_its_name() -> None:
    html, _ = page(compared())
    [row] = [row for row in re.findall(r"<tr>.*?</tr>", html) if f"<code>{LONGEST}</code>" in row]
    assert 'aria-label="hits: 0 then, 3 now"' in row
    assert '<td class="number">3,703,703.67 USD</td>' in row
    [gone] = [row for row in re.findall(r"<tr>.*?</tr>", html) if "<code>gone</code>" in row]
    assert '<rect class="then" x="0" y="1" width="100.0"' in gone, "the highest fills its cell"
    assert '<rect class="now" x="0" y="11" width="0.0"' in gone


def test_bars_stand_within_their_frame_and_name_themselves() -> None:
    for days in (1, 3, 366):
        html, _ = page(compared(days))
        [plot] = re.findall(r'<svg class="bars" viewBox="0 0 1000 100".*?</svg>', html)
        rects = re.findall(r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"><title>(.*?)</title>', plot)
        assert len(rects) == 2 * days
        for x, y, width, height, _ in rects:
            assert float(x) + float(width) <= 1000
            assert abs(float(y) + float(height) - 100) < 0.2
            assert float(width) > 0.5
        assert [title for *_, title in rects[:2]] == ["2026-03-01: 0 then", "2026-03-01: 1 now"]


def test_where_nothing_was_decided_that_is_said_and_no_empty_table_shown() -> None:
    html, tree = page(Comparison())
    assert "There is no decision in these days to make again." in tree.texts
    assert "<table" not in html
    assert "<svg" not in html


def test_a_name_is_text_and_nothing_else() -> None:
    html, tree = page(compared(), "<b>&amp;")
    assert "<b>" not in html
    assert "Back-test of <b>&amp;" in tree.texts


def test_it_is_for_small_screens_and_the_dark_as_well() -> None:
    html, _ = page(compared())
    assert 'name="viewport" content="width=device-width' in html
    assert "prefers-color-scheme: dark" in html
    assert not re.search(r'fill="|font-size="', html), "what the style does not say would stay black in the dark"
