"""The simulated fraud incident: whole, repeatable, consistent with itself, and telling the story that it claims."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rca import evidence, incident, modelfile, sources, tables
from rca.conclusions import Analysis
from rca.errors import InputError, UnknownName
from rca.incident.model import IncidentFile
from rca.training import fraud
from rca.training.fraud import plan

SHIPPED = Path(__file__).parents[1] / "datasets" / fraud.NAME


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """The incident of each cause, seed 1 (whose biased feature is another than that of the shipped one)."""
    return {cause: fraud.make(tmp_path_factory.mktemp(cause), seed=1, cause=cause) for cause in fraud.CAUSES}


def files_of(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith("derived/")}


def metric(folder: Path, system: str, name: str) -> pd.Series:
    table = pd.read_csv(folder / "sources" / "metrics.csv", parse_dates=["timestamp"])
    return table[(table["system"] == system) & (table["metric"] == name)].set_index("timestamp")["value"]


def windows(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    before, after = (tables.read(folder / "model" / f"window_{name}.parquet") for name in ("before", "after"))
    return before, after


def recall(rows: pd.DataFrame) -> float:
    return float(rows.loc[rows["is_fraud"] == 1, "decision"].mean())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, twins):
    again = fraud.make(tmp_path, seed=1, cause="retraining")
    assert files_of(again) == files_of(twins["retraining"])
    assert files_of(again)["sources/metrics.csv"] != files_of(SHIPPED)["sources/metrics.csv"]


def test_the_shipped_incident_is_what_its_datasheet_says_makes_it(tmp_path):
    sheet = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert "--seed 0 --cause retraining --solved" in sheet
    made = fraud.make(tmp_path, seed=0, cause="retraining", solved=True)
    same = ["sources/deploys.csv", "sources/chat.jsonl", "sources/alerts.json", "incident.yaml", "analysis.yaml"]
    assert {name: files_of(made)[name] for name in same} == {name: files_of(SHIPPED)[name] for name in same}


def test_the_shipped_incident_is_under_five_megabytes_and_as_recorded():
    assert sum(len(content) for content in files_of(SHIPPED).values()) < 5e6
    assert evidence.verify(SHIPPED) == []


@pytest.mark.parametrize("cause", fraud.CAUSES)
def test_the_folder_loads_and_every_export_is_read_without_a_note(twins, cause):
    assert incident.check(twins[cause]) == []
    records = sources.read(incident.load(twins[cause]))
    assert records.notes == ()
    reports = records.reports.set_index("source")
    assert reports.loc["status-page", "rows"] == 0
    assert (reports.drop(index="status-page")["rows"] > 0).all()
    assert (reports["undated"] == 0).all() and (reports["duplicates"] == 0).all()
    declared = {system.id for system in incident.load(twins[cause]).file.systems}
    assert set(records.metrics["system"]) <= declared and set(records.events["system"]) <= declared | {""}


def test_the_yaml_files_have_the_declared_shape():
    IncidentFile.model_validate(yaml.safe_load((SHIPPED / "incident.yaml").read_text(encoding="utf-8")))
    analysis = Analysis.model_validate(yaml.safe_load((SHIPPED / "analysis.yaml").read_text(encoding="utf-8")))
    assert len(analysis.whys) == 5 and {why.kind for why in analysis.whys[-2:]} == {"process", "organisational"}
    assert len(analysis.fmea) >= 5 and len(analysis.actions) >= 5
    assert {bone.category for bone in analysis.fishbone} == {"People", "Process", "Technology", "Data"}
    assert all(action.owner and action.due and action.measure and action.addresses for action in analysis.actions)


def test_no_placeholder_is_left_in_any_text(twins):
    for folder in (SHIPPED, *twins.values()):
        for name, content in files_of(folder).items():
            if not name.startswith("model/"):
                assert not re.search(r"\$[a-z_]{3,}|\{[a-z_]+\}|\bnan\b", content.decode("utf-8")), name


@pytest.mark.parametrize("cause", fraud.CAUSES)
def test_recall_falls_in_each_world_and_the_model_keeps_answering(twins, cause):
    before, during = windows(twins[cause])
    assert recall(before) > 0.8
    assert recall(during) < 0.7
    truth = plan.draw(1, cause)
    for name in ("p99_ms", "error_rate"):
        series = metric(twins[cause], "fraud-model", name)
        quiet, incident_hours = series[: truth.onset], series[truth.onset : truth.mitigated]
        assert abs(incident_hours.median() / quiet.median() - 1) < 0.1
    healed = metric(twins[cause], "fraud-model", "recall")[truth.mitigated.ceil("h") + pd.Timedelta("1h") :]
    assert healed.mean() > 0.8


def test_only_the_new_model_of_the_retraining_world_is_worse_on_the_holdout(twins):
    for cause, folder in twins.items():
        rows = tables.read(folder / "model" / "holdout.parquet")
        runs = json.loads((folder / "sources" / "training_runs.json").read_text())["runs"]
        found = []
        for name, run in zip(("before", "after"), runs, strict=True):
            model = modelfile.load(folder / "model" / f"{name}.skops")
            scores = model.predict_proba(rows.drop(columns="is_fraud"))[:, 1]
            found.append(float((scores >= run["threshold"] * (1 - 1e-6))[rows["is_fraud"] == 1].mean()))
        loss = found[0] - found[1]
        assert loss > 0.2 if cause == "retraining" else abs(loss) < 0.1


def test_the_exported_score_and_decision_are_those_of_the_saved_model(twins):
    folder = twins["retraining"]
    _, during = windows(folder)
    rows = during[during["model_version"] == "v42"]
    run = json.loads((folder / "sources" / "training_runs.json").read_text())["runs"][1]
    model = modelfile.load(folder / "model" / "after.skops")
    scores = model.predict_proba(rows[list(model.feature_names_in_)])[:, 1]
    np.testing.assert_allclose(rows["score"], scores, atol=1e-6)
    clear = np.abs(scores - run["threshold"]) > 1e-6
    assert ((scores >= run["threshold"]) == (rows["decision"] == 1))[clear].all()


def test_the_biased_feature_leads_the_change_of_shap_values(twins):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # on import shap changes a colour map
        import shap

    folder = twins["retraining"]
    rows = tables.read(folder / "model" / "holdout.parquet").drop(columns="is_fraud").head(800)
    weight = []
    for name in ("before", "after"):
        explainer = shap.TreeExplainer(modelfile.load(folder / "model" / f"{name}.skops"))
        weight.append(np.abs(explainer.shap_values(rows)).mean(axis=0))
    assert rows.columns[np.abs(weight[1] - weight[0]).argmax()] == plan.draw(1, "retraining").feed.feature


def test_the_registry_shows_the_artefact_only_where_it_is_the_cause(twins):
    for cause, folder in twins.items():
        runs = json.loads((folder / "sources" / "training_runs.json").read_text())["runs"]
        assert (runs[0]["data"]["label_source"] != runs[1]["data"]["label_source"]) == (cause == "retraining")


def test_the_twins_do_not_give_their_cause_away(twins):
    for cause in fraud.CAUSES:
        assert not (twins[cause] / "analysis.yaml").exists()
        file = incident.load(twins[cause]).file
        assert file.kind == "model-failure" and file.title == "Fraud model misses fraud"
        assert file.milestones["impact_start"].time is None


@pytest.mark.parametrize("cause", fraud.CAUSES)
def test_the_innocent_changes_are_hours_away_from_the_harmful_one(cause):
    for seed in range(40):
        truth = plan.draw(seed, cause)
        times = [truth.model, truth.pipeline, truth.campaign]
        gaps = [abs(one - two) for number, one in enumerate(times) for two in times[:number]]
        assert min(gaps) >= pd.Timedelta("3h")
        assert all(-pd.Timedelta("49h") <= time - truth.onset <= pd.Timedelta("9h") for time in times)


@pytest.mark.parametrize("cause", fraud.CAUSES)
def test_milestones_are_in_order_and_their_evidence_is_where_they_say(twins, cause):
    loaded = incident.load(twins[cause])
    order = ["first_signal", "detected", "acknowledged", "mitigated", "resolved", "closed"]
    times = [loaded.file.milestones[name].time for name in order]
    assert times == sorted(times) and times[-1] < loaded.file.as_of
    events = sources.read(loaded).events
    for name in ("detected", "acknowledged", "mitigated", "resolved", "closed"):
        item = loaded.file.milestones[name]
        place = f"{Path(item.evidence[0].file).name} {item.evidence[0].locator}"
        stamp = events.set_index("locator").loc[place, "time"]
        assert abs(stamp - item.time) < pd.Timedelta("2min"), (name, place)


def test_the_impact_adds_up_from_the_counts_of_the_review_team(twins):
    for folder in twins.values():
        counts = pd.read_csv(folder / "sources" / "impact_by_segment.csv").set_index(["period", "customer_segment"])
        for period in ("before", "during"):
            parts = counts.loc[period].drop("all")
            assert np.allclose(parts.sum(), counts.loc[(period, "all")])
        impact = incident.load(folder).file.impact
        before, during = counts.loc[("before", "all")], counts.loc[("during", "all")]
        usual = before["frauds_missed"] / before["frauds"]
        assert impact.affected_decisions.value == round(during["frauds_missed"] - usual * during["frauds"])
        assert impact.affected_users.value == during["customers_with_missed_fraud"]
        assert impact.cost.low < impact.cost.high < during["missed_eur"]


def test_text_that_looks_like_html_stays_in_the_chat_export():
    lines = [json.loads(line) for line in (SHIPPED / "sources" / "chat.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any("<script>" in line["text"] for line in lines)


def test_only_those_who_are_listed_appear_by_name():
    people = {person.name for person in incident.load(SHIPPED).file.people}
    records = sources.read(incident.load(SHIPPED))
    handles = {alias for person in incident.load(SHIPPED).file.people for alias in person.aliases}
    assert set(records.events["actor"]) - {""} <= people | handles


def test_bad_arguments_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'campaign'"):
        fraud.make(tmp_path, cause="campain")
    with pytest.raises(InputError, match="negative"):
        fraud.make(tmp_path, seed=-1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / fraud.NAME).mkdir()
    with pytest.raises(InputError, match="is there already"):
        fraud.make(tmp_path)


def test_the_command_line_refuses_an_existing_folder_with_exit_code_two(tmp_path):
    (tmp_path / fraud.NAME).mkdir()
    command = [sys.executable, "-m", "rca.training.fraud", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "is there already" in done.stderr


def test_only_a_retraining_can_be_made_solved(tmp_path):
    with pytest.raises(InputError, match="not for 'campaign'"):
        fraud.make(tmp_path, cause="campaign", solved=True)
    assert list(tmp_path.iterdir()) == []
