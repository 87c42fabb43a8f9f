"""Results that several floors share: what an analysis hands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rca.errors import InputError
from rca.times import show

__all__ = ["Attribution", "ChangeFit", "Trace"]


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Which system broke first, or why that cannot be told.

    Attributes
    ----------
    symptom : tuple of str
        (system, metric) by which the incident was noticed.
    candidates : DataFrame
        Indexed by ``system``, best first; empty when abstained. Columns: ``rank`` (ties share the worst
        rank), ``score`` and what it is made of: ``strength`` (healthy standard deviations), and ``moved``,
        ``alignment``, ``explains``, ``own_excess`` and ``reach``, 0 to 1 each (see ``rca.cascade.trace``);
        ``confidence`` (estimated chance to be the first cause), ``deviation`` (robust standard deviations, signed),
        ``metric`` (the one that moved most surely), ``onset`` (UTC), ``onset_error`` (Timedelta, half-width of about
        95 % confidence, at least the sampling step), ``path`` (tuple of systems to the symptom), ``lags`` (tuple of
        texts, one an edge of the path), ``sentence``.
    deviations : DataFrame
        One row per (system, metric), also when abstained. Columns: ``system``, ``metric``, ``before`` and
        ``during`` (medians), ``deviation``, ``onset`` (empty unless it moved), ``note`` (why it was set aside).
    abstained : str or None
        The reason in a sentence, when nobody is named.
    runner_up : str
        Why the second candidate lost; empty when there is none.
    missing : str
        What evidence would make the name surer; empty when none is missing.
    """

    symptom: tuple[str, str]
    candidates: pd.DataFrame
    deviations: pd.DataFrame
    abstained: str | None = None
    runner_up: str = ""
    missing: str = ""

    @property
    def answer(self) -> str:
        """The answer in a sentence: what is known of the best candidate, or why nobody is named."""
        if self.abstained:
            return self.abstained
        best = self.candidates.iloc[0]
        sure = f" Estimated confidence: {best['confidence']:.0%}." if "confidence" in best else ""
        return f"{best['sentence']}{sure}"

    @property
    def remarks(self) -> list[str]:
        """Why the runner-up lost, and what evidence is missing; as far as there is something to say."""
        return [text for text in (self.runner_up, self.missing) if text]

    def __repr__(self) -> str:
        return f"Trace: {self.answer}"

    @property
    def first(self) -> str | None:
        """The system named as the first cause, or None when abstained."""
        return None if self.abstained else str(self.candidates.index[0])


@dataclass(frozen=True, eq=False, repr=False)
class ChangeFit:
    """Which change fits the first cause, or why none does.

    Attributes
    ----------
    candidates : DataFrame
        One row per change considered, best first. Columns: ``event_id``, ``time``, ``system``, ``kind``,
        ``message``, ``ref``, ``fits`` (bool), ``support`` (how strongly its content speaks for it; 0: not at all),
        ``delay`` (Timedelta from the change to the onset), ``reason``.
    abstained : str or None
        The reason in a sentence, when none is named.
    """

    candidates: pd.DataFrame
    abstained: str | None = None

    @property
    def answer(self) -> str:
        """The answer in a sentence: the change named and why it fits, or why none is named."""
        if self.abstained:
            return self.abstained
        change = self.candidates.iloc[0]
        what = f"{change['kind']} of {change['system']} at {show(change['time'])} ({change['message']})"
        return f"{what}: {change['reason']}"

    def __repr__(self) -> str:
        return f"ChangeFit: {self.answer}"

    @property
    def best(self) -> str | None:
        """The event_id of the change named, or None when abstained."""
        return None if self.abstained else str(self.candidates["event_id"].iloc[0])


@dataclass(frozen=True, eq=False)
class Attribution:
    """Contributions of each feature to each prediction of one model.

    Attributes
    ----------
    values : ndarray of float64, shape (n_rows, n_features) or (n_rows, n_features, n_classes)
        SHAP values in the unit of `output`; three axes for a model of more than two classes.
    base_values : ndarray of float64, shape (), (n_classes,) or, for losses, (n_rows,)
        Expected output: it plus the sum of a row's values is the model's own output.
    index : Index
        Rows explained.
    columns : Index
        Features.
    output : str
        ``"margin"`` (the model's sum before its link: log-odds, logarithm), ``"probability"`` (of the second of two
        classes), ``"prediction"`` (in the unit of the target) or ``"loss"`` (log loss, squared error).
    method : str
        ``"tree, path-dependent"``, ``"tree, interventional"``, ``"linear"``, ``"enumeration"``, ``"permutation"`` or
        ``"catboost, path-dependent"``; ``"computed elsewhere"`` from `from_frame`.
    model_id : str
        Hash of the model's content: tells whether two attributions are of one model.
    rows_id : str
        Hash of the rows explained, for losses with their labels: tells whether two attributions are of the same rows.
    additivity_error : float
        Largest absolute difference between the sum and the model's own output; NaN where that is not known.
    classes : tuple
        Classes of the last axis of `values`; empty unless there are more than two.
    error : ndarray of float64, or None
        Standard error of each value where it is an estimate.
    notes : tuple of str
        How the values were computed, and what they cannot say.
    tokens : DataFrame or None
        Of text columns: mean absolute value by ``feature`` and ``token`` (and ``class``), largest first.
    background_id : str
        Hash of the rows that stood for "unknown", or ``"path-dependent"`` where the tree's own nodes did; ``""`` where
        that is not known. Attributions of two backgrounds cannot be compared.
    column_ids, background_ids : tuple of str
        Hash of each column of the rows (for losses with their labels) and of the background, by which attributions of
        models with other features are compared; empty where they are not known.
    """

    values: np.ndarray
    base_values: np.ndarray
    index: pd.Index
    columns: pd.Index
    output: str
    method: str
    model_id: str
    rows_id: str
    additivity_error: float
    classes: tuple[Any, ...] = ()
    error: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    tokens: pd.DataFrame | None = None
    background_id: str = ""
    column_ids: tuple[str, ...] = ()
    background_ids: tuple[str, ...] = ()

    @classmethod
    def from_frame(cls, values: pd.DataFrame, base: float, *, output: str, model_id: str, rows_id: str) -> Attribution:
        """Return an attribution of SHAP values that were computed elsewhere, one output.

        Parameters
        ----------
        values : DataFrame, shape (n_rows, n_features)
            SHAP values.
        base : float
            Expected output.
        output, model_id, rows_id : str
            As the attributes.

        Examples
        --------
        >>> own = pd.DataFrame({"amount": [1.5], "age": [-0.5]})
        >>> Attribution.from_frame(own, 0.0, output="margin", model_id="june", rows_id="holdout").base_value
        0.0
        """
        parts = values.index, values.columns, output, "computed elsewhere", model_id, rows_id, float("nan")
        return cls(values.to_numpy(dtype="float64"), np.array(float(base)), *parts)

    @property
    def base_value(self) -> float:
        """The expected output as one number, of losses its mean over the rows.

        Raises
        ------
        InputError
            If there are several classes, each with its own.
        """
        if self.classes:
            raise InputError(f"there are {len(self.classes)} classes, each with its own base value: see base_values")
        return float(np.mean(self.base_values))

    def to_frame(self) -> pd.DataFrame:
        """Return the values as a table.

        Returns
        -------
        DataFrame, shape (n_rows, n_features) or (n_rows, n_classes * n_features)
            Index and columns as the rows explained; for several classes the columns have the levels ``class`` and
            ``feature``.

        Examples
        --------
        >>> import numpy as np
        >>> index, columns = pd.Index(["row 1"]), pd.Index(["amount", "age"])
        >>> values = np.array([[1.5, -0.5]])
        >>> Attribution(values, np.array(0.0), index, columns, "margin", "linear", "", "", 0.0).to_frame()
               amount  age
        row 1     1.5 -0.5
        """
        if not self.classes:
            return pd.DataFrame(self.values, index=self.index, columns=self.columns)
        names = [(name, feature) for name in self.classes for feature in self.columns]
        flat = self.values.transpose(0, 2, 1).reshape(len(self.index), len(names))
        return pd.DataFrame(
            flat, index=self.index, columns=pd.MultiIndex.from_tuples(names, names=["class", "feature"])
        )
