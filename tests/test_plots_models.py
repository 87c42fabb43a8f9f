import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from rca.models import drift as model_drift
from rca.models.shapdiff import compare
from rca.plots.drift import drift
from rca.plots.shapdiff import shapdiff
from rca.records import Attribution

RNG = np.random.default_rng(0)
LONG = [f"card_transactions_of_the_last_{n}_days_by_merchant_category_and_country_{n:02d}" for n in range(48)]
NAMES = [*LONG, "amt_$usd$", "中文"]


def attribution(values, model, rows):
    return Attribution(values.to_numpy(), 0.0, values.index, values.columns, "margin", "linear", model, rows, 0.0)


def shap_table(judged=True, width=50):
    one = pd.DataFrame(RNG.normal(size=(200, width)), columns=NAMES[:width])
    two = one * np.where(np.arange(width) % 3, 1.0, 2.0) + 0.01
    return compare(attribution(one, "1", "r"), attribution(two, "1" if judged else "2", "s" if judged else "r"))


def texts(axes):
    labels = [*axes.get_yticklabels(), *axes.texts, axes.xaxis.label, axes._left_title]
    legend = axes.get_legend()
    return labels + (legend.get_texts() if legend else [])


def overlaps(boxes):
    return [(i, j) for i, one in enumerate(boxes) for j, two in enumerate(boxes[:i]) if one.overlaps(two)]


def drawn(axes):
    axes.figure.draw_without_rendering()
    return axes


def test_marks_stand_at_the_means_in_the_order_of_the_table():
    table = shap_table()
    axes = shapdiff(table, top=10)
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(lines["before"].get_xdata(), table["before"].head(10))
    after = np.full(10, np.nan)
    for label in ("after", "after, flagged"):
        if label in lines:
            after[np.asarray(lines[label].get_ydata(), dtype=int)] = lines[label].get_xdata()
    np.testing.assert_allclose(after, table["after"].head(10))
    assert lines["after, flagged"].get_marker() == "D"
    assert len(lines["after, flagged"].get_xdata()) == table.head(10)["flagged"].sum()
    low, high = axes.get_ylim()
    assert low > high  # the first feature is on top


def test_the_interval_of_the_difference_lies_around_after():
    table = shap_table()
    axes = shapdiff(table, top=10)
    interval = next(c for c in axes.collections if c.get_label() == "interval of the difference")
    ends = np.array([path.vertices[:, 0] for path in interval.get_paths()])
    np.testing.assert_allclose(ends, np.c_[table["before"] + table["low"], table["before"] + table["high"]][:10])
    assert ((ends[:, 0] <= table["after"].head(10)) & (table["after"].head(10) <= ends[:, 1])).all()


def test_unmeasured_training_noise_is_written_and_nothing_is_flagged():
    axes = shapdiff(shap_table(judged=False))
    assert "training noise not measured" in axes.get_title("left")
    assert "after, flagged" not in [line.get_label() for line in axes.get_lines()]


def test_fifty_features_with_long_names_do_not_overlap_and_are_told_apart():
    axes = drawn(shapdiff(shap_table(), top=50))
    labels = axes.get_yticklabels()
    assert len(labels) == 50 and len({label.get_text() for label in labels}) == 50
    assert overlaps([label.get_window_extent() for label in labels]) == []
    box = axes.figure.bbox
    assert all(box.x0 <= t.get_window_extent().x0 and t.get_window_extent().x1 <= box.x1 for t in texts(axes))
    legend, title = axes.get_legend().get_window_extent(), axes._left_title.get_window_extent()
    assert not legend.overlaps(title) and not legend.overlaps(axes.get_window_extent())


@pytest.mark.parametrize("make", [lambda: shapdiff(shap_table()), lambda: drift(drift_table())])
def test_text_is_legible_and_never_a_formula(make):
    axes = drawn(make())
    assert min(text.get_fontsize() for text in texts(axes)) >= 8
    assert not any(text.get_parse_math() for text in axes.get_yticklabels())


def test_a_name_with_dollars_is_text():
    table = compare(*(attribution(pd.DataFrame({"a_$x_$": [k, 2.0 * k]}), str(k), "r") for k in (1.0, 2.0)))
    axes = drawn(shapdiff(table))
    assert axes.get_yticklabels()[0].get_text() == "a_$x_$"


@pytest.mark.parametrize("draw", [lambda ax: shapdiff(shap_table(), ax=ax), lambda ax: drift(drift_table(), ax=ax)])
def test_it_draws_on_the_axes_given(draw):
    axes = Figure().subplots()
    assert draw(axes) is axes


def drift_table(**after):
    one = pd.DataFrame(RNG.normal(size=(300, 50)), columns=NAMES).assign(country=RNG.choice(["DE", "FR"], 300))
    two = pd.DataFrame(RNG.normal(size=(300, 50)), columns=NAMES).assign(country=RNG.choice(["DE", "PL"], 300))
    two["amt_$usd$"] += 1.0
    return model_drift.compare(one, two.assign(**after))


def test_bars_have_the_effects_and_flags_have_a_word():
    table = drift_table()
    axes = drift(table, top=12)
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(table["effect"].head(12).tolist())
    for text, flagged in zip(axes.texts, table["flagged"].head(12), strict=True):
        assert text.get_text().endswith("flagged") == flagged
    filled = [bar.get_facecolor()[:3] != (1.0, 1.0, 1.0) for bar in axes.patches]
    assert filled == table["flagged"].head(12).tolist()
    assert axes.get_title("left") == "12 most moved of 51 columns, 2 flagged"
    assert "country (categorical)" in [label.get_text() for label in axes.get_yticklabels()]


def test_a_column_without_values_has_its_note_and_no_bar():
    axes = drift(drift_table(**{LONG[3]: np.nan}), top=5)
    assert axes.patches[0].get_width() == 0 and axes.texts[0].get_text() == "no values after · flagged"


def test_a_unit_error_does_not_hide_the_small_effects():
    axes = drawn(drift(drift_table(**{LONG[3]: np.linspace(0, 1e5, 300)}), top=51))
    widths = [bar.get_window_extent().width for bar in axes.patches]
    assert widths[0] > 100 and widths[1] > 10
    assert overlaps([text.get_window_extent() for text in axes.texts]) == []
    box = axes.get_window_extent()
    assert all(text.get_window_extent().x1 <= box.x1 + 2 for text in axes.texts)


def test_tables_without_rows_are_drawn_empty():
    assert drift(drift_table().head(0)).get_title("left") == "0 columns, 0 flagged"
    assert shapdiff(shap_table().head(0)).get_title("left") == "0 features"
