"""Two attributions side by side: which features count for more or less than before."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.models.shapdiff.align import aligned, taken, widened
from rca.models.shapdiff.noise import Noise, check_groups, check_pair, row_noise, same_row_noise
from rca.models.shapdiff.refits import Refits, Summary, check_refits, explained, sizes, summary
from rca.models.shapdiff.training import training_noise
from rca.records import Attribution

__all__ = ["check_given", "compare", "compare_both"]

UNKNOWN = "training noise not measured"


def compare(
    before: Attribution,
    after: Attribution,
    *,
    alpha: float = 0.03,
    refits: Refits = (),
    rows: pd.DataFrame | None = None,
    background: pd.DataFrame | None = None,
    n_refits: int = 20,
    groups: Any = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Compare mean absolute SHAP values feature by feature.

    Either the model or the rows are the same in both. *One model on two windows*: the noise is in the rows; they are
    assigned to the windows anew at random (`rca.models.shapdiff.noise.row_noise`). *Two models on the same rows*: the
    noise is in the training. A model retrained on a fresh sample of the same data differs in nearly every feature by
    a test over rows, so none is made unless `refits` show how far training alone moves each feature
    (`rca.models.shapdiff.training.training_noise`).

    Parameters
    ----------
    before, after : Attribution
        Results of `explain`, in the same unit. Two models may take other features, or the same in another order;
        their rows are the same if their index and the columns that both models take are.
    alpha : float, default 0.03
        Chance that any feature at all is flagged when nothing changed.
    refits : callable or sequence, optional
        Only for two models: the model before, trained again as it was, on rows drawn anew. A function
        ``rng -> fitted model`` (`retrain` makes one that draws bootstrap samples), or a sequence of at least four
        fitted models, both to be explained on `rows`; or of at least four results of `explain` on the same rows.
    rows : DataFrame, optional
        The rows on which `before` was explained, wanted when `refits` are not explained yet.
    background : DataFrame, optional
        The background that was used, for the same.
    n_refits : int, default 20
        How often the function is called.
    groups : array_like or pair of array_like, optional
        The day, user or other unit of each row, when rows of one unit resemble each other: one array for the same
        rows, two for two windows. A unit may lie in both windows.
    rng : Generator, optional
        Source of randomness; default a generator with a fixed seed, so that the table is the same every time.
    progress : bool, default False
        Whether to draw a progress bar over the refits.

    Returns
    -------
    DataFrame, shape (n_features, 13)
        Indexed by ``feature``, flagged ones first, then by largest absolute difference, ties by name; against refits
        smaller p-values stand before larger differences. Columns:
        ``rank`` (ties share the worst), ``before``, ``after`` (mean absolute SHAP, added up over classes),
        ``difference``, ``low``, ``high`` (its 95 % interval, each feature on its own), ``moved`` (mean absolute change
        from row to row; NaN for two windows, whose rows have no pairs), ``share_before``,
        ``share_after`` (of all features), ``p_adjusted`` (for all features together; NaN when training noise was not
        measured), ``flagged`` (boolean, NA likewise), ``noise_source`` (``"rows"``,
        ``"training"`` or ``"training noise not measured"``; in the last case the interval covers the choice of rows
        only), ``taken_by`` (``"both"`` models, or ``"before"`` or ``"after"`` alone: a feature that a model does not
        take contributes 0 to it).

    Raises
    ------
    InputError
        If both model and rows differ, or units, features, backgrounds, groups or refits do not fit.

    Notes
    -----
    With `refits` the statement is about the rows explained: which rows they are adds nothing to the noise, both models
    see the same. Refits stand for both models, so the one after should have been trained on about as many rows; more
    rows alone lower what features without information seem to contribute.
    Rows that the model was trained on are no fair window: a boosting was flagged against fresh rows in 25 % of runs.
    Few units cannot show anything: two windows of three days each can be split in ten ways only, so no p-value is
    below .1.
    A feature flagged with a small difference has moved from row to row: its effect was turned round, say.
    A difference says where the model changed, not that it changed for the worse. A retraining that changes how often
    rows are seen, but not what is learned from them, moves contributions hardly at all.

    Examples
    --------
    >>> values = pd.DataFrame({"amount": [1.0, -2.0, 3.0], "age": [0.5, 0.5, -0.5]})
    >>> of = {"output": "margin", "rows_id": "holdout"}
    >>> before = Attribution.from_frame(values, 0.0, model_id="may", **of)
    >>> after = Attribution.from_frame(values * [2, 1], 0.0, model_id="june", **of)
    >>> compare(before, after)[["before", "after", "difference", "noise_source"]]
             before  after  difference                 noise_source
    feature
    amount      2.0    4.0         2.0  training noise not measured
    age         0.5    0.5         0.0  training noise not measured
    """
    check_given(alpha, before=before, after=after)
    refits, trained = check_refits(refits), before
    before, after = aligned(before, after)
    _check_pair(before, after)
    rng = np.random.default_rng(0) if rng is None else rng
    same_model, same_rows = before.model_id == after.model_id, before.rows_id == after.rows_id
    if not same_model and not same_rows:
        raise InputError(
            "both the model and the rows differ, so no difference can be laid to either: hold one fixed "
            "(both models on one holdout, or one model on both windows), or split it by compare_both"
        )
    if same_model and refits != ():
        raise InputError("refits were given for one model; they are wanted only for two models")
    one, two = sizes(before), sizes(after)
    if not same_rows:
        noise, source = row_noise(one, two, check_pair(groups, len(one), len(two)), rng), "rows"
    elif same_model:
        noise, source = same_row_noise(two - one, check_groups(groups, len(one))), "rows"
        noise = Noise(noise.low, noise.high, np.ones(one.shape[1]))
    else:
        again = explained(
            refits, [trained], None if rows is None else [rows],
            background=background, n_refits=n_refits, rng=rng, progress=progress,
        )  # fmt: skip
        pair = summary([before]), summary([after])
        again = widened(again, trained.columns, before.columns)
        noise, source = _model_noise(two - one, *pair, again, check_groups(groups, len(one)))
    moved = _moved(before, after) if same_rows else np.full(one.shape[1], np.nan)
    table = _table(_features(before), one.mean(axis=0), two.mean(axis=0), moved, noise, source, alpha)
    return _with_takers(table, before, after)


def compare_both(
    before: Attribution,
    after: Attribution,
    *,
    crossed: tuple[Attribution, Attribution],
    alpha: float = 0.03,
    refits: Refits = (),
    rows: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    background: pd.DataFrame | None = None,
    n_refits: int = 20,
    groups: Any = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Split a difference between two models on two windows into the part of the model and the part of the rows.

    Each part is the mean of what it makes in the two orders, model first or rows first (the Shapley value of two
    players [1]_), so that both add up to the difference.

    Parameters
    ----------
    before, after : Attribution
        The model before on the rows before, and the model after on the rows after.
    crossed : pair of Attribution
        The model before on the rows after, and the model after on the rows before.
    alpha : float, default 0.03
        Chance that any feature is flagged in any part when nothing changed.
    refits : callable or sequence, optional
        As for `compare`, to judge the part of the model. Refits that are explained already come as pairs: on the
        rows before and on the rows after.
    rows : pair of DataFrame, optional
        Rows before and after, wanted when `refits` are not explained yet.
    background, n_refits
        As for `compare`.
    groups : pair of array_like, optional
        The unit of each row, before and after.
    rng, progress
        As for `compare`.

    Returns
    -------
    DataFrame, shape (2 * n_features, 14)
        As from `compare`, with a first column ``part``: ``"model"``, then ``"rows"``, each ranked by itself.
        ``before`` and ``after`` of the part ``model`` are the means of each model over both windows, those of the
        part ``rows`` the means of each window over both models. ``table[table["part"] == "model"]`` can be drawn like
        a table from `compare`.

    Raises
    ------
    InputError
        If the four attributions are not of two models on two windows, or as for `compare`.

    References
    ----------
    .. [1] Shapley, "A value for n-person games", Contributions to the Theory of Games II, 1953.

    Examples
    --------
    >>> def made(model, rows, value):
    ...     values = pd.DataFrame({"amount": [value, -value]})
    ...     return Attribution.from_frame(values, 0.0, output="margin", model_id=model, rows_id=rows)
    >>> before, after = made("old", "may", 1.0), made("new", "june", 6.0)
    >>> table = compare_both(before, after, crossed=(made("old", "june", 2.0), made("new", "may", 3.0)))
    >>> table.set_index("part")["difference"].to_dict()
    {'model': 3.0, 'rows': 2.0}
    """
    check_given(alpha, before=before, after=after)
    _check_two(crossed)
    refits = check_refits(refits)
    trained = [before, crossed[0]]
    before, after, *both = aligned(before, after, *crossed)
    crossed = both[0], both[1]
    _check_crossed(before, after, crossed)
    rng = np.random.default_rng(0) if rng is None else rng
    old_before, new_after, old_after, new_before = (sizes(one) for one in (before, after, *crossed))
    names, pair = _features(before), check_pair(groups, len(old_before), len(old_after))
    # Rows of the shorter window count more: each window has half of the weight.
    share = len(old_before) / len(old_after)
    change = np.vstack([(new_before - old_before) * (1 + 1 / share) / 2, (new_after - old_after) * (1 + share) / 2])
    old, new = summary([before, crossed[0]]), summary([crossed[1], after])
    if rows is not None and (not isinstance(rows, Sequence) or len(rows) != 2):
        raise InputError("rows is no pair; (rows before, rows after) is wanted")
    again = explained(refits, trained, rows, background=background, n_refits=n_refits, rng=rng, progress=progress)
    again = widened(again, trained[0].columns, before.columns)
    units = None if pair is None else np.concatenate(pair)
    noise, source = _model_noise(change, old, new, again, units)
    parts = 1 if again is None else 2
    moved = (_moved(before, crossed[1]) + _moved(crossed[0], after)) / 2
    model = _table(names, old.means, new.means, moved, noise.adjusted(parts), source, alpha)
    one, two = (old_before + new_before) / 2, (old_after + new_after) / 2
    noise = row_noise(one, two, pair, rng)
    unpaired = np.full(len(names), np.nan)
    window = _table(names, one.mean(axis=0), two.mean(axis=0), unpaired, noise.adjusted(parts), "rows", alpha)
    table = pd.concat([model, window])
    table.insert(0, "part", np.repeat(["model", "rows"], len(names)))
    return _with_takers(table, before, after)


def _model_noise(
    change: np.ndarray, before: Summary, after: Summary, refits: Summary | None, groups: np.ndarray | None
) -> tuple[Noise, str]:
    if refits is None:
        return same_row_noise(change, groups), UNKNOWN
    return training_noise(before, after, refits), "training"


def _moved(before: Attribution, after: Attribution) -> np.ndarray:
    """Return the mean absolute change of the contributions of each row, added up over classes."""
    change = np.abs(np.asarray(after.values, dtype=float) - np.asarray(before.values, dtype=float)).mean(axis=0)
    return change if change.ndim == 1 else np.asarray(change.sum(axis=1))


def _table(
    names: list[Any],
    before: np.ndarray,
    after: np.ndarray,
    moved: np.ndarray,
    noise: Noise,
    source: str,
    alpha: float,
) -> pd.DataFrame:
    known = source != UNKNOWN
    flagged = noise.p_adjusted <= alpha
    difference = after - before
    table = pd.DataFrame(
        {
            "before": before,
            "after": after,
            "difference": difference,
            "low": noise.low,
            "high": noise.high,
            "moved": moved,
            "share_before": _share(before),
            "share_after": _share(after),
            "p_adjusted": noise.p_adjusted,
            "flagged": pd.array(flagged if known else [pd.NA] * len(names), dtype="boolean"),
            "noise_source": source,
        },
        index=pd.Index(names, name="feature"),
    )
    doubt = noise.p_adjusted if source == "training" else np.zeros(len(names))
    places = [(not flag, p, -size) for flag, p, size in zip(flagged, doubt, np.abs(difference), strict=True)]
    table.insert(0, "rank", [sum(other <= place for other in places) for place in places])
    order = sorted(range(len(names)), key=lambda place: (*places[place], str(names[place])))
    return table.iloc[order]


def _with_takers(table: pd.DataFrame, before: Attribution, after: Attribution) -> pd.DataFrame:
    known = np.select([taken(before) & taken(after), taken(before)], ["both", "before"], "after")
    table["taken_by"] = pd.Series(known, index=_features(before)).reindex(table.index).to_numpy()
    return table


def _features(attribution: Attribution) -> list[Any]:
    return list(attribution.columns)


def check_given(alpha: float, **attributions: Attribution) -> None:
    """Raise if `alpha` is no chance, or one of `attributions` is not what `explain` returns.

    Examples
    --------
    >>> check_given(0.03, before=pd.DataFrame())
    Traceback (most recent call last):
    rca.errors.InputError: before is a DataFrame; an Attribution is wanted, from rca.shapdiff.explain or
    Attribution.from_frame
    """
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha!r}; a share between 0 and 1 is wanted")
    for name, given in attributions.items():
        if not isinstance(given, Attribution):
            raise InputError(
                f"{name} is a {type(given).__name__}; an Attribution is wanted, from rca.shapdiff.explain or "
                "Attribution.from_frame"
            )


def _check_pair(before: Attribution, after: Attribution) -> None:
    one, two = _features(before), _features(after)
    if one != two:
        odd = [str(name) for name in (*one, *two) if (name in one) != (name in two)]
        raise InputError(f"before and after have different features: {', '.join(odd) or 'another order'}")
    if before.output != after.output:
        raise InputError(f"before is explained as {before.output} and after as {after.output}; one unit is wanted")
    if before.classes != after.classes:
        raise InputError(
            f"before has the classes {_named(before.classes)} and after {_named(after.classes)}; the same are wanted"
        )
    if before.background_id != after.background_id or not _same_base(before, after):
        raise InputError(
            f"before was explained against {_against(before)} and after against {_against(after)}: what a missing "
            "feature means differs, so no difference can be laid to model or rows; give both calls of explain the "
            "same background"
        )
    if min(len(before.index), len(after.index)) < 2:
        raise InputError("at least two rows are needed on each side")


def _same_base(before: Attribution, after: Attribution) -> bool:
    """Return whether one model has one expected output, where no hash of the background tells."""
    one_model = before.model_id == after.model_id and before.output != "loss"
    return not one_model or np.allclose(before.base_values, after.base_values, rtol=1e-6, atol=1e-9)


def _against(attribution: Attribution) -> str:
    if attribution.background_id in ("", "path-dependent"):
        return "no background" if attribution.background_id else "a background that is not recorded"
    return f"background {attribution.background_id[:8]}"


def _named(classes: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, classes)) if classes else "of a single output"


def _check_two(crossed: Any) -> None:
    if not isinstance(crossed, Sequence) or len(crossed) != 2:
        raise InputError("crossed is no pair; (before on the rows after, after on the rows before) is wanted")
    check_given(0.5, **{f"crossed[{place}]": one for place, one in enumerate(crossed)})


def _check_crossed(before: Attribution, after: Attribution, crossed: Sequence[Attribution]) -> None:
    if before.model_id == after.model_id or before.rows_id == after.rows_id:
        same = "model" if before.model_id == after.model_id else "rows"
        raise InputError(f"before and after have the same {same}; compare is wanted")
    for place, (model, rows, what) in enumerate(
        ((before, after, "model before on the rows after"), (after, before, "model after on the rows before"))
    ):
        if crossed[place].model_id != model.model_id or crossed[place].rows_id != rows.rows_id:
            raise InputError(f"crossed[{place}] is not the {what}; (before on after, after on before) is wanted")
        _check_pair(model, crossed[place])
    _check_pair(before, crossed[1])


def _share(means: np.ndarray) -> np.ndarray:
    total = means.sum()
    return means / total if total > 0 else np.full(len(means), np.nan)
