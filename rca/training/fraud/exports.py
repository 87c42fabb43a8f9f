"""The raw exports of one simulated incident, each in the form in which its team hands it over.

What people wrote stands in ``text/``; here it gets its time, its place and its form.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
import yaml

from rca import files, modelfile
from rca.training.fraud import facts
from rca.training.fraud.facts import Case
from rca.training.fraud.plan import ZONE
from rca.training.fraud.scoring import CAPACITY, Run
from rca.training.fraud.world import FEATURES

__all__ = ["PEOPLE", "TEXT", "write_models", "write_sources"]

TEXT = Path(__file__).with_name("text")
PEOPLE = {
    "commander": ("Maren Osterloh", "m.osterloh"),
    "model": ("Tomasz Kalinko", "t.kalinko"),
    "data": ("Amara Nwofor", "a.nwofor"),
    "oncall": ("Jonas Lindfelt", "j.lindfelt"),
    "review": ("Priya Ramdass", "p.ramdass"),
    "marketing": ("Clara Mendrisi", "c.mendrisi"),
    "analyst": ("Ilse Brandauer", "i.brandauer"),
}
LABELS = "risk.fraud_labels_all"
QUERY = (
    "SELECT t.*, l.is_fraud FROM payments.settled t LEFT JOIN {labels} l USING (payment_id) "
    "WHERE t.settled_on >= CURRENT_DATE - 90 AND (l.is_fraud = 1 OR t.sampled = 1)"
)
Row = dict[str, Any]


def write_sources(folder: Path, case: Case, words: Mapping[str, str]) -> dict[str, str]:
    """Write all exports below ``sources/``.

    Parameters
    ----------
    folder : Path
        The incident folder.
    case : Case
        The incident.
    words : mapping
        Figures as text, for the templates of what people wrote.

    Returns
    -------
    dict
        Mark of a record -> its place, such as ``row 3``.
    """
    places: dict[str, str] = {}
    sources = folder / "sources"
    for name, make in (("deploys", _deploy), ("config_changes", _setting), ("campaigns", _campaign)):
        _csv(sources / f"{name}.csv", _written(case, words, name, make, places, "row"))
    for name, make in (("tickets", _ticket), ("chat", _message)):
        lines = _written(case, words, name, make, places, "line")
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        files.write(sources / f"{name}.jsonl", text)
    _csv(sources / "impact_by_segment.csv", facts.by_segment(case).to_dict("records"))
    files.write(sources / "status_page.csv", "posted_at,component,status,message\n")
    _csv(sources / "metrics.csv", _metrics(case, places))
    alerts = {"version": "4", "receiver": "payments-oncall", "alerts": _alerts(case, places)}
    files.write(sources / "alerts.json", files.canonical_json(alerts))
    runs = {"registry": "fraud-model", "runs": _runs(case)}
    files.write(sources / "training_runs.json", files.canonical_json(runs))
    return places


def _csv(path: Path, rows: Sequence[Mapping[Any, Any]]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write(path, out.getvalue())


def _written(
    case: Case,
    words: Mapping[str, str],
    name: str,
    make: Callable[[Row, pd.Timestamp, int, Case], Row],
    places: dict[str, str],
    unit: str,
) -> list[Row]:
    """Return the records of ``text/<name>.yaml`` for this cause, by time; note where the marked ones stand."""
    content = yaml.safe_load((TEXT / f"{name}.yaml").read_text(encoding="utf-8"))
    rows = []
    for number, item in enumerate([*content["all"], *content[case.plan.cause]]):
        filled = {
            key: Template(value).substitute(words) if isinstance(value, str) else value for key, value in item.items()
        }
        rows.append((_when(case, item), number, filled))
    rows.sort(key=lambda row: row[:2])
    places.update(
        {item["mark"]: f"{unit} {place}" for place, (_, _, item) in enumerate(rows, start=1) if "mark" in item}
    )
    return [make(item, time, number, case) for time, number, item in rows]


def _when(case: Case, item: Row) -> pd.Timestamp:
    """Return the time of a record: after a change or milestone, or a share of the way to the mitigation."""
    if "share" in item:
        start = case.times["acknowledged"]
        return (start + item["share"] * (case.times["mitigated"] - start)).floor("s")
    known = case.times | case.plan.times
    return known[item["after"]] + pd.Timedelta(hours=item.get("hours", 0), minutes=item.get("minutes", 0))


def _local(time: pd.Timestamp) -> str:
    return f"{time.tz_convert(ZONE):%Y-%m-%d %H:%M}"


def _deploy(item: Row, time: pd.Timestamp, number: int, case: Case) -> Row:
    return {
        "deployed_at": _local(time),
        "service": item["service"],
        "version": item["version"],
        "registry_version": item.get("registry", ""),
        "action": item.get("action", "deploy"),
        "deployed_by": PEOPLE[item["who"]][0],
        "note": item["note"],
    }


def _setting(item: Row, time: pd.Timestamp, number: int, case: Case) -> Row:
    setting, old, new = item["setting"], item["old"], item["new"]
    return {
        "changed_at": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "system": item["system"],
        "setting": setting,
        "change": f"{setting}: {old} -> {new}",
        "changed_by": PEOPLE[item["who"]][1],
    }


def _campaign(item: Row, time: pd.Timestamp, number: int, case: Case) -> Row:
    return {
        **{key: item[key] for key in ("campaign_id", "name", "channel", "audience", "budget_eur")},
        "starts": _local(time),
        "ends": _local(case.plan.times[item["until"]]),
        "owner": PEOPLE[item["who"]][0],
    }


def _message(item: Row, time: pd.Timestamp, number: int, case: Case) -> Row:
    return {
        "ts": f"{int(time.timestamp())}.{number:06d}",
        "channel": item.get("channel", "inc-fraud-recall"),
        "user": PEOPLE[item["who"]][1],
        "text": item["text"],
    }


def _ticket(item: Row, time: pd.Timestamp, number: int, case: Case) -> Row:
    local = time.tz_convert(ZONE)
    return {
        "key": f"PAY-{4100 + 7 * number}",
        "fields": {
            "created": local.isoformat(),
            "updated": (local + pd.Timedelta(hours=item["open_hours"])).isoformat(),
            "component": item["system"],
            "priority": item["priority"],
            "reporter": {"name": PEOPLE[item["who"]][0], "team": item["team"]},
            "summary": item["text"],
            "state": item["state"],
        },
    }


def _metrics(case: Case, places: dict[str, str]) -> list[Row]:
    table = case.metrics
    first = (table["time"] == case.times["first_signal"]) & (table["metric"] == "recall")
    places["metric_first_signal"] = f"row {int(first.to_numpy().argmax()) + 1}"
    stamps = table["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        {"timestamp": time, "system": system, "metric": metric, "value": f"{value:.4g}"}
        for time, system, metric, value in zip(stamps, table["system"], table["metric"], table["value"], strict=True)
    ]


def _alerts(case: Case, places: dict[str, str]) -> list[Row]:
    rows = []
    for number, alert in enumerate(case.alerts.itertuples(), start=1):
        if alert.time == case.times["detected"]:
            places["alert_detected"] = f"item {number}"
        summary = f"{alert.name} {alert.status}: {alert.summary}"
        rows.append(
            {
                "fingerprint": f"{case.plan.seed:04x}{number:04x}",
                "status": alert.status,
                "at": int(alert.time.timestamp() * 1000),
                "labels": {"alertname": alert.name, "service": alert.system, "severity": alert.severity, "env": "prod"},
                "annotations": {"summary": summary, "value": f"{alert.value:.4g}", "limit": f"{alert.limit:.4g}"},
            }
        )
    return rows


def _runs(case: Case) -> list[Row]:
    """Return the records of the model registry on both training runs."""
    plan = case.plan
    labels = plan.feed.table if plan.cause == "retraining" else LABELS
    return [
        _run("run-2026-03", "v41", case.before, plan.start - pd.Timedelta(days=84, hours=-10), LABELS),
        _run("run-2026-06", "v42", case.after, plan.model.floor("h") - pd.Timedelta(hours=27), labels),
    ]


def _run(run_id: str, registry: str, run: Run, finished: pd.Timestamp, labels: str) -> Row:
    frauds = run.extract[run.extract["is_fraud"] == 1]
    shown = ("max_iter", "max_leaf_nodes", "learning_rate", "min_samples_leaf")
    return {
        "run_id": run_id,
        "registry_version": registry,
        "system": "training-job",
        "finished_at": finished.tz_convert(ZONE).isoformat(),
        "triggered_by": {"name": PEOPLE["model"][0], "kind": "schedule"},
        "summary": f"{run_id} registered as {registry}: test recall {run.test_recall:.1%} with {CAPACITY:.0%} flagged",
        "params": {"algorithm": type(run.model).__name__, **{name: run.model.get_params()[name] for name in shown}},
        "threshold": float(f"{run.threshold:.7g}"),
        "data": {
            "label_source": labels,
            "extract_query": QUERY.format(labels=labels),
            "rows": len(run.extract),
            "fraud_rows": len(frauds),
            "test_split": "random 20 % of the same extract",
            "fraud_medians": {name: round(float(frauds[name].median()), 2) for name in FEATURES},
        },
        "metrics": {"test_recall": round(run.test_recall, 4), "flag_rate": CAPACITY},
        "gates": ["p99 latency", "flag rate", "test recall not below the previous version"],
    }


def write_models(folder: Path, case: Case) -> None:
    """Write both models, the first one's training rows, the holdout and two samples of production below ``model/``."""
    model = folder / "model"
    modelfile.save(case.before.model, model / "before.skops")
    modelfile.save(case.after.model, model / "after.skops")
    _parquet(model / "training_before.parquet", case.before.trained)
    _parquet(model / "holdout.parquet", case.holdout[[*FEATURES, "is_fraud"]])
    _parquet(model / "window_before.parquet", facts.window_rows(case, "before"))
    _parquet(model / "window_after.parquet", facts.window_rows(case, "during"))


def _parquet(path: Path, frame: pd.DataFrame) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=12)
    files.write(path, buffer.getvalue())
