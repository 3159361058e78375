"""What comes from outside is text wherever it is shown: the one place that makes HTML, and that there is no other."""

import ast
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import panel_material_ui as pmui
import pytest
from markupsafe import Markup

from dashboard.widgets.plain_text import (
    BREAK,
    HTML,
    JOINER,
    Alert,
    Words,
    as_written,
    bold,
    dot,
    element,
    html,
    in_a_menu,
    inked,
    phrase,
    sheet,
    write,
)

DASHBOARD = Path(__file__).parents[1] / "dashboard"
SEAM = DASHBOARD / "widgets" / "plain_text.py"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<script>alert(1)</script>",
    '"><b>bold</b>',
    "[x](javascript:alert(1))",
    "</script><script>alert(1)</script>",
    "&lt;b&gt; &amp; &ensp;",
    "**two** `three` $$x^2$$",
)
DRAWS_HTML = {
    *("HTML", "Markdown", "Str", "Alert", "Typography", "DataFrame", "JSON", "StaticText", "Div", "PreText"),
    *("Paragraph", "Tooltip", "HTMLBox", "ReactiveHTML", "LaTeX", "Placeholder", "Tabulator", "DataTable"),
    *("HTMLTemplateFormatter", "HTMLLabel", "ValueRef", "Template"),
}
"""Names of Panel's, of Material's and of Bokeh's for what makes HTML of a text that it is given."""

OURS_TO_TRUST = {"Markup(self.trap)", "Markup(kind.trap)", 'Markup(MARKDOWN.render(BEGUN.sub("", text, count=1)))'}
"""Constants of classes, and Markdown with HTML off."""

EXEMPT = {"export", "journal_entry.py", "still.py"}
"""Where tags are put into files: tests of their own read what comes out with hostile words in it."""

every_file = pytest.mark.parametrize(
    "path", sorted(DASHBOARD.rglob("*.py")), ids=lambda path: str(path.relative_to(DASHBOARD))
)
every_text = pytest.mark.parametrize("text", HOSTILE)


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def shown(told: str) -> str:
    """What a browser shows of HTML."""
    return str(Markup(told).unescape())


def tags(told: str) -> list[tuple[str, dict[str, str]]]:
    """Every tag that a browser finds, with its attributes."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(str(told))
    return found


@every_text
def test_a_text_is_shown_as_it_was_written(text):
    assert "<" not in html(text)
    assert shown(html(text)) == text
    assert html(Markup("<b>{}</b>").format(text)) == f"<b>{html(text)}</b>"
    assert shown(sheet(text).text) == text
    other = sheet("")
    write(other, text)
    assert shown(other.text) == text
    assert other.disable_math


@every_text
def test_what_draws_no_html_gets_the_words_and_their_colors(text):
    told = phrase(dot("#112233"), text, BREAK, bold(text, "#445566"), between="")
    first, second = inked(told)
    assert first[0] == ("●", "#112233")
    assert "".join(words for words, _ in first[1:]) == text
    assert {color for _, color in first[1:]} <= {""}
    assert ("".join(words for words, _ in second), {color for _, color in second}) == (text, {"#445566"})


@every_text
def test_whatever_a_sentence_is_made_of_is_text_unless_it_is_markup(text):
    told = phrase("a", text, bold(text, text), element("td", text, kind=text), between=text)
    assert tags(told) == [
        ("b", {"style": f"color: color-mix(in srgb, {text} 50%, currentColor)"}),
        ("td", {"class": text}),
    ]
    assert told.count(html(text)) == 8


@every_text
@pytest.mark.parametrize("kind", [HTML, Words, Alert])
def test_a_pane_shows_what_it_is_given_as_text(kind, text):
    """The browser takes one escaping away and makes HTML of what is left."""
    pane = kind(object=text)
    told = pane.get_root().data.object if kind is not HTML else pane.get_root().text
    assert shown(shown(told)) == text
    assert "<" not in shown(told)
    pane.object = ""
    assert not (pane.get_root().data.object if kind is not HTML else pane.get_root().text)


def test_bokeh_writes_dollars_and_takes_them_for_no_formula():
    for text in ("$$x^2$$", "a $$b$$", r"\(x\)", r"\[x\]"):
        assert as_written(text).text == text
    assert as_written("price in $") == "price in $"


def test_a_menu_shows_what_would_be_an_icon_as_it_is_written_and_takes_it_as_it_is():
    names = ["a", ":material/home:", ":material/x@color=red: b"]
    menu = pmui.Select(options=in_a_menu(names), value=names[1])
    assert [label.replace(JOINER, "") for label in menu.labels] == names
    assert not any(":material/" in label for label in menu.labels)
    assert menu.value == names[1]
    assert in_a_menu(names[:1]) == names[:1]


@every_file
def test_a_hover_box_is_a_list_of_rows_none_of_which_is_html(path):
    """Bokeh escapes what it fills into rows, unless it is marked as safe; a template that is one text is HTML."""
    for node in nodes(path):
        if isinstance(node, ast.keyword) and node.arg in ("hover_tooltips", "tooltips"):
            assert not isinstance(node.value, ast.Constant | ast.JoinedStr), ast.unparse(node.value)
        if path != SEAM and isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert "{safe}" not in node.value


@every_file
def test_nothing_else_draws_html(path):
    if path == SEAM:
        return
    called = {node.func for node in nodes(path) if isinstance(node, ast.Call)}
    foreign = [
        ast.unparse(one) for one in called if isinstance(one, ast.Attribute) and one.attr in DRAWS_HTML
    ]  # such as pn.pane.HTML
    imported = [
        f"{node.module}.{alias.name}"
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("panel", "bokeh"))
        for alias in node.names
        if alias.name in DRAWS_HTML and any(isinstance(one, ast.Name) and one.id == alias.name for one in called)
    ]
    assert foreign + imported == [], "take that of dashboard.widgets.plain_text, which shows text as text"


@every_file
def test_markup_is_made_of_constants_alone(path):
    for node in nodes(path):
        if path != SEAM and isinstance(node, ast.Call) and ast.unparse(node.func) == "Markup":
            (first,) = node.args
            constant = isinstance(first, ast.Constant)
            assert constant or ast.unparse(node).replace("'", '"') in OURS_TO_TRUST, ast.unparse(node)


@every_file
def test_sheets_are_written_by_the_one_function_that_escapes(path):
    if path == SEAM:
        return
    for node in nodes(path):
        targets = node.targets if isinstance(node, ast.Assign) else []
        assert not [ast.unparse(one) for one in targets if isinstance(one, ast.Attribute) and one.attr == "text"]


@every_file
def test_no_text_that_is_not_markup_has_tags(path):
    """A tag in a text that is put together would be seen on the page; made by `element` it is one."""
    scripts = {id(one) for node in nodes(path) if _is_script(node) for one in ast.walk(node)}
    for node in nodes(path):
        if isinstance(node, ast.JoinedStr) and id(node) not in scripts and not EXEMPT & {*path.parts}:
            fixed = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
            assert not any(tag in fixed for tag in ("</", "<br", "<img", "&ensp;", "&nbsp;")), ast.unparse(node)


def _is_script(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("_esm", "_stylesheets")
