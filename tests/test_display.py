"""What `rca.show` hands to a notebook: four forms of one table, and pictures, with nothing in them obeyed."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from PIL import Image

from rca import display
from rca.display import show
from rca.errors import InputError, UnknownName
from rca.wording import MISSING, duration, exact, in_markdown, plain

HOSTILE = '</td><script>alert(1)</script><img src=x onerror="alert(2)">|`*_[x](javascript:alert(3))'


class Reader(HTMLParser):
    """Collects tags and the text of cells, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.labels: list[str | None] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.labels += [value for name, value in attrs if name == "aria-label"]
        if tag in ("td", "th", "li", "p"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def github(text):
    """HTML of Markdown by a reader that obeys markup, so that what is not escaped shows."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


@pytest.fixture
def shown(monkeypatch):
    """The bundles and metadata that were displayed."""
    found = []
    monkeypatch.setattr(display, "_emit", lambda bundle, metadata: found.append((bundle, metadata)))
    return found


def test_values_are_worded_for_people():
    stamp = pd.Timestamp("2025-11-18T12:20:00+01:00")
    words = [plain(value) for value in (stamp, pd.Timedelta("2h 5min"), 0.000123456, 3.0, 12345, True, {"a": 1})]
    assert words == ["2025-11-18 11:20 UTC", "2 h 5 min", "0.0001235", "3", "12,345", "yes", "a: 1"]
    assert {plain(value) for value in (None, pd.NaT, pd.NA, np.float64("nan"), pd.Timedelta("NaT"))} == {MISSING}
    minus = "\N{MINUS SIGN}"
    assert [plain(value) for value in (-1.5, float("-inf"), -20_000)] == [f"{minus}1.5", f"{minus}∞", f"{minus}20,000"]


@given(st.integers(min_value=60, max_value=10**7))
def test_a_duration_misses_less_than_its_smallest_unit(seconds):
    parts = re.findall(r"(\d+) (d|h|min|s)", duration(pd.Timedelta(seconds=seconds)))
    size = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
    below = {"d": 3_600, "h": 60, "min": 1}
    assert 1 <= len(parts) <= 2
    assert 0 <= seconds - sum(int(count) * size[unit] for count, unit in parts) < below[parts[0][1]]


def test_nothing_in_a_table_is_markup(shown):
    show(pd.DataFrame({HOSTILE: [HOSTILE]}, index=pd.Index([HOSTILE], name=HOSTILE)), "x", caption=HOSTILE)
    reader = Reader(shown[0][0]["text/html"])
    assert set(reader.tags) == {"figure", "figcaption", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert reader.cells == [HOSTILE] * 4
    assert reader.labels == [HOSTILE]
    rendered = Reader(github(shown[0][0]["text/markdown"]))
    assert set(rendered.tags) == {"p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert [cell.strip() for cell in rendered.cells] == [HOSTILE] * 5


VISIBLE = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cf"]) | st.just(" ")


@given(st.text(VISIBLE, max_size=40))
def test_markdown_shows_any_text_as_it_is(text):
    wanted = " ".join(text.split())
    html = github(f"- x {in_markdown(wanted)}\n")
    assert " ".join(Reader(html).cells[0].split()) == f"x {wanted}".strip()


@pytest.mark.parametrize("text", ["# a", "- a", "1. a", "12) a", "> a", "+ a", "=== ", "```", "    a", "<b>", "***"])
def test_a_sentence_does_not_begin_a_block(text):
    html = github(in_markdown(text))
    assert Reader(html).tags == ["p"]
    assert Reader(html).cells[0].strip() == text.strip()


def test_the_csv_is_whole_and_reads_back(shown):
    table = pd.DataFrame(
        {
            "time": pd.to_datetime(["2025-11-18T11:20:00Z", None]),
            "lag": pd.to_timedelta(["2h 5min", None]),
            "value": [1 / 3, np.nan],
            "yes": [True, False],
            "path": [("a", "b"), ()],
            "text": ["x" * 600, 'with "quotes",\nand lines'],
        },
        index=pd.Index(["s1", "s2"], name="system"),
    )
    before = table.copy(deep=True)
    show(table, "found", rows=1)
    back = pd.read_csv(io.StringIO(shown[0][0]["text/csv"]), index_col="system", keep_default_na=False)
    assert list(back.columns) == list(table.columns)
    assert back["text"].tolist() == table["text"].tolist()
    assert pd.Timestamp(back["time"]["s1"]) == table["time"]["s1"]
    assert pd.Timedelta(back["lag"]["s1"]) == table["lag"]["s1"]
    assert float(back["value"]["s1"]) == pytest.approx(1 / 3, rel=1e-12)
    assert back["yes"].tolist() == [True, False]
    assert back["path"].tolist() == ["a; b", ""]
    assert back.loc["s2", ["time", "lag", "value"]].tolist() == ["", "", ""]
    assert "1 of 2 rows; all in tables/found.csv" in shown[0][0]["text/html"]
    assert "x" * 499 + "…</td>" in shown[0][0]["text/html"]
    pd.testing.assert_frame_equal(table, before)


def test_an_index_without_a_name_is_shown_but_not_in_the_csv(shown):
    show(pd.DataFrame({"n": [1]}, index=["row"]), "x")
    assert shown[0][0]["text/csv"] == "n\n1\n"
    assert Reader(shown[0][0]["text/html"]).cells == ["", "N", "row", "1"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\uff1d1"])
def test_a_text_is_no_formula(text):
    assert exact(text).startswith("'")
    assert exact([text]).startswith("'")


def test_a_number_is_not_taken_for_a_formula():
    assert [exact(value) for value in (-1, -1.5, np.int64(-2))] == ["-1", "-1.5", "-2"]


def test_control_characters_and_reversals_are_replaced():
    assert plain("a\x00\x1b[31m\u202egpj.exe\ud800") == "a\ufffd\ufffd[31m\ufffdgpj.exe\ufffd"
    plain("\ud800").encode("utf-8")


def test_headings_read_as_words_and_features_stay_as_they_are(shown):
    show(pd.DataFrame({"own_excess": [1.0], "V14": [2.0], ("a", "b"): [3.0]}))
    assert Reader(shown[0][0]["text/html"]).cells[:3] == ["Own excess", "V14", "a / b"]


def test_an_empty_table_says_so_and_keeps_its_columns(shown):
    show(pd.DataFrame({"a": [], "b": []}), "none")
    assert "No rows." in shown[0][0]["text/html"]
    assert shown[0][0]["text/csv"] == "a,b\n"


def test_a_column_without_a_word_is_not_shown_but_is_in_the_csv(shown):
    show(pd.DataFrame({"n": [1, 2], "note": ["", ""], "path": [(), ()], "seen": [None, None]}), "x")
    assert Reader(shown[0][0]["text/html"]).cells[:2] == ["N", "Seen"]
    assert shown[0][0]["text/csv"] == "n,note,path,seen\n1,,,\n2,,,\n"


def test_a_series_is_a_table_and_duplicate_columns_stay_apart(shown):
    show(pd.Series([1.5], index=pd.Index(["a"], name="system"), name="score"), "s")
    show(pd.DataFrame([[1, 2]], columns=["n", "n"]), "d")
    assert shown[0][0]["text/csv"] == "system,score\na,1.5\n"
    assert shown[1][0]["text/csv"] == "n,n\n1,2\n"


def test_texts_are_paragraphs_and_lists(shown):
    show("One <b>.\n\nTwo.")
    show(["One.", "# Two."], caption="Lessons")
    show([])
    assert Reader(shown[0][0]["text/html"]).cells == ["One <b>.", "Two."]
    assert Reader(shown[1][0]["text/html"]).cells == ["Lessons", "One.", "# Two."]
    assert shown[1][0]["text/markdown"] == "**Lessons**\n\n- One.\n- \\# Two.\n"
    assert shown[2][0]["text/plain"] == "None recorded."


def picture():
    figure = Figure(figsize=(4, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2, 3])
    return axes


def test_a_picture_is_the_same_png_every_time_with_words_for_the_blind(shown):
    show(picture(), "line", caption="A line <rising>")
    show(picture().figure, "line", caption="A line <rising>")
    (first, facts), (second, _) = shown
    assert first == second
    with Image.open(io.BytesIO(base64.b64decode(first["image/png"]))) as image:
        assert image.mode == "P"
        assert image.info == {}
    assert facts["image/png"] == {"width": 384, "height": 192, "alt": "A line <rising>"}
    assert facts["rca"]["picture"] == "line"


@pytest.mark.parametrize("name", ["Upper", "a/b", "../a", "a.csv", "a b", "x" * 65])
def test_a_name_that_is_no_file_stem_is_refused(name):
    with pytest.raises(InputError, match="plain file stem"):
        show(pd.DataFrame(), name)


def test_what_cannot_be_shown_is_refused_by_its_kind():
    with pytest.raises(InputError, match="cannot show a dict"):
        show({"a": 1})
    with pytest.raises(InputError, match="caption"):
        show(picture())
    with pytest.raises(InputError, match="only tables and pictures"):
        show("text", "name")
    with pytest.raises(InputError, match="at least one row"):
        show(pd.DataFrame(), rows=0)


def test_outside_a_notebook_the_text_is_printed(capsys):
    show(pd.DataFrame({"n": [1, 20]}), caption="Counts")
    assert capsys.readouterr().out == "Counts\n N\n 1\n20\n"


def test_chosen_columns_are_shown_and_the_csv_keeps_all(shown):
    frame = pd.DataFrame({"a": [1], "b": [2], "c": [3]})
    show(frame, "t", columns=["c", "a"])
    data = shown[0][0]
    assert data["text/plain"].splitlines()[0].split() == ["C", "A"]
    assert data["text/csv"] == "a,b,c\n1,2,3\n"


def test_a_chosen_column_that_is_not_there_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'deviation'"):
        show(pd.DataFrame({"deviation": [1]}), columns=["devation"])


def test_ids_of_vocabularies_are_shown_by_name_and_kept_in_the_csv(shown):
    show(pd.DataFrame({"role": ["root_cause"], "other": ["root_cause"]}), "t")
    data = shown[0][0]
    assert data["text/plain"].splitlines()[1].split("  ") == ["Root cause", "root_cause"]
    assert "root_cause,root_cause" in data["text/csv"]
