"""Figures as text, and the files that people would write: incident.yaml, analysis.yaml, README.md."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from rca import files
from rca.training.fraud import facts
from rca.training.fraud.exports import PEOPLE, TEXT
from rca.training.fraud.facts import Case
from rca.training.fraud.scoring import CAPACITY
from rca.training.fraud.world import FEATURES, UNITS

__all__ = ["NAME", "figures", "write_texts"]

NAME = "fraud-model-regression"
ROLES = {
    "commander": "incident commander",
    "model": "machine-learning engineer",
    "data": "data engineer",
    "oncall": "on-call engineer",
    "review": "case review manager",
    "marketing": "marketing manager",
    "analyst": "fraud analyst",
}
IMPACT_KNOWN = """time: "$onset"
    evidence: [{file: sources/deploys.csv, locator: "$at_deploy_model", says: "v42 went live for all payments."}]"""
IMPACT_ESTIMATED = """earliest: "$earliest"
    latest: "$first_signal"
    note: "Estimated from the hourly recall."
    evidence: [{file: sources/metrics.csv, locator: "$at_metric_first_signal", says: "First of two low hours."}]"""
OPEN = "; there is no `analysis.yaml`: the cause is for you to find"
DUE_WEEKS = (1, 4, 6, 8, 10, 14)


def figures(case: Case) -> dict[str, str]:
    """Return every figure that the texts use, as text, by name."""
    plan, raw = case.plan, facts.numbers(case)
    out = {name: _number(name, value) for name, value in raw.items()}
    out |= {f"{name}_short": f"{raw[name]:.2f}" for name in ("recall_before", "recall_during", "recall_after")}

    detected = case.alerts[case.alerts["time"] == case.times["detected"]].iloc[0]
    out |= {
        "alert_summary": f"{detected['name']}: {detected['summary']}",
        "visits_ratio": f"{raw['visits_during'] / raw['visits_before']:.1f}",
        "expected": f"{raw['missed'] - raw['excess']}",
        "cost_low": f"{round(0.6 * raw['excess_eur'], -2):.0f}",
        "cost_high": f"{round(raw['excess_eur'], -2):.0f}",
        "recall_early": f"{raw['recall_early']:.2f}",
        "threshold_before": f"{case.before.threshold:.2g}",
        "threshold_after": f"{case.after.threshold:.2g}",
        "capacity": f"{CAPACITY:.0%}",
        "feed_table": plan.feed.table,
        "feed_desk": plan.feed.desk,
        "feed_words": plan.feed.words,
        "feature": plan.feed.feature,
        "since_campaign": _since(case, "campaign", plan.campaign, raw),
        "since_pipeline": _since(case, "pipeline", plan.pipeline, raw),
        "to_detect": _length(case.times["detected"] - plan.onset),
        "to_signal": _length(case.times["first_signal"] - plan.onset),
        "model_long": f"{plan.model:%-d %B %Y, %H:%M} UTC",
        "impact_long": f"{plan.onset:%-d %B %Y, %H:%M} UTC",
        "mitigated_long": f"{plan.mitigated:%-d %B, %H:%M} UTC",
    }
    return out


def _number(name: str, value: Any) -> str:
    if name.startswith("nulls_"):
        return f"{value:.2%}"
    if name == "extract_share":
        return f"{value:.1%}"
    if name.startswith("errors_"):
        return f"{value:.4f}"
    if name.startswith(("recall", "test_", "holdout_", "feed_sees", "promo_", "new_accounts")):
        return f"{value:.0%}" if name != "test_after" else f"{value:.1%}"
    if name.startswith("flag_"):
        return f"{value:.1%}"
    if name.startswith(("missed_eur", "excess_eur")):
        return f"{value:,.0f}"
    return f"{value:.0f}" if isinstance(value, int) or float(value).is_integer() or abs(value) >= 20 else f"{value:.2f}"


def _since(case: Case, name: str, time: pd.Timestamp, raw: Mapping[str, Any]) -> str:
    """Return how recall behaved between an innocent change and the harmful one."""
    onset = case.plan.onset
    if time > onset:
        return f"had fallen {_length(time - onset)} before it began"
    if time == onset:
        return "fell from its start"
    recall, frauds = raw[f"recall_since_{name}"], raw[f"frauds_since_{name}"]
    return f"was still {recall:.0%} in the {_length(onset - time)} after it began ({frauds} frauds)"


def _length(time: pd.Timedelta) -> str:
    minutes = round(time / pd.Timedelta(minutes=1))
    return f"{minutes} minutes" if minutes < 100 else f"{minutes / 60:.0f} hours"


def write_texts(folder: Path, case: Case, words: Mapping[str, str], places: Mapping[str, str], *, solved: bool) -> None:
    """Write ``incident.yaml``, ``README.md`` and, for a solved case, ``analysis.yaml``."""
    at = {f"at_{name}": place for name, place in places.items()}
    values = {**words, **at, **_incident(case), **_cause(case, solved), **_sheet(folder, case, words, solved)}
    values["impact_start"] = Template(IMPACT_KNOWN if solved else IMPACT_ESTIMATED).substitute(values)
    for name in ("incident.yaml", "README.md", *(["analysis.yaml"] if solved else [])):
        text = Template((TEXT / name).read_text(encoding="utf-8")).substitute(values)
        files.write(folder / name, text)


def _incident(case: Case) -> dict[str, str]:
    """Return what only ``incident.yaml`` and the dates of the actions need."""
    times = case.times | {
        "onset": case.plan.onset,
        "earliest": case.times["first_signal"] - pd.Timedelta(hours=2),
        **{f"{name}_start": span[0] for name, span in case.windows.items()},
        **{f"{name}_end": span[1] for name, span in case.windows.items()},
    }
    segments = facts.by_segment(case)
    due = [(case.times["closed"] + pd.Timedelta(weeks=weeks)).date().isoformat() for weeks in DUE_WEEKS]
    people = [
        f'  - {{name: "{name}", role: "{ROLES[key]}", aliases: ["{handle}", "@{handle}", "{name.split()[0]}"]}}'
        for key, (name, handle) in PEOPLE.items()
    ]
    return {
        **{name: f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()},
        **{f"due_{number}": day for number, day in enumerate(due, start=1)},
        "id": NAME,
        "features": ", ".join(FEATURES),
        "groups": "\n".join(_groups(segments)),
        "people": "\n".join(people),
        "at_all_during": f"row {len(segments)}",
    }


def _cause(case: Case, solved: bool) -> dict[str, str]:
    """Return what depends on the cause; only a solved case names it in its title and kind."""
    deploys, config = "sources/deploys.csv", "sources/config_changes.csv"
    title, kind = "Fraud model misses fraud", "model-failure"
    if solved:
        title, kind = "Fraud model misses fraud after a retraining", "bad-retraining"
    if case.plan.cause == "retraining":
        done, fixed = "Rollback to registry version v41.", "The training job reads the complete label table again."
    elif case.plan.cause == "pipeline":
        done, fixed = "Rollback to 4.7.3.", "4.8.1 went live."
    else:
        done, fixed = "The rule was switched on.", "One promotion code per device."
    return {
        "title": title,
        "kind": kind,
        "mitigation_file": config if case.plan.cause == "campaign" else deploys,
        "mitigation_says": done,
        "fix_file": deploys if case.plan.cause == "pipeline" else config,
        "fix_says": fixed,
    }


def _groups(segments: pd.DataFrame) -> list[str]:
    """Return one line of ``affected_groups`` per customer segment."""
    lines = []
    rates = segments[segments["period"] == "before"].set_index("customer_segment")
    for number, row in enumerate(segments.itertuples(), start=1):
        if row.period != "during" or row.customer_segment == "all":
            continue
        usual = 1 - rates.loc[row.customer_segment, "frauds_missed"] / rates.loc[row.customer_segment, "frauds"]
        lines.append(
            f"    {row.customer_segment}: {{value: {row.frauds_missed}, of: {row.frauds}, unit: frauds let through, "
            f'note: "usual share stopped {usual:.0%}, now {1 - row.frauds_missed / row.frauds:.0%}", '
            f'evidence: [{{file: sources/impact_by_segment.csv, locator: "row {number}"}}]}}'
        )
    return lines


def _sheet(folder: Path, case: Case, words: Mapping[str, str], solved: bool) -> dict[str, str]:
    """Return what the datasheet needs: versions, counts of rows, columns."""
    scored = case.scored[case.scored["time"] >= case.plan.start]
    counts = {}
    for path in sorted((folder / "sources").iterdir()):
        lines = path.read_text(encoding="utf-8").count("\n")
        counts[f"rows_{path.stem}"] = f"{lines - (path.suffix == '.csv'):,}"
    return counts | {
        "rows_alerts": str(len(case.alerts)),
        "seed": str(case.plan.seed),
        "cause": case.plan.cause,
        "sklearn": version("scikit-learn"),
        **{name: version(name) for name in ("numpy", "pandas", "pyarrow", "skops")},
        "payments": f"{len(scored):,}",
        "frauds_all": f"{int(scored['is_fraud'].sum()):,}",
        "fraud_rate": f"{scored['is_fraud'].mean():.1%}",
        "first_hour": f"{case.plan.start:%Y-%m-%d %H:%M}",
        "last_hour": f"{case.plan.end:%Y-%m-%d %H:%M}",
        "origin": f"`python -m rca.training.fraud OUT --seed {case.plan.seed} --cause {case.plan.cause} --solved`"
        if solved
        else "`python -m rca.training.fraud OUT` with a seed and a cause that whoever made it knows",
        "analysis_too": " and `analysis.yaml`" if solved else "",
        "ratings": ", and in `analysis.yaml` the ratings, dates and targets" if solved else "",
        "analysis_line": ", `analysis.yaml` what the review concluded" if solved else OPEN,
        "holdout_rows": f"{len(case.holdout):,}",
        "training_rows": f"{len(case.before.trained):,}",
        "window_before_rows": f"{min(facts.WINDOW, len(case.inside('before'))):,}",
        "window_after_rows": f"{min(facts.WINDOW, len(case.inside('during'))):,}",
        "population_number": words["population_during"],
        "population_before": f"{int(words['population_before']):,}",
        "population_during": f"{int(words['population_during']):,}",
        "feature_rows": "\n".join(f"| `{name}` | {unit} |" for name, unit in UNITS.items()),
    }
