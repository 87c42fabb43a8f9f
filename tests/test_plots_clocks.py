"""The picture of clocks: what is drawn, not pixels."""

import numpy as np
import pandas as pd

from rca import times
from rca.plots.clocks import clocks as draw
from rca.systems import clocks

START = times.parse("2025-11-18T00:00:00Z")


def skews(offsets, first=""):
    noise = np.random.default_rng(1).normal(0, 0.2, 30)
    b = pd.Series(START + pd.Timedelta("601s") * np.arange(30))
    frames = [
        pd.DataFrame({"time_a": b + pd.to_timedelta(offset + noise, unit="s"), "time_b": b}).assign(
            source_a=name, source_b="ref", first=first
        )
        for name, offset in offsets.items()
    ]
    return clocks.skew(pd.concat(frames))


def marks(ax):
    """Offset and marker of each drawn clock."""
    return [(float(line.get_xdata()[0]), line.get_marker()) for line in ax.lines if line.get_marker() in ("o", "D")]


def test_each_clock_stands_at_its_offset_filled_where_a_correction_is_proposed():
    table = skews({"near": 0.0, "second": 3.0, "years": 6 * 365.25 * 86400})
    ax = draw(table)
    drawn = marks(ax)
    assert [marker for _, marker in drawn] == ["o", "D", "D"]
    assert [x for x, _ in drawn] == [offset.total_seconds() for offset in table["offset"]]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "near against ref",
        "second against ref",
        "years against ref",
    ]


def test_every_mark_lies_inside_the_axis_and_a_second_is_told_from_years():
    ax = draw(skews({"second": 2.0, "behind": -90.0, "years": 6 * 365.25 * 86400}))
    low, high = ax.get_xlim()
    assert all(low < x < high for x, _ in marks(ax))
    places = [ax.transData.transform((x, 0))[0] for x, _ in marks(ax)]
    assert min(np.diff(sorted(places))) > 20


def test_words_say_offset_interval_and_verdict():
    texts = [text.get_text() for text in draw(skews({"second": 75.0})).texts]
    assert texts[0].startswith("1 min")
    assert "±" in texts[0]
    assert texts[0].endswith("correction proposed")


def test_a_single_bound_is_an_arrow_and_at_most():
    ax = draw(skews({"late": 8.0}, first="b"))
    assert [line.get_marker() for line in ax.lines if line.get_marker() in "<>"] == ["<"]
    assert ax.texts[0].get_text().startswith("at most")


def test_a_clock_that_is_not_known_has_words_and_no_mark():
    table = skews({"set": 5.0})
    table = clocks.solve(pd.concat([table, table.assign(source_a="alone", source_b="other")]), "ref")
    ax = draw(table)
    words = dict(
        zip([label.get_text() for label in ax.get_yticklabels()], [text.get_text() for text in ax.texts], strict=True)
    )
    assert len(marks(ax)) == 2
    assert words["alone"].startswith("not known · cannot tell")
    assert words["ref"] == "the clock that the others are held against"


def test_nothing_to_compare_is_said():
    assert "No clocks to compare" in draw(skews({"x": 1.0}).iloc[:0]).get_title(loc="left")


def test_the_reader_can_give_the_axes():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert draw(skews({"x": 1.0}), ax) is ax


def test_the_title_counts_one_and_many():
    assert draw(skews({"second": 3.0})).get_title(loc="left").startswith("1 pair of clocks: offset known of 1")
    assert draw(skews({"second": 3.0, "near": 0.0})).get_title(loc="left").startswith("2 pairs of clocks")
