"""Results that several floors share: what an analysis hands on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

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
    values : DataFrame, shape (n_rows, n_features)
        SHAP values, index and columns as the rows explained, in the unit of `output`.
    base_value : float
        Expected output; ``base_value + values.sum(axis=1)`` is the model's own output.
    output : str
        ``"margin"`` (log-odds of a binary classifier), ``"probability"`` (of the second class, for a classifier
        without a margin) or ``"prediction"`` (regression).
    model_id : str
        Hash of the model's content: tells whether two attributions are of one model.
    rows_id : str
        Hash of the rows explained: tells whether two attributions are of the same rows.
    additivity_error : float
        Largest absolute difference between the sum and the model's own output.
    notes : tuple of str
        How the values were computed, and what they cannot say.
    """

    values: pd.DataFrame
    base_value: float
    output: str
    model_id: str
    rows_id: str
    additivity_error: float
    notes: tuple[str, ...] = field(default=())
