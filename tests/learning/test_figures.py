"""What of an SVG may stand in a page of the kit."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from village_apps.learning.figures import GEOMETRY, LOOKS, SHAPES, clean_figure
from village_apps.learning.lesson import LessonError
from village_apps.learning.library import LESSONS

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 360 190">'


def of(inside: str) -> str:
    return f"{HEAD}{inside}</svg>"


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<script>alert(1)</script>", "holds <script>"),
        ('<path d="M0 0" onload="alert(1)"/>', "which is a script"),
        ('<g><path d="M0 0" ONCLICK="x"/></g>', "which is a script"),
        ('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>', "holds <foreignObject>"),
        ('<p xmlns="http://www.w3.org/1999/xhtml">x</p>', "which is no SVG"),
        ('<p xmlns="">x</p>', "which is no SVG"),
        ('<a href="javascript:alert(1)"><path d="M0 0"/></a>', "holds <a>"),
        ('<image href="http://elsewhere/x.png"/>', "holds <image>"),
        ('<use href="#x"/>', "holds <use>"),
        ('<animate attributeName="href" to="javascript:x"/>', "holds <animate>"),
        ("<style>@import url(http://x)</style>", "holds <style>"),
        ('<linearGradient id="a" href="http://x/y#z"/>', "may point only to an id of its own"),
        ('<linearGradient id="a" xlink:href="data:x"/>', "may point only to an id of its own"),
        ('<path fill="url(http://x/y)"/>', "write a plain value"),
        ('<path style="fill:u\\72l(http://x)"/>', "write a plain value"),
        ('<path fill="red/**/"/>', "write a plain value"),
        ('<path id="a b"/>', "may point only to an id of its own"),
        ("<g>" * 40 + "</g>" * 40, "nested more than"),
        ("<path/>" * 3001, "more than 3000 elements"),
    ],
)
def test_what_could_run_load_or_lead_away_is_refused_in_words(inside: str, says: str) -> None:
    with pytest.raises(LessonError, match=re.escape(says)):
        clean_figure(of(inside))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no SVG"),
        ("<svg", "is no SVG"),
        ('<svg viewBox="0 0 1 1"/>', "must begin with <svg xmlns="),
        ('<svg xmlns="http://www.w3.org/2000/svg" width="3"/>', "has no viewBox"),
        (f'<!DOCTYPE svg [<!ENTITY a "b">]>{of("")}', "<!DOCTYPE>"),
        (of("x" * 50_000), "bytes; at most"),
        ("\x00", "is no SVG"),
    ],
)
def test_what_is_no_figure_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(LessonError, match=re.escape(says)):
        clean_figure(text)


def test_what_an_editor_leaves_behind_is_left_out_and_its_styles_become_attributes() -> None:
    drawn = clean_figure(
        of(
            "<!-- drawn by hand --><metadata>me</metadata><title>a tooltip</title>"
            '<n:view xmlns:n="http://www.inkscape.org/namespaces/inkscape" zoom="2"/>'
            '<defs><linearGradient id="sky"><stop offset="0" style="stop-color:#fff;stop-opacity:1"/></linearGradient>'
            '</defs><path class="warning" style="fill: url(#sky); -inkscape-stroke:none" d="M0 0h9"/>\n'
            '<text x="1">2 &lt; 3</text>'
        ),
        prefix="water-1-",
    )
    assert 'id="water-1-sky"' in drawn
    assert 'fill="url(#water-1-sky)"' in drawn
    assert 'stop-color="#fff"' in drawn
    assert "2 &lt; 3" in drawn
    for gone in ("tooltip", "inkscape", "class", "style", "metadata", "<!--"):
        assert gone not in drawn


def test_the_figures_that_come_with_the_kit_lose_nothing_they_show() -> None:
    for file in LESSONS.glob("*/*.svg"):
        text = file.read_text(encoding="utf-8").strip()
        drawn = clean_figure(text)
        assert sorted(re.findall(r"<(\w+)", drawn)) == sorted(re.findall(r"<(\w+)", text))
        assert clean_figure(drawn) == drawn


class Seen(HTMLParser):
    """What a browser's parser would meet."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.paints: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.paints += [value for _, value in attrs if value and "url" in value]


NAMES = st.sampled_from(["path", "g", "text", "script", "a", "image", "style", "p", "stop", "foreignObject"])
KEYS = st.sampled_from(["fill", "style", "onload", "href", "id", "d", "class", "x", "formaction"])
VALUES = st.text(alphabet="ab:;#()url\\javscript<>\"'/ *@%", max_size=20)


def _escaped(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _element(name: str, attributes: dict[str, str], children: list[str]) -> str:
    told = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
    return f"<{name}{told}>{''.join(children)}</{name}>"


ELEMENTS = st.recursive(
    st.text(alphabet="ab <>&\"'", max_size=8).map(_escaped),
    lambda inner: st.builds(_element, NAMES, st.dictionaries(KEYS, VALUES, max_size=3), st.lists(inner, max_size=3)),
    max_leaves=12,
)


@given(ELEMENTS)
def test_whatever_is_drawn_only_what_is_listed_comes_out(inside: str) -> None:
    try:
        drawn = clean_figure(of(inside))
    except LessonError:
        return
    seen = Seen()
    seen.feed(drawn)
    assert seen.tags <= {name.lower() for name in SHAPES}
    assert seen.attributes <= {name.lower() for name in GEOMETRY | LOOKS} | {"id", "href", "xmlns"}
    assert all(re.fullmatch(r"url\(#\w[\w.-]*\)|#?\w[\w.-]*", each) for each in seen.paints)
