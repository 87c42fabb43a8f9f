"""The whole line: two incidents of ours from raw exports to a report, as a user would run it."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

from rca import annotations
from rca.training.fraud import plan

ROOT = Path(__file__).parent.parent
FRAUD = ROOT / "datasets" / "fraud-model-regression"
OUTAGE = ROOT / "datasets" / "bot-feature-file-outage"


def rca(*arguments, cwd):
    command = [sys.executable, "-m", "rca.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def texts(report):
    """Every file that is text, without the pixels of pictures, in whose base64 a short name stands by chance."""
    pixels = re.compile(r'(?<=base64,)[A-Za-z0-9+/=]+|(?<="image/png": ")[A-Za-z0-9+/=\\n]+')
    return {
        path.name: pixels.sub("", path.read_text())
        for path in report.rglob("*")
        if path.suffix in (".html", ".md", ".ipynb", ".csv", ".json")
    }


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def demo(work):
    done = rca("demo", cwd=work)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "reports/fraud-model-regression/postmortem.html\n"
    return work / "reports" / "fraud-model-regression"


@pytest.fixture(scope="module")
def outage(work):
    done = rca("report", OUTAGE, cwd=work)
    assert done.returncode == 0, done.stderr
    return work / "reports" / "bot-feature-file-outage"


def table(report, name):
    return pd.read_csv(report / "tables" / f"{name}.csv", keep_default_na=False)


def test_the_demo_names_the_model_its_deployment_and_the_sampled_feature(demo):
    assert table(demo, "cascade")["system"][0] == "fraud-model"
    drawn = plan.draw(0, "retraining")
    change = table(demo, "changes").iloc[0]
    assert (change["system"], change["kind"], change["fits"]) == ("fraud-model", "deploy", True)
    assert abs(pd.Timestamp(change["time"]) - drawn.model) < pd.Timedelta("1min")
    assert table(demo, "shap_models")["feature"][0] == drawn.feed.feature


def test_the_report_has_every_section_and_all_its_files(demo):
    page = (demo / "postmortem.html").read_text()
    for heading in ("Summary", "Impact", "What happened when", "What broke first", "What changed", "Inside the model",
                    "Why: five whys", "Fishbone", "What else could fail: FMEA", "Root cause, trigger and contributing factors",
                    "Lessons", "Corrective actions", "What we do not know", "Evidence"):  # fmt: skip
        assert f">{heading}<" in page, heading
    assert page.count("<img ") >= 7
    run = json.loads((demo / "run.json").read_text())
    assert run["failed"] == []
    assert {"versions", "parameters", "inputs", "duration"} <= set(run)
    assert "sources/metrics.csv" in run["inputs"]
    names = {path.stem for path in (demo / "tables").iterdir()}
    assert {"events", "milestones", "durations", "cascade", "changes", "shap_models", "drift", "whys", "fmea", "actions",
            "findings", "evidence", "impact", "edges", "imports", "gaps"} <= names  # fmt: skip


def test_the_page_is_small_and_has_no_script_and_no_outside_address(demo, outage):
    for report in (demo, outage):
        page = (report / "postmortem.html").read_text()
        assert len(page) < 1_500_000
        assert not re.search(r"<script|<iframe|<object|javascript:|\son\w+=", page)
        assert not re.search(r'(?:src|href)="(?!#|data:|postmortem\.ipynb)[^"]', page)
        assert "Messages of this step" not in page


def test_people_appear_by_role_in_every_file_of_the_report(demo):
    people = yaml.safe_load((FRAUD / "incident.yaml").read_text())["people"]
    assert people
    for file, text in texts(demo).items():
        for person in people:
            for name in [person["name"], *person.get("aliases", [])]:
                assert name.lower() not in text.lower(), (file, name)
    assert people[0]["role"] in (demo / "postmortem.html").read_text()


def test_the_front_says_that_free_text_may_still_name_people(demo, outage):
    for report in (demo, outage):
        for name in ("postmortem.html", "postmortem.md"):
            assert "Free text may still name people who never acted" in (report / name).read_text()


def test_every_event_is_in_the_table_and_the_page_says_which_it_does_not_show(demo):
    from rca import incident, sources
    from rca.systems import timeline

    events = timeline.merge(sources.read(incident.load(FRAUD)).events)
    rows = table(demo, "events")
    assert len(rows) == len(events)
    assert rows["count"].sum() == events["count"].sum()
    page = (demo / "postmortem.html").read_text()
    assert (
        f"Nothing is left out; a row of count n stands for n records. tables/events.csv has all {len(events)}" in page
    )
    changes = events["kind"].isin(["deploy", "alert", "model_version"])
    assert all(locator in page for locator in events.loc[changes, "locator"])


def test_two_tables_of_one_report_agree_on_records(outage):
    reports, gaps = table(outage, "imports").set_index("source"), table(outage, "gaps").set_index("source")
    assert "out_of_order" not in gaps
    for source, row in gaps.iterrows():
        assert row["records"] <= reports.loc[source, "kept"]
    assert "records, times and coverage are those of" in (outage / "postmortem.md").read_text()


def test_markup_in_a_chat_message_is_text_in_the_page(demo):
    assert "<script>" in (FRAUD / "sources" / "chat.jsonl").read_text()
    assert "&lt;script&gt;" in (demo / "postmortem.html").read_text()


def test_no_path_of_the_machine_is_in_the_page_or_the_tables(demo):
    for file, text in texts(demo).items():
        if file.endswith((".html", ".csv", ".md")):
            assert str(ROOT) not in text, file
            assert sys.prefix not in text, file


def test_the_same_command_twice_gives_the_same_bytes_but_for_the_run_times(demo, work):
    again = work / "again"
    assert rca("demo", "--out", again, cwd=work).returncode == 0
    other = again / "fraud-model-regression"
    files = sorted(path.relative_to(demo) for path in demo.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    for file in files:
        if file.suffix in (".csv", ".png"):
            assert (demo / file).read_bytes() == (other / file).read_bytes(), file
    times = re.compile(r'<(\w+)[^>]* id="run-times".*?</\1>', re.DOTALL)
    first, second = ((folder / "postmortem.html").read_text() for folder in (demo, other))
    assert times.search(first)
    assert times.sub("", first) == times.sub("", second)


def test_an_incident_without_metrics_and_model_says_what_is_missing(outage):
    page = (outage / "postmortem.html").read_text()
    for sentence in ("Not traced: that needs metrics", "Not compared: the incident has no pair of models",
                     "Drift was not measured", "Impact could not be computed", "not measured", "No metrics: nothing was exported"):  # fmt: skip
        assert sentence in page
    assert not (outage / "tables" / "cascade.csv").exists()
    durations = table(outage, "durations").set_index("duration")
    assert durations.loc["time to detect", ["low", "high"]].tolist() == ["P0DT0H0M0S", "P0DT0H12M0S"]


def test_conflicting_statements_both_stay_in_the_timeline(outage):
    messages = set(table(outage, "events")["message"])
    assert {"The network began to fail", "First errors on customer traffic"} <= messages


def test_a_failed_cell_leaves_a_report_that_points_at_it_and_exit_code_1(tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / "postmortem.ipynb", as_version=4)
    place = next(n for n, cell in enumerate(notebook.cells) if "rca.whys.check" in cell.source)
    notebook.cells[place].source = "raise ValueError(records.events['actor'].name + ' cannot be read')"
    nbformat.write(notebook, tmp_path / "mine.ipynb")
    done = rca("run", "mine.ipynb", OUTAGE, cwd=tmp_path)
    assert done.returncode == 1
    assert "actor cannot be read" in done.stderr
    report = tmp_path / "reports" / "bot-feature-file-outage" / "mine"
    page = (report / "mine.html").read_text()
    assert "actor cannot be read" in page
    assert ">Evidence<" in page
    assert (report / "tables" / "evidence.csv").exists()
    assert [one["cell"] for one in json.loads((report / "run.json").read_text())["failed"]] == [place + 2]


def test_a_new_incident_from_the_template_makes_a_report(tmp_path):
    assert rca("new", "mine", cwd=tmp_path).returncode == 0
    done = rca("report", "datasets/mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reports" / "mine" / "postmortem.html").read_text()
    assert "No milestone is declared, so no duration or phase is known." in page
    assert "No event to list: nothing is imported yet" in page
    tables = {path.stem for path in (tmp_path / "reports" / "mine" / "tables").iterdir()}
    assert not tables & {"milestones", "durations", "phases", "events", "annotations"}


def seen_by_two_clocks(folder):
    """Put in a web server that is 90 s ahead of its gateway, and a job that wrote local time as if it were UTC."""
    begin, rows = pd.Timestamp("2025-10-25T09:00"), {"web": ["at,text,trace,who"], "gateway": ["at,text,trace,who"]}
    for n in range(20):
        trace, seen = hashlib.md5(b"%d" % n, usedforsecurity=False).hexdigest(), begin + n * pd.Timedelta("7min")
        ahead = pd.Timedelta(90_000 + 37 * n % 100, unit="ms")
        rows["web"].append(f"{(seen + ahead).isoformat()},scored,{trace},Jane Doe")
        rows["gateway"].append(f"{seen.isoformat()},asked,{trace},")
    local = pd.date_range("2025-10-25T22:00Z", periods=60, freq="5min").tz_convert("Europe/Berlin").tz_localize(None)
    rows["job"] = ["at,text,trace,who", *(f"{moment.isoformat()},tick {n},," for n, moment in enumerate(local))]
    described = ["people: [{name: Jane Doe, role: data engineer}]", "sources:"]
    for name, lines in rows.items():
        (folder / "sources").mkdir(exist_ok=True)
        (folder / "sources" / f"{name}.csv").write_text("\n".join(lines))
        described.append(
            f"  - {{id: {name}, file: sources/{name}.csv, constant: {{system: my-model, kind: log}}, time: {{zone: UTC}},"
            " columns: {time: at, message: text, trace_id: trace, actor: who}}"
        )
    text = (folder / "incident.yaml").read_text().splitlines()
    kept = [line for line in text if not line.startswith(("sources:", "people:"))]
    (folder / "incident.yaml").write_text("\n".join([*kept, *described]))


def test_clocks_that_disagree_and_annotations_stand_in_the_page_of_what_happened_when(tmp_path):
    assert rca("new", "mine", cwd=tmp_path).returncode == 0
    folder = tmp_path / "datasets" / "mine"
    seen_by_two_clocks(folder)
    said = rca("annotate", folder, "web.csv row 3", "--note", "Jane Doe saw it", "--by", "Jane Doe", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    annotations.add(folder, "f" * 16, tag="of an earlier import", author="SRE")
    done = rca("run", "what-happened-when", folder, "-p", "zone=Europe/Berlin", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = tmp_path / "reports" / "mine" / "what-happened-when"
    (clock,) = table(report, "clocks").to_dict("records")
    assert (clock["source_a"], clock["source_b"], clock["anchors"]) == ("gateway", "web", 20)
    assert clock["verdict"] == "a correction is proposed"
    bounds = [pd.Timedelta(clock[name]) for name in ("low", "offset", "high")]
    assert bounds == sorted(bounds)
    assert all(abs(bound + pd.Timedelta("90s")) < pd.Timedelta("200ms") for bound in bounds)  # 0 to 99 ms are noise
    assert (report / "images" / "clocks.png").exists()
    jumps = table(report, "clock_jumps")
    assert jumps[["source", "change"]].to_numpy().tolist() == [["job", "hour repeated"]]
    assert "the clocks of Europe/Berlin go back on 2025-10-26" in jumps["note"][0]
    noted = table(report, "annotations")
    assert noted["text"].str.contains("saw it|of an earlier import").all()
    assert noted["remark"].tolist() == ["", "the event is not among the exports"]
    assert noted["by"][0].startswith("data engineer (P-")
    for file, text in texts(report).items():
        assert "jane" not in text.lower(), file


def test_clocks_that_share_nothing_are_one_sentence_and_no_annotation_is_no_table(outage):
    done = rca("run", "what-happened-when", OUTAGE, cwd=outage.parent.parent)
    assert done.returncode == 0, done.stderr
    report = outage / "what-happened-when"
    page = (report / "what-happened-when.html").read_text()
    assert "No jump of a clock was found" in page
    assert not {path.stem for path in (report / "tables").iterdir()} & {"clock_jumps", "annotations"}
    assert "noted on events" not in page


def test_names_in_file_names_and_groups_neither_break_nor_reach_the_report(tmp_path):
    folder = Path(shutil.copytree(FRAUD, tmp_path / "fraud"))
    person = yaml.safe_load((folder / "incident.yaml").read_text())["people"][0]["name"]
    text = (folder / "incident.yaml").read_text()
    text = text.replace("model/after.skops", f"model/{person.replace(' ', '_')}.skops")
    (folder / "model" / "after.skops").rename(folder / "model" / f"{person.replace(' ', '_')}.skops")
    (folder / "incident.yaml").write_text(text)
    for name in ("window_before", "window_after"):
        rows = pd.read_parquet(folder / "model" / f"{name}.parquet")
        rows["customer_segment"] = rows["customer_segment"].replace("young", person)
        rows.to_parquet(folder / "model" / f"{name}.parquet")
    done = rca("report", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for file, text in texts(tmp_path / "reports" / "fraud-model-regression").items():
        assert person.lower() not in text.lower(), file
        assert person.replace(" ", "_").lower() not in text.lower(), file


def test_a_changed_export_makes_claims_stale_and_the_report_says_so(tmp_path):
    folder = Path(shutil.copytree(OUTAGE, tmp_path / "outage"))
    with (folder / "sources" / "statements.csv").open("a") as handle:
        handle.write("s99,2025-11-18T18:00:00Z,,,customer-traffic,statement,Added later,,\n")
    assert rca("run", "why", folder, cwd=tmp_path).returncode == 0
    report = tmp_path / "reports" / "bot-feature-file-outage" / "why"
    assert (
        "Evidence changed: sources/statements.csv: changed since it was recorded" in (report / "why.html").read_text()
    )
    assert (table(report, "findings")["stale"] != "").any()
