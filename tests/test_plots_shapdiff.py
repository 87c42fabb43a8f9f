import dataclasses
import io
from itertools import pairwise

import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from rca import plots
from rca.errors import InputError, UnknownName
from rca.models.shapdiff import compare
from rca.plots import shapdiff, shapdiff_beeswarm, shapdiff_dependence, shapdiff_loss, shapdiff_suspects, sheet
from rca.records import Attribution

LONG = [
    f"transactions_of_the_last_{n}_days_by_merchant_category_in_minor_units_of_the_account_currency_v1"
    for n in range(50)
]
SHORT = [f"f{n}" for n in range(50)]


def compared(names, *, known=True, before=None, after=None):
    rng = np.random.default_rng(len(names))
    before = rng.gamma(2, 1, len(names)) if before is None else np.asarray(before, dtype=float)
    after = rng.gamma(2, 1, len(names)) if after is None else np.asarray(after, dtype=float)
    difference = after - before
    return pd.DataFrame(
        {
            "rank": 1,
            "before": before,
            "after": after,
            "difference": difference,
            "low": difference - 0.5 * after,
            "high": difference + 0.5 * after,
            "p_adjusted": 0.01 if known else np.nan,
            "flagged": pd.array(np.abs(difference) > 1 if known else [pd.NA] * len(names), dtype="boolean"),
            "noise_source": "training" if known else "training noise not measured",
        },
        index=pd.Index(names, name="feature"),
    )


def attribution(values, output="margin"):
    """Contributions as `explain` returns them; columns of two levels are of several classes."""
    if values.columns.nlevels == 1:
        return Attribution.from_frame(values, 0.0, output=output, model_id="may", rows_id="holdout")
    kinds, names = (list(dict.fromkeys(values.columns.get_level_values(level))) for level in (0, 1))
    cube = values.to_numpy().reshape(len(values), len(kinds), len(names)).transpose(0, 2, 1)
    base, columns = np.zeros(len(kinds)), pd.Index(names)
    return Attribution(cube, base, values.index, columns, output, "linear", "may", "holdout", 0.0, tuple(kinds))


def explained(names, rows=120, **changed):
    rng = np.random.default_rng(5)
    sizes = np.linspace(2, 0.1, len(names))
    one = pd.DataFrame(rng.normal(size=(rows, len(names))) * sizes, columns=names)
    two = pd.DataFrame(rng.gamma(1, 1, size=(rows, len(names))) * sizes, columns=names)
    return attribution(one), attribution(two.assign(**changed))


def losses(model=0.12, covariate=-0.03, concept=0.2, total=0.29):
    value = np.array([model, covariate, concept, total])
    parts = ["model", "covariate", "concept", "total"]
    return pd.DataFrame({"part": parts, "value": value, "low": value - 0.04, "high": value + 0.05})


def suspected(names, measures=("shap", "loss", "gain")):
    rng = np.random.default_rng(9)
    table = pd.DataFrame(index=pd.Index(names, name="feature"))
    for measure in measures:
        table[f"{measure}_change"] = rng.normal(size=len(names)) * 10 ** rng.uniform(-6, 6, len(names))
        table[f"{measure}_rank"] = table[f"{measure}_change"].abs().rank(ascending=False).astype(int)
    table["best_rank"] = 1
    table["found_by"] = [tuple(m for m in measures if table.loc[name, f"{m}_rank"] <= 2) for name in names]
    return table


def ages(rows=300):
    rng = np.random.default_rng(3)
    x = pd.DataFrame({"age": rng.normal(50, 10, rows)})
    one, two = (pd.DataFrame({"age": slope * (x["age"] - 50)}) for slope in (0.1, -0.1))
    return attribution(one), attribution(two), x


def category_rows():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"kind": rng.choice(["a", "b", None, LONG[3]], 200, p=[0.5, 0.3, 0.15, 0.05])})
    one = pd.DataFrame({"kind": rng.normal(size=200)})
    return attribution(one), attribution(one + 2), rows, "kind"


def missing_and_extreme():
    before, after, x = ages()
    x.loc[::7, "age"] = np.nan
    x.loc[1, "age"] = 1e6
    return before, after, x, "age"


def times(step="7h", gaps=True, zone="UTC"):
    seen = pd.Series(pd.Timestamp("2025-02-27", tz=zone) + np.arange(60) * pd.Timedelta(step), name="seen")
    if gaps:
        seen.iloc[::9] = pd.NaT
    one = pd.DataFrame({"seen": np.linspace(-1, 1, 60)})
    return attribution(one), attribution(-one), seen.to_frame()


def classes(rows=60):
    """Three features and two of three classes, as a model of several classes is explained."""
    rng = np.random.default_rng(6)
    names = pd.MultiIndex.from_product([["fraud", LONG[0]], ["age", "kind", LONG[1]]], names=["class", "feature"])
    one, two = (pd.DataFrame(rng.normal(size=(rows, 6)), columns=names) for _ in "12")
    values = {"age": rng.normal(50, 10, rows), "kind": rng.choice(["x", "y"], rows), LONG[1]: rng.normal(size=rows)}
    return attribution(one), attribution(two), pd.DataFrame(values)


def cohorts():
    table = pd.concat({name: compared(LONG[:3]) for name in ("DE", LONG[9], True)}, names=["cohort"])
    table.loc["DE", ["low", "high", "p_adjusted"]] = np.nan
    table.loc["DE", "flagged"] = pd.NA
    table.loc["DE", "noise_source"] = "not measured: fewer than 30 rows on a side"
    return table


def parts():
    return pd.concat([compared(SHORT[:4]).assign(part=part) for part in ("model", "rows")])


PICTURES = {
    "shift, cohorts": lambda ax: shapdiff(cohorts(), ax=ax),
    "shift, parts": lambda ax: shapdiff(parts(), ax=ax),
    "shift, all less": lambda ax: shapdiff(compared(SHORT[:6], before=range(6, 0, -1), after=[0.1] * 6), ax=ax),
    "beeswarm, classes": lambda ax: shapdiff_beeswarm(*classes()[:2], ax=ax),
    "loss, all less": lambda ax: shapdiff_loss(losses(-0.2, -0.1, -0.05, -0.35), ax=ax),
    "dependence, class": lambda ax: shapdiff_dependence(*classes(), (LONG[0], LONG[1]), ax=ax),
    "dependence, class, categories": lambda ax: shapdiff_dependence(*classes(), (LONG[0], "kind"), ax=ax),
    "shift, 3 features": lambda ax: shapdiff(compared(SHORT[:3]), ax=ax),
    "shift, 15 long names": lambda ax: shapdiff(compared(LONG[:15]), ax=ax),
    "shift, 50 long names": lambda ax: shapdiff(compared(LONG, known=False), ax=ax, top=50),
    "shift, one": lambda ax: shapdiff(compared(LONG[:1]), ax=ax),
    "shift, ties": lambda ax: shapdiff(compared(SHORT[:6], before=[0.5] * 6, after=[0.5] * 6), ax=ax),
    "shift, extreme": lambda ax: shapdiff(compared(SHORT[:9], before=[1e7, *[0.5] * 8]), ax=ax),
    "shift, all zero": lambda ax: shapdiff(compared(SHORT[:2], before=[0, 0], after=[0, 0]), ax=ax),
    "beeswarm, 3 features": lambda ax: shapdiff_beeswarm(*explained(SHORT[:3]), ax=ax),
    "beeswarm, 50 long names": lambda ax: shapdiff_beeswarm(*explained(LONG), ax=ax, top=50),
    "beeswarm, one": lambda ax: shapdiff_beeswarm(*explained(SHORT[:1], rows=2), ax=ax),
    "beeswarm, extreme": lambda ax: shapdiff_beeswarm(*explained(SHORT[:4], f2=[-1e6, *[0.1] * 119]), ax=ax),
    "beeswarm, ties": lambda ax: shapdiff_beeswarm(*explained(SHORT[:2], f0=1.0, f1=1.0), ax=ax),
    "loss": lambda ax: shapdiff_loss(losses(), ax=ax),
    "loss, not identified": lambda ax: shapdiff_loss(losses(covariate=np.nan, concept=np.nan), ax=ax),
    "loss, extreme": lambda ax: shapdiff_loss(losses(1e-7, 2e6, -1e6, 1e6), ax=ax),
    "dependence": lambda ax: shapdiff_dependence(*ages(), "age", ax=ax),
    "dependence, missing, extreme": lambda ax: shapdiff_dependence(*missing_and_extreme(), ax=ax),
    "dependence, narrow": lambda ax: shapdiff_dependence(
        *missing_and_extreme(), ax=Figure(layout="constrained", figsize=(3.2, 3)).subplots() if ax is None else ax
    ),
    "dependence, categories": lambda ax: shapdiff_dependence(*category_rows(), ax=ax),
    "suspects, 3 features": lambda ax: shapdiff_suspects(suspected(SHORT[:3]), ax=ax),
    "suspects, 50 long names": lambda ax: shapdiff_suspects(suspected(LONG), ax=ax, top=50),
    "suspects, 6 measures": lambda ax: shapdiff_suspects(suspected(LONG[:15], [*"abcde", "some_long_measure"]), ax=ax),
    "dependence, times": lambda ax: shapdiff_dependence(*times(), "seen", ax=ax),
    "dependence, times, all one": lambda ax: shapdiff_dependence(*times(step="0s", gaps=False), "seen", ax=ax),
    "suspects, one": lambda ax: shapdiff_suspects(suspected(SHORT[:1]), ax=ax),
}


def written(axes):
    """Every text that is drawn, legend and headings included."""
    legend = axes.get_legend()
    low, high = sorted(axes.get_xlim())
    shown = [
        tick.label1 if tick.label1.get_visible() else tick.label2
        for tick in axes.xaxis.get_major_ticks()
        if low <= tick.get_loc() <= high
    ]
    low, high = sorted(axes.get_ylim())
    ticks = [
        *(
            label
            for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
            if low <= place <= high
        ),
        *shown,
    ]
    others = [
        *axes.texts,
        axes.xaxis.label,
        axes.yaxis.label,
        axes._left_title,
        *(legend.get_texts() if legend else []),
    ]
    return [text for text in (*ticks, *others) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("given", [False, True], ids=["own figure", "axes given"])
@pytest.mark.parametrize("name", PICTURES)
def test_no_text_touches_another_or_leaves_the_figure(name, given):
    ax = Figure(layout="constrained", figsize=(7, 5)).subplots() if given else None
    axes = PICTURES[name](ax)
    assert ax is None or axes is ax
    axes.figure.draw_without_rendering()
    found = written(axes)
    boxes = [text.get_window_extent() for text in found]
    figure = axes.figure.bbox
    for text, box in zip(found, boxes, strict=True):
        assert figure.x0 <= box.x0 and box.x1 <= figure.x1, text.get_text()
        assert figure.y0 <= box.y0 and box.y1 <= figure.y1, text.get_text()
        assert text.get_fontsize() >= 8 and not (text.get_parse_math() and "$" in text.get_text())
    for number, one in enumerate(boxes):
        for other in range(number):
            # Blocks of text leave a pixel of air; a touch of the frames is no overlap of letters.
            inner = boxes[other].padded(-1)
            assert not one.overlaps(inner), (found[number].get_text(), found[other].get_text())


def strokes(axes):
    """Every colour of a line, mark or text on the background of the axes."""
    found = [text.get_color() for text in written(axes)]
    for line in axes.get_lines():
        found += [line.get_color()] if line.get_linestyle() not in ("None", "") else [line.get_markeredgecolor()]
        found += [line.get_markerfacecolor()] if line.get_markeredgecolor() == "none" else []
    found += [colour for lines in axes.collections for colour in lines.get_colors()]
    return [colour for colour in found if not isinstance(colour, str) or colour != "none"]


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", [name for name in PICTURES if "suspects" not in name and "50" not in name])
def test_what_is_drawn_stands_out_from_its_background_in_dark_style_too(name, style):
    with matplotlib.style.context(style):
        axes = PICTURES[name](None)
        axes.figure.draw_without_rendering()
    ground = luminance(axes.get_facecolor())
    for colour in strokes(axes):
        low, high = sorted((luminance(colour), ground))
        assert (high + 0.05) / (low + 0.05) >= (1.6 if to_rgb(colour) == to_rgb(sheet.RULE) else 2.2), colour
    for text in axes.texts:
        assert text.get_bbox_patch() is None or luminance(text.get_bbox_patch().get_facecolor()) == ground


def test_the_mark_before_can_be_seen_around_an_equal_one_after():
    marks = {line.get_label(): line for line in shapdiff(compared(SHORT[:2], before=[1, 2], after=[1, 2])).get_lines()}
    before, after = marks["before"], marks["after"]
    diagonal = np.sqrt(2) * after.get_markersize()
    assert before.get_markersize() - before.get_markeredgewidth() > diagonal
    assert before.get_zorder() < after.get_zorder()


def test_cohorts_and_parts_stand_before_the_names_and_in_the_title():
    axes = shapdiff(cohorts())
    assert axes.get_yticklabels()[0].get_gid() == f"DE · {LONG[0]}"
    assert axes.get_title("left").startswith("9 pairs of cohort and feature")
    assert [line.get_label() for line in axes.get_lines() if line.get_marker() == "^"] == ["after, noise not measured"]
    axes = shapdiff(parts(), top=5)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "model · f0", "model · f1", "model · f2", "rows · f0", "rows · f1"
    ]  # fmt: skip
    assert axes.get_title("left").startswith("5 of 8 pairs of part and feature")
    axes = shapdiff(parts().query("part == 'rows'"))
    assert axes.get_yticklabels()[0].get_text() == "f0" and axes.get_title("left").startswith("4 features,")


def test_of_several_classes_the_dependence_is_of_one():
    before, after, rows = classes()
    axes = shapdiff_dependence(before, after, rows, ("fraud", "age"))
    lines = {line.get_label(): line for line in axes.get_lines()}
    wanted = sorted(zip(rows["age"], after.to_frame()["fraud", "age"], strict=True))
    np.testing.assert_allclose(sorted(zip(*lines["after"].get_data(), strict=True)), wanted)
    assert axes.get_xlabel() == "age (its own unit)" and "class fraud" in axes.get_ylabel().replace("\n", " ")
    assert "class fraud" in shapdiff_dependence(before, after, rows, ("fraud", "kind")).get_xlabel().replace("\n", " ")
    with pytest.raises(UnknownName, match=r"'age': there are several classes; wanted is one of \('fraud', 'age'\), "):
        shapdiff_dependence(before, after, rows, "age")
    with pytest.raises(UnknownName, match="did you mean 'fraud · age'"):
        shapdiff_dependence(before, after, rows, ("frued", "age"))
    with pytest.raises(UnknownName, match="the rows: unknown feature 'age'"):
        shapdiff_dependence(before, after, rows.drop(columns="age"), ("fraud", "age"))
    axes = shapdiff_beeswarm(before, after)
    assert axes.get_title("left").startswith("6 pairs of class and feature; 60 rows")


@pytest.mark.parametrize("draw", [
    lambda names: shapdiff(compared(names), top=50),
    lambda names: shapdiff_beeswarm(*explained(names), features=names, top=50),
    lambda names: shapdiff_suspects(suspected(names), top=50),
])  # fmt: skip
def test_shortened_names_are_all_different_and_kept_whole(draw):
    names = [f"{'x' * 80}{n}{'y' * 80}" for n in range(25)] + LONG[:25]  # the first differ in their middle only
    axes = draw(names)
    labels = axes.get_yticklabels()
    assert len({label.get_text() for label in labels}) == 50
    assert [label.get_gid() for label in labels] == names


def test_full_names_are_in_a_saved_vector_picture():
    picture = io.StringIO()
    shapdiff(compared(LONG[:3])).figure.savefig(picture, format="svg")
    assert all(f'id="{name}"' in picture.getvalue() for name in LONG[:3])


@pytest.mark.parametrize("draw", [
    lambda ax: shapdiff(compared(SHORT), ax=ax, top=50),
    lambda ax: shapdiff_beeswarm(*explained(SHORT), ax=ax, top=50),
    lambda ax: shapdiff_suspects(suspected(SHORT), ax=ax, top=50),
])  # fmt: skip
def test_rows_that_do_not_fit_on_the_axes_are_left_out_and_the_title_says_so(draw):
    axes = draw(Figure(layout="constrained", figsize=(6, 4)).subplots())
    shown = len(axes.get_yticklabels())
    assert 1 < shown < 50 and axes.get_title("left").startswith(f"{shown} of 50 features")


def test_a_shift_without_p_values_says_that_training_noise_was_not_measured():
    axes = shapdiff(compared(SHORT[:4], known=False))
    assert "training noise not measured: none can be flagged" in axes.get_title("left")
    labels = {line.get_label(): line for line in axes.get_lines()}
    assert "after" not in labels and "after, flagged" not in labels
    unknown = labels["after, training noise not measured"]
    assert unknown.get_marker() == "^" and len(unknown.get_xdata()) == 4
    assert "after, training noise not measured" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_some_features_without_a_p_value_are_marked_one_by_one():
    table = compared(SHORT[:4], before=[1, 1, 1, 1], after=[5, 5, 1, 1])
    table.loc["f1", "p_adjusted"], table.loc["f1", "flagged"] = np.nan, pd.NA
    labels = {line.get_label(): list(line.get_ydata()) for line in shapdiff(table).get_lines()}
    assert labels["after, noise not measured"] == [1]
    assert labels["after, flagged"] == [0] and labels["after"] == [2, 3]


def test_flagged_features_have_a_bold_name_and_a_mark_of_their_own():
    table = compared(SHORT[:3], before=[1, 1, 1], after=[4, 1, 4])
    axes = shapdiff(table)
    assert [label.get_fontweight() for label in axes.get_yticklabels()] == ["bold", "normal", "bold"]
    marks = [
        line.get_marker() for line in axes.get_lines() if line.get_label() in ("before", "after", "after, flagged")
    ]
    assert sorted(marks) == ["D", "o", "s"]


def test_one_huge_feature_does_not_hide_the_others():
    table = compared(SHORT[:4], before=[1e7, 0.5, 0.5, 0.5], after=[3e7, 1.0, 1.0, 1.0])
    axes = shapdiff(table)
    axes.figure.draw_without_rendering()
    assert "logarithmic beyond" in axes.get_xlabel()
    x = axes.transData.transform(np.c_[[0.5, 1.0, 1e7, 3e7], np.zeros(4)])[:, 0]
    assert x[1] - x[0] > 10 and x[3] - x[2] > 10
    usual = shapdiff(compared(SHORT[:4]))
    assert usual.get_xscale() == "linear" and "logarithmic" not in usual.get_xlabel()


def beeswarm_points(axes, label, row):
    line = next(line for line in axes.get_lines() if line.get_label() == label)
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    near = np.round(y) == row
    return x[near], y[near] - row


def test_every_row_is_a_point_of_the_beeswarm_before_above_and_after_below():
    before, after = explained(SHORT[:3])
    axes = shapdiff_beeswarm(before, after, features=["f2", "f0"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["f2", "f0"]
    assert axes.get_title("left").startswith("2 of 3 features; 120 rows before, 120 after")
    assert axes.yaxis_inverted()
    for row, name in enumerate(["f2", "f0"]):
        for side, label, sign in ((before, "before, above the line", -1), (after, "after, below the line", 1)):
            x, y = beeswarm_points(axes, label, row)
            np.testing.assert_array_equal(np.sort(x), np.sort(side.to_frame()[name]))
            assert (np.sign(y) == sign).all() and np.abs(y).max() <= 0.45


def test_points_of_a_beeswarm_lie_within_its_axes_and_not_on_each_other_where_there_is_room():
    before, after = explained(SHORT[:1], rows=40)
    axes = shapdiff_beeswarm(before, after)
    axes.figure.draw_without_rendering()
    x, y = beeswarm_points(axes, "before, above the line", 0)
    pixels = axes.transData.transform(np.c_[x, y])
    apart = np.hypot(*(pixels[:, None] - pixels[None]).transpose(2, 0, 1)) + 99 * np.eye(len(x))
    assert apart.min() > 0.5
    low, high = axes.get_xlim()
    assert low <= x.min() and x.max() <= high


def test_of_many_rows_some_are_drawn_evenly_with_both_ends_and_the_title_says_so():
    before, after = explained(["a"], rows=20_000)
    axes = shapdiff_beeswarm(before, after)
    x, _ = beeswarm_points(axes, "before, above the line", 0)
    values = before.to_frame()["a"]
    assert len(x) == 500 and x.min() == values.min() and x.max() == values.max()
    assert np.quantile(x, [0.25, 0.5, 0.75]) == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]), abs=0.02)
    assert "20,000 rows before, 20,000 after; 500 of a side drawn" in axes.get_title("left")


def test_the_beeswarm_takes_the_features_that_count_most_on_either_side():
    one = pd.DataFrame({"a": [0.1, -0.1], "b": [1.0, -1.0], "c": [0.0, 0.0]})
    two = pd.DataFrame({"a": [0.1, -0.1], "b": [0.0, 0.0], "c": [-5.0, 5.0]})
    axes = shapdiff_beeswarm(attribution(one), attribution(two))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c", "b", "a"]


def test_attributions_that_do_not_fit_are_refused():
    one = attribution(pd.DataFrame({"a": [1.0]}))
    with pytest.raises(InputError, match="one unit"):
        shapdiff_beeswarm(one, attribution(one.to_frame(), "probability"))
    with pytest.raises(InputError, match="different features"):
        shapdiff_beeswarm(one, attribution(pd.DataFrame({"b": [1.0]})))
    with pytest.raises(UnknownName, match=r"'amuont'.*did you mean 'amount'"):
        values = attribution(pd.DataFrame({"amount": [1.0]}))
        shapdiff_beeswarm(values, values, features=["amuont"])


@pytest.mark.parametrize(("output", "words"), [("margin", "the model's margin"), ("probability", "probability"),
                                               ("prediction", "unit of the target"), ("loss", "unit of the loss")])  # fmt: skip
def test_the_axis_names_the_unit(output, words):
    values = attribution(pd.DataFrame({"a": [1.0, 2.0]}), output)
    assert words in shapdiff_beeswarm(values, values).get_xlabel()
    assert words in shapdiff_dependence(values, values, pd.DataFrame({"a": [1, 2]}), "a").get_ylabel()


def test_parts_of_a_loss_begin_where_the_one_above_ends():
    axes = shapdiff_loss(losses())
    bars = sorted((bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width()) for bar in axes.patches)
    ends = np.cumsum([0.12, -0.03, 0.2])
    wanted = [(0, 0, 0.12), (1, ends[0], -0.03), (2, ends[1], 0.2), (3, 0, 0.29)]
    # matplotlib may turn a bar of negative width round.
    spans = [(row, *sorted((start, start + wide))) for row, start, wide in bars]
    np.testing.assert_allclose(
        spans, [(row, *sorted((start, start + wide))) for row, start, wide in wanted], atol=1e-12
    )
    interval = next(c for c in axes.collections if c.get_label() == "interval")
    found = [tuple(path.vertices[:, 0]) for path in interval.get_paths()]
    np.testing.assert_allclose(
        found, [(0.08, 0.17), (0.12 - 0.07, 0.12 + 0.02), (0.09 + 0.16, 0.09 + 0.25), (0.25, 0.34)]
    )
    assert axes.texts[1].get_text() == "-0.03 (-0.07 to +0.02)"
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "interval",
        "more loss",
        "less loss",
        "total",
    }


def test_less_and_more_loss_differ_in_more_than_colour():
    axes = shapdiff_loss(losses())
    hatches = {bar.get_y(): bar.get_hatch() for bar in axes.patches}
    assert [bool(hatches[y]) for y in sorted(hatches)] == [False, True, False, False]


def test_a_part_that_was_not_identified_has_the_words_and_no_bar_and_nothing_joins_across_it():
    axes = shapdiff_loss(losses(covariate=np.nan, concept=np.nan))
    assert [text.get_text() for text in axes.texts][1:3] == ["not identified"] * 2
    assert sorted(round(bar.get_y() + bar.get_height() / 2) for bar in axes.patches) == [0, 3]
    assert not [line for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert len([line for line in shapdiff_loss(losses()).get_lines() if line.get_linestyle() == ":"]) == 3


@pytest.mark.parametrize("known", [True, False])
def test_the_sum_of_data_is_drawn_when_its_parts_were_not_identified_and_levels_stand_in_the_title(known):
    value = {
        "before": 0.4,
        "covariate": 0.1,
        "concept": 0.2,
        "data": 0.3,
        "model": -0.05,
        "after": 0.65,
        "change": 0.25,
    }
    table = pd.DataFrame({"value": value, "low": value, "high": value})
    if not known:
        table.loc[["covariate", "concept"]] = np.nan
    axes = shapdiff_loss(table)
    labels = [label.get_gid() for label in axes.get_yticklabels()]
    assert ("covariate and concept together" in labels) != known and len(labels) == (4 if known else 5)
    assert labels[-1] == "total" and axes.get_title("left").endswith("mean loss 0.4 before, 0.65 after")
    bars = sorted((bar.get_y(), *sorted((bar.get_x(), bar.get_x() + bar.get_width()))) for bar in axes.patches)
    np.testing.assert_allclose([bar[1:] for bar in bars][-2:], [(0.25, 0.3), (0, 0.25)], atol=1e-12)


def test_the_parts_may_stand_in_the_index():
    one, two = shapdiff_loss(losses()), shapdiff_loss(losses().set_index("part"))
    assert [text.get_text() for text in one.texts] == [text.get_text() for text in two.texts]


def test_points_of_the_dependence_lie_at_value_and_contribution():
    before, after, rows = ages()
    axes = shapdiff_dependence(before, after, rows, "age")
    lines = {line.get_label(): line for line in axes.get_lines()}
    for label, side in (("before", before), ("after", after)):
        drawn = sorted(zip(lines[label].get_xdata(), lines[label].get_ydata(), strict=True))
        np.testing.assert_allclose(drawn, sorted(zip(rows["age"], side.to_frame()["age"], strict=True)))
    assert lines["before"].get_marker() != lines["after"].get_marker()


def test_each_side_has_its_own_rows_when_two_windows_are_given():
    before, after, rows = ages()
    later = rows + 100
    axes = shapdiff_dependence(before, after, (rows, later), "age")
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert sorted(lines["after"].get_xdata()) == pytest.approx(sorted(later["age"]))
    assert sorted(lines["before"].get_xdata()) == pytest.approx(sorted(rows["age"]))


def test_rows_without_a_value_stand_in_a_band_of_their_own():
    before, after, rows, name = missing_and_extreme()
    axes = shapdiff_dependence(before, after, rows, name)
    axes.figure.draw_without_rendering()
    ticks = dict(zip((label.get_text() for label in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    x = np.asarray(next(line for line in axes.get_lines() if line.get_label() == "before").get_xdata())
    assert (x == ticks["missing"]).sum() == rows["age"].isna().sum() and np.isfinite(x).all()
    place = axes.transScale + axes.transLimits
    share = place.transform(np.c_[x, np.zeros(len(x))])[:, 0]
    assert ((share < 0.06) == (x == ticks["missing"])).all()
    assert share[x != ticks["missing"]].min() > 0.09
    assert axes.get_xscale() == "symlog"  # one age of a million


def test_categories_have_a_line_each_the_most_frequent_on_top():
    before, after, rows, name = category_rows()
    axes = shapdiff_dependence(before, after, rows, name)
    gids = [label.get_gid() for label in axes.get_yticklabels()]
    assert gids == rows["kind"].fillna("(missing)").value_counts().index.tolist()
    for row, category in enumerate(gids):
        x, y = beeswarm_points(axes, "after, below the line", row)
        chosen = rows["kind"].fillna("(missing)") == category
        np.testing.assert_allclose(np.sort(x), np.sort(after.to_frame().loc[chosen, "kind"]))
        assert (y > 0).all()


def test_rows_that_are_not_those_explained_are_refused():
    before, after, rows = ages()
    with pytest.raises(InputError, match="index"):
        shapdiff_dependence(before, after, rows.head(10), "age")
    with pytest.raises(UnknownName, match="did you mean 'age'"):
        shapdiff_dependence(before, after, rows, "agee")
    with pytest.raises(InputError, match="infinite"):
        shapdiff_dependence(before, after, rows.assign(age=np.inf), "age")


def test_cells_of_the_suspects_have_the_rank_and_change_of_the_table():
    table = pd.DataFrame(
        {
            "shift_change": [0.5, -1234.5, np.nan], "shift_rank": [2, 1, 0],
            "gain_change": [0.1, 0.1, 0.0], "gain_rank": [1.5, 1.5, np.nan],
            "best_rank": [1, 1, 0], "found_by": [("gain",), (), ()],
        },
        index=["a", "b", "c"],
    )  # fmt: skip
    axes = shapdiff_suspects(table)
    cells = {(round(text.get_position()[0] - 0.5), text.get_position()[1]): text.get_text() for text in axes.texts}
    assert [cells[0, row] for row in range(3)] == ["2 (0.5)", "1 (-1,234)", "not ranked"]
    assert [cells[1, row] for row in range(3)] == ["◆ 1.5 (0.1)", "1.5 (0.1)", "not ranked (0)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["shift", "residual gain"]
    hatched = [(patch.get_x(), patch.get_y() + 0.5) for patch in axes.patches if patch.get_hatch()]
    assert hatched == [(0, 2), (1, 2)]
    assert "◆ beyond noise" in axes.get_title("left")


def luminance(colour):
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_ranks_grow_lighter_and_their_numbers_stand_out():
    names = SHORT[:8]
    table = pd.DataFrame({"gain_change": range(8), "gain_rank": range(1, 9)}, index=names)
    axes = shapdiff_suspects(table)
    shades = [luminance(patch.get_facecolor()) for patch in axes.patches]
    assert all(two > one + 0.02 for one, two in pairwise(shades[:6])) and shades[5:] == [1.0] * 3
    for shade, text in zip(shades, axes.texts, strict=True):
        low, high = sorted((shade, luminance(text.get_color())))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # the contrast of WCAG 2.1, level AA


def test_texts_of_the_suspects_lie_within_their_cells():
    for axes in (shapdiff_suspects(suspected(SHORT[:20]), top=20),
                 shapdiff_suspects(suspected(SHORT[:9]), ax=Figure(layout="constrained", figsize=(4, 4)).subplots())):  # fmt: skip
        axes.figure.draw_without_rendering()
        for patch, text in zip(axes.patches, axes.texts, strict=True):
            cell, box = patch.get_window_extent(), text.get_window_extent()
            assert cell.x0 <= box.x0 and box.x1 <= cell.x1 and cell.y0 <= box.y0 and box.y1 <= cell.y1


def test_a_table_without_measures_is_refused():
    with pytest.raises(InputError, match="<measure>_rank"):
        shapdiff_suspects(pd.DataFrame({"gain": [1.0]}, index=["a"]))


def test_tables_without_rows_are_drawn_empty():
    assert shapdiff(compared(SHORT[:2]).head(0)).get_title("left") == "0 features"
    assert shapdiff_suspects(suspected(SHORT[:2]).head(0)).get_title("left").startswith("0 features")
    assert not shapdiff_loss(losses().head(0)).texts


def test_classes_of_several_have_their_name_in_the_label():
    values = pd.DataFrame({("fraud", "amount"): [1.0, 2.0], ("none", "amount"): [0.1, 0.2]})
    axes = shapdiff_beeswarm(attribution(values), attribution(values))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fraud · amount", "none · amount"]


def test_a_plain_name_means_all_classes_in_the_beeswarm_and_none_in_the_dependence():
    before, after, rows = classes()
    axes = shapdiff_beeswarm(before, after, features=["kind", ("fraud", "age")])
    gids = [label.get_gid() for label in axes.get_yticklabels()]
    assert gids == ["fraud · kind", f"{LONG[0]} · kind", "fraud · age"]
    x, _ = beeswarm_points(axes, "after, below the line", 1)
    np.testing.assert_array_equal(np.sort(x), np.sort(after.to_frame()[LONG[0], "kind"]))
    table = compare(before, dataclasses.replace(after, model_id="june"))
    axes = shapdiff_beeswarm(before, after, features=list(table.index), top=4)
    assert axes.get_title("left").startswith("4 of 6 pairs of class and feature")
    for name, near in (("kid", "'kind'"), ("fraud", "fraud · age"), (("none", "kind"), "kind")):
        with pytest.raises(UnknownName, match=f"unknown feature .*{near}"):
            shapdiff_beeswarm(before, after, features=[name])
    with pytest.raises(UnknownName, match="unknown feature 'kid'; did you mean 'kind'"):
        shapdiff_dependence(before, after, rows, "kid")


def test_both_parts_are_drawn_whichever_is_larger_and_the_title_counts_both():
    flagged = compared(SHORT, before=[1] * 50, after=[3] * 15 + [1] * 35)
    table = pd.concat([compared(SHORT, known=False).assign(part="model"), flagged.assign(part="rows")])
    for axes in (shapdiff(table), shapdiff(table, ax=Figure(layout="constrained", figsize=(7, 5)).subplots())):
        drawn = [label.get_gid().split(" · ")[0] for label in axes.get_yticklabels()]
        assert abs(drawn.count("model") - drawn.count("rows")) <= 1 and drawn == sorted(drawn)
        title = " ".join(axes.get_title("left").split())
        assert title.startswith(
            f"{len(drawn)} of 100 pairs of part and feature, 15 flagged in all (model not measured, rows 15);"
        )
    assert axes.get_yticklabels()[-1].get_fontweight() == "bold"
    few = pd.concat([compared(SHORT[:2]).assign(part="model"), compared(SHORT).assign(part="rows")])
    assert [label.get_gid()[:3] for label in shapdiff(few, top=6).get_yticklabels()] == ["mod"] * 2 + ["row"] * 4


def test_cohorts_share_the_rows_and_the_title_says_of_how_many_none_is_drawn():
    table = pd.concat({name: compared(SHORT[:4]) for name in "abcde"}, names=["cohort"])
    gids = [label.get_gid() for label in shapdiff(table, top=7).get_yticklabels()]
    assert gids == ["a · f0", "a · f1", "b · f0", "b · f1", "c · f0", "d · f0", "e · f0"]
    assert (
        shapdiff(table, top=3).get_title("left").startswith("3 of 20 pairs of cohort and feature (none of 2 cohorts)")
    )
    assert "none of" not in shapdiff(table, top=7).get_title("left")


@pytest.mark.parametrize("dpi", [70, 100, 144])
@pytest.mark.parametrize(("columns", "size"), [(1, (6, 4)), (2, (11, 4))])
@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: shapdiff(compared(LONG[:15]), ax=ax),
        lambda ax: shapdiff(compared(LONG[:2], before=[1, 1], after=[5, 5]), ax=ax),
        lambda ax: shapdiff_beeswarm(*explained(LONG[:15]), ax=ax),
        lambda ax: shapdiff_suspects(suspected(LONG[:15]), ax=ax),
        lambda ax: shapdiff_loss(losses(), ax=ax),
        lambda ax: shapdiff_dependence(*category_rows(), ax=ax),
    ],
)
def test_long_names_fit_beside_axes_without_a_layout_and_stay_distinct(draw, columns, size, dpi):
    figure = Figure(figsize=size, dpi=dpi)
    every = np.atleast_1d(figure.subplots(1, columns))
    axes = draw(every[-1])
    figure.draw_without_rendering()
    left = every[-2].get_window_extent().x1 if columns > 1 else 0.0
    labels = axes.get_yticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert all(box.x0 >= left for box in boxes)
    assert all(not one.padded(-1).overlaps(two) for one, two in pairwise(boxes))
    texts = [label.get_text() for label in labels]
    assert len(set(texts)) == len(texts) and all(text.strip("…") for text in texts)


@pytest.mark.parametrize("top", [-1, 0, "x", None, 1.5, True])
def test_a_top_that_is_no_number_of_rows_is_refused(top):
    for call in (
        lambda: shapdiff(compared(SHORT[:3]), top=top),
        lambda: shapdiff_beeswarm(*explained(SHORT[:3]), top=top),
        lambda: shapdiff_suspects(suspected(SHORT[:3]), top=top),
    ):
        with pytest.raises(InputError, match=r"top is .*a whole number of at least 1"):
            call()


def test_tables_of_other_functions_are_refused_with_the_name_of_the_right_one():
    table, split, ranks = compared(SHORT[:3]), losses(), suspected(SHORT[:3])
    for call, words in (
        (lambda: shapdiff(split), r"no column 'before', 'after', 'p_adjusted', .*; one from rca\.shapdiff\.compare"),
        (lambda: shapdiff(table["before"]), r"table is a Series; a table from rca\.shapdiff\.compare"),
        (lambda: shapdiff_loss(table), r"no column 'value'; one from rca\.shapdiff\.split_loss"),
        (lambda: shapdiff_loss([split]), r"table is a list; a table from rca\.shapdiff\.split_loss"),
        (lambda: shapdiff_suspects(table), r"has no measure: .* as from rca\.shapdiff\.suspects"),
        (lambda: shapdiff_suspects(ranks["gain_rank"]), r"a table from rca\.shapdiff\.suspects"),
        (lambda: shapdiff_beeswarm(table, table), r"before is a DataFrame; an Attribution from rca\.shapdiff\.explain"),
        (lambda: shapdiff_dependence(ages()[0], table, table, "age"), r"after is a DataFrame; an Attribution"),
        (lambda: shapdiff_dependence(*ages()[:2], None, "age"), "rows is neither a table nor a pair"),
    ):
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.parametrize(
    ("zone", "said"), [("UTC", "seen (UTC)"), ("Europe/Berlin", "seen (UTC)"), (None, "seen (no time zone)")]
)
def test_times_have_an_axis_of_time_with_a_band_for_those_missing(zone, said):
    before, after, rows = times(zone=zone)
    axes = shapdiff_dependence(before, after, rows, "seen")
    axes.figure.draw_without_rendering()
    assert axes.get_xlabel() == said and len(axes.get_yticks()) < 20
    x = np.asarray(next(line for line in axes.get_lines() if line.get_label() == "before").get_xdata())
    ticks = dict(zip((label.get_text() for label in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert (x == ticks.pop("missing")).sum() == 7
    since = (
        rows["seen"].dropna().dt.tz_convert("UTC") if zone else rows["seen"].dropna().dt.tz_localize("UTC")
    ) - pd.Timestamp(0, tz="UTC")
    np.testing.assert_allclose(np.sort(x)[7:], since / pd.Timedelta("1D"))
    assert len(ticks) >= 3
    for text, place in ticks.items():
        written = pd.Timestamp(" ".join(reversed(text.split("\n"))), tz="UTC") if "-" in text else None
        assert written is None or (written - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1D") == pytest.approx(place)
    later = rows.assign(seen=rows["seen"].dt.tz_localize("UTC" if zone is None else None))
    with pytest.raises(InputError, match="only the times of one side have a zone"):
        shapdiff_dependence(before, after, (rows, later), "seen")
    nothing = rows.assign(seen=pd.Series(pd.NaT, index=rows.index, dtype=rows["seen"].dtype))
    assert "missing" in [
        label.get_text() for label in shapdiff_dependence(before, after, nothing, "seen").get_xticklabels()
    ]


def test_all_pictures_are_exported():
    for name in ("shapdiff", "shapdiff_beeswarm", "shapdiff_dependence", "shapdiff_loss", "shapdiff_suspects"):
        assert name in plots.__all__ and callable(getattr(plots, name))
