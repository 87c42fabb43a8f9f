"""Notebooks run into report folders: what is refused, what survives a failure, and what a page may hold."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
from hypothesis import given, strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import rca.report
from rca import schema
from rca.errors import InputError, MissingFile, UnknownName
from rca.report import Cover, attach, omitted, report, run
from rca.report.execution import inject
from rca.report.failures import find
from rca.report.markup import inert_markdown, safe_html, safe_markdown
from rca.report.parameters import check, from_text, parameters
from rca.report.render import html, markdown
from rca.systems import timeline

HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>x</a>"
FIRST = "top = 3  # how many\nname = 'x'\nratio = 0.5\nquiet = False"


def notebook(*cells, defaults=FIRST):
    """A notebook of sources; what begins with ``#`` and a space is Markdown."""
    made = [new_markdown_cell(text) if text.startswith("#") else new_code_cell(text) for text in cells]
    made.insert(1, new_code_cell(defaults, metadata={"tags": ["parameters"]}))
    for number, cell in enumerate(made):
        cell["id"] = f"c{number}"
    return new_notebook(cells=made)


def saved(path, *cells, **options):
    nbformat.write(notebook(*cells, **options), path)
    return path


class Page(HTMLParser):
    """Every tag with its attributes, and the text outside of style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data if self.tags and self.tags[-1][0] != "style" else ""

    def assert_inert(self):
        """Nothing that runs, asks a network or styles itself."""
        names = {tag for tag, _ in self.tags}
        assert not names & {"script", "iframe", "object", "embed", "svg", "math", "form", "input", "base", "video"}
        assert sum(tag == "style" for tag, _ in self.tags) <= 1
        for tag, attributes in self.tags:
            assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset", "srcdoc")]
            assert re.match(r"data:image/png;base64,", attributes.get("src") or "data:image/png;base64,")
            assert re.match(r"#|https?:|mailto:|data:,$", attributes.get("href") or "#"), tag


def without_times(text: str) -> str:
    return re.sub(r'<p id="run-times">.*?</p>', "", text)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """The same notebook run two times, in a place full of traps; the second time without one of its tables."""
    top = tmp_path_factory.mktemp("twice")
    path = saved(
        top / "question.ipynb",
        "# The question\n\n## Tables",
        "import os, sys\nimport pandas as pd\nfrom rca.display import show",
        f"show(pd.DataFrame({{'text': [{HOSTILE!r}, '=1+1'], 'n': [top, 2]}}), 'facts', caption={HOSTILE!r})",
        "from matplotlib.figure import Figure\nax = Figure(figsize=(4, 2)).subplots()\nlines = ax.plot([1, 2])",
        f"show(ax, 'line', caption={HOSTILE!r})",
        "show(pd.Series({'python': sys.executable, 'name': name, 'backend': os.environ['MPLBACKEND'],\n"
        "     'seed': os.environ['PYTHONHASHSEED'], 'folder': os.getcwd()}).rename_axis('what'), 'where')",
    )
    spec = top / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "trap", "language": "python"}))
    for name in ("pandas.py", "startup.py"):
        (top / name).write_text("raise SystemExit('a trap')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(top)
        patch.setenv("JUPYTER_PATH", str(top / "jupyter"))
        patch.setenv("PYTHONSTARTUP", str(top / "startup.py"))
        cover = Cover(title=HOSTILE, facts={"Severity": "SEV1", "Text": HOSTILE}, notices=[HOSTILE])
        given = {"top": 7, "name": 'a"\\\n{x}'}
        outcomes = [
            run(path, given, top / name, cover=cover, inputs={"sources/a.csv": "00"}) for name in ("one", "two")
        ]
    return top, outcomes


def test_a_run_writes_the_whole_folder(twice):
    top, (outcome, _) = twice
    assert outcome.failed == ()
    assert outcome.html == top / "one" / "question.html"
    found = sorted(path.relative_to(top / "one").as_posix() for path in (top / "one").rglob("*") if path.is_file())
    assert found == [
        "images/line.png", "question.html", "question.ipynb", "question.md", "run.json",
        "tables/facts.csv", "tables/where.csv",
    ]  # fmt: skip
    record = json.loads((top / "one" / "run.json").read_text())
    assert record["parameters"] == {"top": 7, "name": 'a"\\\n{x}', "ratio": 0.5, "quiet": False}
    assert record["inputs"] == {"sources/a.csv": "00"}
    assert record["failed"] == []
    assert record["versions"]["pandas"] == pd.__version__
    for name, digest in record["files"].items():
        assert hashlib.sha256((top / "one" / name).read_bytes()).hexdigest() == digest
    assert pd.Timestamp(record["finished"]) - pd.Timestamp(record["started"]) <= outcome.duration


def test_the_kernel_is_this_interpreter_and_nothing_else_of_the_place(twice):
    top, (outcome, _) = twice
    where = pd.read_csv(outcome.tables["where"], index_col="what")["value"]
    assert where["python"] == sys.executable
    assert where["name"] == 'a"\\\n{x}'
    assert where[["backend", "seed"]].tolist() == ["agg", "0"]
    assert Path(where["folder"]).resolve() == top.resolve()
    assert not [child for child in psutil.Process().children(recursive=True) if "ipykernel_launcher" in child.cmdline()]


def test_two_runs_give_the_same_files_but_for_the_times(twice):
    top, _ = twice
    one, two = top / "one", top / "two"
    for path in sorted(one.rglob("*.*")):
        if path.suffix in (".csv", ".png", ".md", ".ipynb"):
            assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path
    first, second = ((folder / "question.html").read_text() for folder in (one, two))
    assert without_times(first) == without_times(second)
    assert first.count('id="run-times"') == 1


def test_the_page_is_inert_and_shows_hostile_text_as_text(twice):
    _, (outcome, _) = twice
    text = outcome.html.read_text()
    page = Page(text)
    page.assert_inert()
    # title, heading, fact, notice, caption of the table, cell, caption of the picture
    assert page.text.count(HOSTILE) == 7
    assert not re.search(r"https?://", text)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"style-src 'sha256-{digest}'" in policy


def test_the_page_can_be_read_without_eyes(twice):
    _, (outcome, _) = twice
    page = Page(outcome.html.read_text())
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a" and attributes["href"][0] == "#"]
    assert set(anchors) <= set(ids)
    assert [tag for tag, _ in page.tags if re.fullmatch(r"h\d", tag)] == ["h1", "h2"]


def test_the_markdown_has_no_html_and_its_pictures_exist(twice):
    _, (outcome, _) = twice
    text = outcome.html.with_suffix(".md").read_text()
    assert not re.search(r"<[a-zA-Z/!]", text)
    links = re.findall(r"\]\((images/[^)]*)\)", text)
    assert links == ["images/line.png"]
    with Image.open(outcome.folder / links[0]) as image:
        assert image.format == "PNG"


def test_after_a_failed_cell_the_rest_is_run_and_what_follows_from_it_is_told_apart(tmp_path, capfd, caplog):
    path = saved(
        tmp_path / "broken.ipynb",
        "# Broken\n\n## First part",
        "import os\nfrom rca.display import show",
        f"raise ValueError({HOSTILE!r})\nfound = 1",
        "## Second part",
        "later = found + 1",
        "show(['still here', str(later)])",
        "show(['this is shown'])",
        "undefined_by_nobody",
        "## Third part",
        "os.kill(os.getpid(), 11)",
        "show(['never'])",
    )
    outcome = run(path, {}, tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    told = [(failure.cell, failure.heading, failure.because) for failure in outcome.failed]
    second = "Second part"
    assert told == [
        (4, "First part", None), (6, second, 4), (7, second, 4), (9, second, None), (11, "Third part", None),
        (12, "Third part", 11),
    ]  # fmt: skip
    assert "Segmentation fault" in outcome.failed[4].error
    page = Page(outcome.html.read_text())
    page.assert_inert()
    assert "This report is incomplete: 3 steps failed, and 3 more depend on them." in page.text
    assert f"ValueError: {HOSTILE}" in page.text
    assert "this is shown" in page.text
    assert "never" not in page.text
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert {"#failed-4", "#failed-9", "#failed-11"} <= links
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [one["cell"] for one in record["failed"]] == [4, 6, 7, 9, 11, 12]


def test_the_executed_notebook_has_the_cells_of_the_source_and_no_others(tmp_path):
    path = saved(tmp_path / "broken.ipynb", "# Broken", "1 / 0", "print(top)")
    outcome = run(path, {"top": 9}, tmp_path / "out")
    assert [failure.cell for failure in outcome.failed] == [4]
    made = nbformat.read(tmp_path / "out" / "broken.ipynb", as_version=4)
    assert [cell["id"] for cell in made.cells] == ["c0", "c1", "injected-parameters", "c2", "c3"]
    assert made.cells[4].outputs[0]["text"] == "9\n"


def test_a_cell_that_takes_too_long_is_stopped_and_reported(tmp_path):
    path = saved(tmp_path / "slow.ipynb", "# Slow", "import time\nprint('begun', flush=True)\ntime.sleep(60)", "1")
    outcome = run(path, {}, tmp_path / "out", timeout=1)
    assert [(failure.cell, failure.error) for failure in outcome.failed] == [
        (3, "ran longer than 1 seconds and was stopped"), (4, "not run"),
    ]  # fmt: skip
    assert "begun" in outcome.html.read_text()


def test_an_interrupt_stops_the_kernel_and_writes_nothing(tmp_path):
    source = "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)"
    path = saved(tmp_path / "long.ipynb", "# Long", source)
    with pytest.raises(KeyboardInterrupt):
        run(path, {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [child for child in psutil.Process().children(recursive=True) if "ipykernel_launcher" in child.cmdline()]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"topp": 3}, UnknownName, "unknown parameter 'topp'; did you mean 'top'"),
        ({"top": "3"}, InputError, "'3' is text; wanted is a whole number such as 3"),
        ({"top": True}, InputError, "wanted is a whole number"),
        ({"quiet": 1}, InputError, "wanted is a yes or no"),
        ({"ratio": float("nan")}, InputError, "no plain value"),
        ({"name": Path("x")}, InputError, "no plain value"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_written(tmp_path, given, error, message):
    path = saved(tmp_path / "q.ipynb", "# Q")
    with pytest.raises(error, match=message):
        run(path, given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parameters_are_read_without_running_anything(tmp_path):
    path = saved(tmp_path / "q.ipynb", "# Q", defaults="top: int = 3\nitems = ['a', -1]\nnothing = None")
    assert parameters(path) == {"top": 3, "items": ["a", -1], "nothing": None}
    for source in ("x = open('/etc/passwd')", "import os", "a = b = 1", "x = 1\nx += 1", "x ="):
        with pytest.raises(InputError, match="parameters cell"):
            parameters(saved(tmp_path / "bad.ipynb", "# Q", defaults=source))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"cells": 3}', '{"nbformat": 4, "cells": []}', "\xff"])
def test_what_is_no_notebook_is_refused(tmp_path, content):
    path = tmp_path / "q.ipynb"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError):
        parameters(path)


def test_a_missing_notebook_and_one_without_parameters_are_refused(tmp_path):
    with pytest.raises(MissingFile):
        run(tmp_path / "none.ipynb", {}, tmp_path / "out")
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), tmp_path / "plain.ipynb")
    with pytest.raises(InputError, match="0 cells are tagged 'parameters'"):
        run(tmp_path / "plain.ipynb", {}, tmp_path / "out")


def test_a_report_folder_that_is_a_file_is_refused(tmp_path):
    path = saved(tmp_path / "q.ipynb", "# Q")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        run(path, {}, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_typed_text_becomes_the_type_of_the_default():
    known = {"top": 3, "ratio": 0.5, "quiet": False, "name": "x", "items": [1], "any": None}
    typed = {"top": "7", "ratio": "1", "quiet": "Yes", "name": "7", "items": "['a']", "any": "b"}
    assert from_text(typed, known) == {
        "top": 7, "ratio": 1.0, "quiet": True, "name": "7", "items": ["a"], "any": "b",
    }  # fmt: skip
    with pytest.raises(InputError, match="'maybe' is text; wanted is a yes or no"):
        from_text({"quiet": "maybe"}, known)
    with pytest.raises(UnknownName):
        from_text({"tpo": "1"}, known)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_any_plain_value_reaches_the_cell_as_it_is(value):
    book = notebook("# Q", defaults="x = None")
    inject(book, check({"x": value}, {"x": None}))
    space: dict[str, object] = {}
    exec(book.cells[2].source, space)
    assert space["x"] == value
    assert type(space["x"]) is type(value)


def output(data, metadata=None):
    return new_output("display_data", data=data, metadata=metadata or {})


def executed(*outputs, text="## Part"):
    cells = [new_markdown_cell(text), new_code_cell("secret_source()", outputs=list(outputs))]
    return new_notebook(cells=cells)


@pytest.mark.parametrize(
    "rich",
    [
        "<script>alert(1)</script>",
        "<table onmouseover='x()'><tr><td style='background:url(http://x)'>kept</table>",
        "<svg onload=alert(1)><circle/></svg>kept",
        "<style>@import 'http://x';</style>kept",
        "<img src=http://x/y.png onerror=alert(1)>kept",
        "<a href='javascript:alert(1)'>kept</a>",
        "<iframe srcdoc='<script>x</script>'></iframe>kept",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "</main></body><base href='http://x'><form action=http://x><input>kept",
        "<p class='rca-table\" onclick=\"x'>kept",
        "<!-- <p> --!><script>alert(1)</script>kept",
        "<scr<script>ipt>alert(1)</script>kept",
    ],
)
@pytest.mark.parametrize("facts", [{}, {"rca": {"kind": "table", "table": "../../x", "caption": "<b>"}}])
def test_a_hostile_output_comes_out_inert(tmp_path, rich, facts):
    book = executed(output({"text/html": rich, "text/csv": "a\n1\n", "text/plain": "plain"}, facts))
    text = html(book, Cover())
    Page(text).assert_inert()
    assert ("kept" in rich) == ("kept" in Page(text).text)
    assert "alert" not in Page(text).text.replace("ipt>alert(1)", "")
    Page(safe_html(rich)).assert_inert()
    assert report(book, tmp_path).tables == {}


def test_attributes_hold_only_what_a_table_needs():
    assert safe_html('<p class="failed" role="main" tabindex="5" scope="x" dir="up" id="main">x</p>') == "<p>x</p>"
    kept = '<td class="rca-table rca-wide" tabindex="0" role="region" dir="auto" colspan="2">x</td>'
    assert safe_html(kept) == kept


@given(st.text(alphabet="<>/=\"' abtdscriptmglonx!-#&;", max_size=60))
def test_sanitised_html_is_a_fixed_point_and_closes_what_it_opens(text):
    once = safe_html(text)
    assert safe_html(once) == once
    Page(once).assert_inert()
    opened = re.findall(r"<([a-z][a-z0-9]*)", once)
    assert sorted(tag for tag in opened if tag not in ("br", "hr")) == sorted(re.findall(r"</([a-z][a-z0-9]*)>", once))


@pytest.mark.parametrize(
    "text",
    ["<b onclick=x()>b</b>", "[x](javascript:alert(1))", "![x](http://x/y.png)", "<http://x> [x](data:text/html,y)",
     "[x]: javascript:y\n\n[x]", "![x](data:image/svg+xml;base64,PHN2Zz4=)", "[x](vbscript:y)", "[x](//example.org)"],
)  # fmt: skip
def test_markdown_cells_and_outputs_come_out_inert(text):
    book = executed(output({"text/markdown": text}), text=text)
    Page(html(book, Cover())).assert_inert()
    assert "<b" not in markdown(book, Cover())


@pytest.mark.parametrize(
    ("text", "cover", "kind", "title"),
    [
        ("# What broke first?\n\nText.", Cover(title="Orders failed"), "What broke first?", "Orders failed"),
        ("# Post-mortem", Cover(title="Orders failed"), "Post-mortem", "Orders failed"),
        ("# What broke first?", Cover(), "Analysis", "What broke first?"),
        ("No heading.", Cover(title="Orders failed"), "Analysis", "Orders failed"),
    ],
)
def test_a_page_says_above_its_title_which_question_it_answers(text, cover, kind, title):
    page = html(executed(text=text), cover)
    assert f'<p class="kicker" dir="auto">{kind}</p>' in page
    assert f'<h1 dir="auto">{title}</h1>' in page


def test_headings_get_ids_that_differ_and_pictures_become_their_words():
    taken = {"main"}
    text, found = safe_markdown("# Part\n\n## Part\n\n### *Part*\n\n![a <b>](x.png)", taken)
    assert [(level, name) for level, name, _ in found] == [(2, "sec-part"), (2, "sec-part-2"), (3, "sec-part-3")]
    assert "<p>a &lt;b&gt;</p>" in text


OPEN = ["```\na <b>", "~~~~ x\na\n~~~", "- ```\n  a", "```\na\n```", "> ```\n> a", "````\n```"]


@pytest.mark.parametrize("text", OPEN)
def test_a_code_block_left_open_does_not_swallow_what_follows(text):
    whole = inert_markdown(text) + "\n\n## After\n"
    assert [words for _, _, words in safe_markdown(whole, set())[1]] == ["After"]


def test_plain_outputs_are_text_and_messages_can_be_opened():
    streams = [
        new_output("stream", name="stdout", text="\x1b[31mred\x1b[0m <Axes at 0x7f00aa00bb00>"),
        new_output("stream", name="stderr", text="a warning"),
    ]
    book = executed(*streams, output({"text/plain": "```\n# no heading"}))
    text = html(book, Cover())
    assert "<pre>red &lt;Axes at 0x…&gt;</pre>" in text
    assert "<details" in text
    assert "secret_source" not in text
    assert "````text\n```\n# no heading\n````" in markdown(book, Cover())


def test_a_picture_that_is_none_is_left_out_and_one_without_words_says_so(tmp_path):
    raw = io.BytesIO()
    Image.new("RGB", (30, 20)).save(raw, format="PNG")
    real = base64.b64encode(raw.getvalue()).decode()
    fake = base64.b64encode(b"<svg onload=alert(1)>").decode()
    drawn = {"image/svg+xml": "<svg/>", "text/plain": "svg"}
    book = executed(output({"image/png": real}), output({"image/png": fake, "text/plain": "fake"}), output(drawn))
    images = [attributes for tag, attributes in Page(html(book, Cover())).tags if tag == "img"]
    assert [(image["alt"], image["width"], image["height"]) for image in images] == [
        ("Picture without a description", "30", "20")
    ]
    report(book, tmp_path)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["picture_1.png"]


def test_what_is_too_long_for_a_page_is_cut():
    long = "<p>" + "rich " * 500_000
    text = html(executed(output({"text/html": long, "text/plain": "plain " * 10_000})), Cover())
    assert "rich" not in text
    assert len(text) < 60_000
    assert text.count("plain ") < 4_000


def table(name, content):
    return output({"text/csv": content, "text/plain": ""}, {"rca": {"kind": "table", "table": name}})


def test_tables_of_an_earlier_run_go_and_the_users_own_files_stay(tmp_path):
    report(executed(table("old", "a\n1\n"), table("kept", "a\n1\n")), tmp_path)
    (tmp_path / "tables" / "mine.csv").write_text("mine")
    outcome = report(executed(table("kept", "a\n2\n")), tmp_path)
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["kept.csv", "mine.csv"]
    assert outcome.tables["kept"].read_text() == "a\n2\n"


def test_a_forged_record_of_an_earlier_run_deletes_nothing_outside(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("x")
    (out / "own.md").write_text("x")
    forged = {"tables/../../precious": "", "tables/gone.csv": "", "own.md": "", str(tmp_path / "precious"): ""}
    (out / "run.json").write_text(json.dumps({"files": forged}))
    report(executed(), out)
    assert (tmp_path / "precious").exists()
    assert (out / "own.md").exists()


def test_one_name_for_two_tables_is_a_failure(tmp_path):
    same = report(executed(table("t", "a\n1\n"), table("t", "a\n1\n")), tmp_path)
    assert same.failed == ()
    other = report(executed(table("t", "a\n1\n"), table("t", "a\n2\n")), tmp_path)
    assert "two different tables are named 't'" in other.failed[0].error
    assert other.tables["t"].read_text() == "a\n1\n"
    assert "two different tables" in other.html.read_text()


def error(name, text):
    return new_output("error", ename=name, evalue=text, traceback=[])


def test_consequences_are_followed_through_several_cells():
    cells = [
        new_code_cell("import nothing as n", outputs=[error("ModuleNotFoundError", "No module named 'nothing'")]),
        new_code_cell("with n.f() as g: pass", outputs=[error("NameError", "name 'n' is not defined")]),
        new_code_cell("g()", outputs=[error("NameError", "name 'g' is not defined")]),
        new_code_cell("h()", outputs=[error("NameError", "name 'h' is not defined")]),
        new_code_cell("exit()", outputs=[error("SystemExit", "0")]),
    ]
    found = find(new_notebook(cells=cells))
    assert [(failure.cell, failure.because) for failure in found] == [(1, None), (2, 1), (3, 1), (4, None)]


def test_the_title_is_given_or_the_notebooks_own_first_heading():
    book = executed(text="# Own title\n\nWords.")
    assert '<h1 dir="auto">Own title</h1>' in html(book, Cover())
    given = html(book, Cover(title="Given"))
    assert '<h1 dir="auto">Given</h1>' in given
    assert given.count("Own title") == 1  # above the title
    assert markdown(book, Cover()).startswith("# Own title\n\nWords.\n")


def test_words_for_the_notebook_alone_are_not_in_the_report():
    book = executed(text="# Title\n\nRun me cell by cell.")
    book.cells[0].metadata["tags"] = ["notebook-only"]
    assert '<h1 dir="auto">Title</h1>' in html(book, Cover())
    assert "cell by cell" not in html(book, Cover()) + markdown(book, Cover())


def test_a_table_is_written_whole_without_being_shown(tmp_path):
    text = "rca.report.attach(pd.DataFrame({'system': ['secret-x', '=1'], 'n': [1, 2]}), 'whole')"
    done = run(saved(tmp_path / "n.ipynb", "# T", "import pandas as pd, rca\n" + text), {}, tmp_path / "out")
    assert done.failed == ()
    assert done.tables["whole"].read_text() == "system,n\nsecret-x,1\n'=1,2\n"
    assert "secret-x" not in Path(done.html).read_text()
    with pytest.raises(InputError, match="plain file stem"):
        attach(pd.DataFrame(), "../x")


def test_what_a_table_lacks_is_said_with_the_number_and_the_file():
    at = pd.Timestamp("2025-01-01", tz="UTC")
    rows = [(f"e{n}", at + pd.Timedelta(minutes=n), "chat" if n else "deploy", f"m{n}") for n in range(9)]
    events = timeline.merge(schema.check(pd.DataFrame(rows, columns=["event_id", "time", "kind", "message"]), "events"))
    shown, whole = (timeline.overview(events, limit=limit, fold=False) for limit in (4, 9))
    assert omitted(events, shown, whole) == (
        "Left out of this table: 5 of 8 Chat message. tables/events.csv has all 9 records."
    )
    assert omitted(events, whole, whole).startswith("Nothing is left out")
    assert omitted(events, shown, shown).endswith(
        "tables/events.csv holds 4 rows at most, by weight, and lacks 5 of 8 Chat message."
    )


def test_no_column_of_a_wide_table_is_out_of_sight_without_a_bar():
    style = (Path(rca.report.__file__).parent / "template" / "report.css").read_text()
    assert re.search(r"\.rca-scroll \{[^}]*overflow-x: auto", style)
    assert ".rca-scroll::-webkit-scrollbar { height:" in style
