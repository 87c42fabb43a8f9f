"""Pictures of whys, fishbone, FMEA and actions: what is drawn, and that no text overlaps or is cut."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from rca.causes import actions as causes_actions, fishbone as causes_fishbone, fmea as causes_fmea, whys as causes_whys
from rca.conclusions import Action, Bone, FailureMode, Why
from rca.errors import InputError
from rca.evidence import Evidence
from rca.plots import sheet
from rca.plots.actions import actions
from rca.plots.fishbone import fishbone
from rca.plots.fmea import fmea
from rca.plots.whys import whys

SEEN = (Evidence(table="shapdiff", locator="row 1", says="The weight grew"),)
WORD = "Donaudampfschifffahrtsgesellschaftskapitän"
LONG = f"{WORD} of feature-store/a_very_long_path_without_any_end.parquet lost $x_1$ and <b>more</b>"
TEXTS = {"short": "Late", "plain": "The sample is not compared with the population", "long": LONG}
AS_OF = pd.Timestamp("2025-04-03T09:00Z")


def faults(ax: Axes, dpi: float) -> list[str]:
    """Return every pair of texts that overlap, every text that is cut, and every text on a slanted line."""
    figure = ax.figure
    figure.set_dpi(dpi)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in ax.texts if text.get_text()]
    found = [f"{a!r} on {b!r}" for (a, one), (b, two) in itertools.combinations(boxes, 2) if overlap(one, two)]
    page = figure.bbox
    found += [f"{a!r} is cut" for a, box in boxes if not inside(box, page)]
    for line in (line for line in ax.lines if len(line.get_xdata()) == 2):
        (x0, x1), (y0, y1) = line.get_xdata(), line.get_ydata()
        if x0 != x1 and y0 != y1:
            points = [ax.transData.transform((x0 + (x1 - x0) * k / 200, y0 + (y1 - y0) * k / 200)) for k in range(201)]
            found += [f"{a!r} on a bone" for a, box in boxes if any(box.contains(*point) for point in points)]
    return found


def overlap(one: Bbox, two: Bbox) -> bool:
    common = Bbox.intersection(one, two)
    return common is not None and common.width > 0 and common.height > 0


def inside(box: Bbox, page: Bbox) -> bool:
    return page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1


def bones(categories: int, causes: int, text: str) -> pd.DataFrame:
    names = [f"Physical evidence {n}" if n % 2 else f"C{n}" for n in range(categories)]
    states = ("open", "supported", "refuted")
    rows = [
        Bone(category=name, cause=f"{n} {TEXTS[text] if text != 'mixed' else list(TEXTS.values())[(n + k) % 3]}",
             status=states[(n + k) % 3], evidence=SEEN)
        for k, name in enumerate(names)
        for n in range(causes if text != "mixed" else (causes * (k + 1)) % 13)
    ]  # fmt: skip
    return causes_fishbone.build(rows, categories=names)


@pytest.mark.parametrize("text", [*TEXTS, "mixed"])
@pytest.mark.parametrize("categories", [1, 2, 3, 4, 8])
def test_no_text_of_a_fishbone_overlaps_or_is_cut(categories: int, text: str) -> None:
    for causes, problem in ((0, LONG * 4), (1, "Recall fell"), (5, LONG), (12, "Recall fell from 0.91 to 0.64")):
        ax = fishbone(bones(categories, causes, text), problem)
        assert faults(ax, 100) == []


@pytest.mark.parametrize("dpi", [72, 144, 200])
def test_no_text_of_a_fishbone_overlaps_at_other_resolutions(dpi: int) -> None:
    assert faults(fishbone(bones(7, 6, "mixed"), LONG), dpi) == []


def test_the_check_of_overlaps_sees_overlaps_and_cuts() -> None:
    ax = fishbone(bones(4, 3, "plain"), "Recall fell")
    first = ax.texts[1]
    ax.text(*first.get_position(), first.get_text())
    ax.text(-0.2, 1, "outside")
    assert len(faults(ax, 100)) >= 2


def test_a_fishbone_names_every_category_and_cause_once_and_marks_their_status() -> None:
    table = causes_fishbone.build(
        [
            Bone(category="Data", cause="Export cut", status="supported", evidence=SEEN),
            Bone(category="Data", cause="Late"),
        ]
    )
    ax = fishbone(table, "Recall fell")
    drawn = [text.get_text() for text in ax.texts]
    categories = ["People", "Process", "Technology", "Data", *["nothing recorded"] * 3]
    assert sorted(drawn) == sorted(["Recall fell", *categories, "Export cut", "Late", "supported", "open"])
    markers = [line.get_marker() for line in ax.lines if line.get_marker() != "None"]
    assert sorted(markers) == sorted(["o", "s"] * 2), "one marker a cause and one in the legend"


def test_a_fishbone_grows_with_its_text_and_keeps_its_letters() -> None:
    small, large = (fishbone(bones(4, n, "long"), "Recall fell") for n in (1, 12))
    assert large.figure.get_figheight() > 2 * small.figure.get_figheight()
    assert {t.get_fontsize() for t in small.texts} == {t.get_fontsize() for t in large.texts} == {9.0, 10.5}


def test_a_fishbone_in_given_axes_becomes_smaller_and_still_has_no_overlap() -> None:
    ax = Figure(figsize=(5, 3)).subplots()
    assert fishbone(bones(4, 4, "plain"), "Recall fell", ax) is ax
    assert faults(ax, 200) == []


def chain(count: int, text: str) -> pd.DataFrame:
    states = ("supported", "open", "refuted")
    rows = [
        Why(id=f"w{n}", statement=f"{TEXTS[text]} {n}", kind="process", status=states[0 if n < 3 else 1], evidence=SEEN)
        for n in range(count)
    ]
    return causes_whys.table(f"Recall fell {TEXTS[text]}", rows)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_no_text_of_a_chain_overlaps_or_is_cut(count: int, text: str) -> None:
    assert faults(whys(chain(count, text)), 100) == []


def test_every_card_holds_its_text() -> None:
    ax = whys(chain(4, "long"))
    ax.figure.set_dpi(100)
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    cards = [patch.get_window_extent(renderer) for patch in ax.patches if patch.get_width() > 5]
    assert len(cards) == 5
    for text in ax.texts:
        box = text.get_window_extent(renderer)
        if text.get_text() and text.get_text() != "because":
            assert sum(inside(box, card) for card in cards) == 1, text.get_text()


def test_a_chain_reads_from_the_problem_down_with_status_in_words() -> None:
    rows = [
        Why(id="w1", statement="One feature weighs too much", kind="technical", status="supported", evidence=SEEN),
        Why(id="w2", statement="Nobody owns the sample", kind="organisational"),
    ]
    ax = whys(causes_whys.table("Recall cost $5 or $6", rows))
    drawn = sorted(
        (text for text in ax.texts if text.get_text()), key=lambda text: (text.get_position()[1], text.get_text())
    )
    assert [text.get_text() for text in drawn] == [
        "Problem", "Recall cost $5 or $6", "because",
        "Why 1", "One feature weighs too much", "Technical cause, supported; evidence: table shapdiff, row 1",
        "because",
        "Why 2", "Nobody owns the sample", "Organisational cause, open; no evidence yet",
    ]  # fmt: skip
    assert not any(text.get_parse_math() for text in drawn)
    assert len({str(patch.get_linestyle()) for patch in ax.patches if patch.get_width() > 5}) == 2


def modes() -> list[FailureMode]:
    one = FailureMode(
        id="fm1", function="Score", failure_mode="Drift", effect="Fraud missed", cause="No monitor",
        severity=9, occurrence=3, detection=2,
    )  # fmt: skip
    return [
        one,
        one.model_copy(update={"id": "fm2", "failure_mode": LONG, "severity": 9, "occurrence": 3, "detection": 7}),
        one.model_copy(update={"id": "fm3", "severity": 7, "occurrence": 10, "detection": 1}),
    ]


def test_fmea_bars_stand_in_the_order_of_the_table_with_letter_and_ratings() -> None:
    table = causes_fmea.score(modes())
    ax = fmea(table)
    assert [bar.get_width() for bar in ax.patches] == table["rpn"].tolist() == [189, 70, 54]
    assert [text.get_text() for text in ax.texts] == [
        "H   189  (S 9, O 3, D 7)", "H   70  (S 7, O 10, D 1)", "L   54  (S 9, O 3, D 2)",
    ]  # fmt: skip
    low, high = ax.get_ylim()
    assert low > high, "the worst stands on top"
    assert [label.get_text().splitlines()[0] for label in ax.get_yticklabels()] == ["fm2", "fm3", "fm1"]
    assert "AIAG-VDA-2019" in ax.get_title(loc="left")
    assert faults(ax, 144) == []


def test_fmea_names_only_the_priorities_that_occur() -> None:
    legend = fmea(causes_fmea.score(modes())).get_legend()
    assert [text.get_text()[0] for text in legend.get_texts()] == ["H", "L"]


def test_empty_tables_are_drawn_and_say_so() -> None:
    assert "none recorded" in fmea(causes_fmea.score([])).get_title(loc="left")
    table = causes_actions.table([], ids=[], as_of=AS_OF)
    assert "no action recorded" in actions(table).get_xlabel()


def test_actions_stand_at_their_due_date_with_the_state_as_marker() -> None:
    rows = [
        Action(id="a1", action="Stratify the sample", owner="ML lead", due="2025-03-28", state="in_progress"),
        Action(id="a2", action=LONG, due="2025-04-03"),
        Action(id="a3", action="Write the runbook"),
        Action(id="a4", action="Rehearse the roll-back", due="2025-03-01", state="verified"),
    ]
    ax = actions(causes_actions.table(rows, ids=[], as_of=AS_OF))
    points = {line.get_marker(): line.get_xdata()[0] for line in ax.lines if line.get_marker() != "None"}
    assert {marker: str(pd.Timestamp(x).date()) for marker, x in points.items()} == {
        "*": "2025-03-01", ">": "2025-03-28", "s": "2025-04-03",
    }  # fmt: skip
    assert [text.get_text() for text in ax.texts] == ["overdue by 6 days", "no due date", "as of 2025-04-03"]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert [label.partition(":")[0] for label in labels] == ["a4", "a1", "a2", "a3"]
    assert labels[1].endswith("(ML lead)")
    assert labels[2].endswith("(no owner)")
    assert faults_of_words(ax) == []


def faults_of_words(ax: Axes) -> list[str]:
    ax.figure.set_dpi(100)
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent(renderer) for text in (*ax.texts, *ax.get_yticklabels())]
    found = ["cut" for box in boxes if not inside(box, ax.figure.bbox)]
    return found + ["overlap" for one, two in itertools.combinations(boxes, 2) if overlap(one, two)]


def test_actions_without_the_day_they_hold_for_are_refused() -> None:
    table = causes_actions.table([], ids=[], as_of=AS_OF)
    table.attrs = {}
    with pytest.raises(InputError, match="as_of"):
        actions(table)


def test_wrapped_lines_fit_and_lose_nothing_but_blanks() -> None:
    for limit in (0.4, 1.0, 3.0):
        lines = sheet.wrap(LONG, limit, 9)
        assert all(sheet.width(line, 9) <= limit for line in lines)
        assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
    assert sheet.wrap("", 1.0, 9) == [""]
    assert len(sheet.wrap(LONG, 1.0, 9, most=2)) == 2


def test_text_that_the_font_lacks_is_a_box_and_not_a_warning() -> None:
    ax = whys(causes_whys.table("Recall fell \u4e2d\U0001f99c\x07", []))
    FigureCanvasAgg(ax.figure).draw()
    assert ax.texts[1].get_text() == "Recall fell □□\ufffd"


def test_words_beside_the_longest_bar_and_the_last_date_are_not_cut_in_given_axes() -> None:
    figure = Figure(figsize=(7, 4))
    worst = [modes()[0].model_copy(update={"severity": 10, "occurrence": 10, "detection": 10})]
    ax = fmea(causes_fmea.score(worst), figure.add_axes((0.1, 0.3, 0.9, 0.6)))
    assert faults(ax, 100) == []
    late = causes_actions.table([Action(id="a1", action="Late", due="2025-01-01")], ids=[], as_of=AS_OF)
    ax = actions(late, Figure(figsize=(7, 4)).add_axes((0.1, 0.3, 0.9, 0.6)))
    assert faults(ax, 100) == []
