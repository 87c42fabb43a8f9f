"""``rca annotate`` as a person types it: what is written, what is said, and what is refused."""

import json

import pytest

from rca import annotations, incident, sources

ROWS = [
    "id,at,text,who",
    "a1,2025-11-18T11:28:00Z,HTTP errors above 1%,",
    "a2,2025-11-18T11:40:00Z,Paged Jane Doe,monitor",
    "a3,2025-11-18T14:24:00Z,HTTP errors resolved,",
]
SOURCE = """
people: [{name: Jane Doe, role: data engineer}]
sources:
  - {id: alerts, file: sources/alerts.csv, columns: {time: at, message: text, actor: who}, native_id: id,
     constant: {system: my-model, kind: alert}}
"""


@pytest.fixture
def folder(rca, tmp_path, monkeypatch):
    monkeypatch.delenv("RCA_ACTOR", raising=False)
    rca("new", "mine", "--in", tmp_path)
    path = tmp_path / "mine"
    (path / "sources").mkdir(exist_ok=True)
    (path / "sources" / "alerts.csv").write_text("\n".join(ROWS))
    kept = [
        line
        for line in (path / "incident.yaml").read_text().splitlines()
        if not line.startswith(("sources:", "people:"))
    ]
    (path / "incident.yaml").write_text("\n".join(kept) + SOURCE)
    return path


@pytest.fixture
def ids(folder):
    """The ids of the three events, in order of time."""
    return sources.read(incident.load(folder)).events["event_id"].tolist()


def standing(folder):
    return annotations.table(folder)[["event_id", "kind", "value", "author"]].values.tolist()


def test_each_kind_is_written_and_said(rca, folder, ids):
    code, out, err = rca("annotate", folder, ids[0][:6], "--tag", "customer-visible", "--by", "on-call engineer")
    assert (code, err) == (0, "")
    assert "tag 'customer-visible' by on-call engineer" in out
    assert f"on {ids[0]}  2025-11-18 11:28 UTC  my-model: HTTP errors above 1%  [alerts.csv row 1]" in out
    rca("annotate", folder, ids[1].upper(), "--note", "Two\nlines")
    rca("annotate", folder, ids[2][:12], "--link", ids[0][:8])
    rca("annotate", folder, ids[2], "--link", "https://example.org/postmortem")
    code, out, _ = rca("annotate", folder, ids[0], "--milestone", "detected", "--by", "scribe")
    assert code == 0
    assert "detected is not declared yet" in out
    assert standing(folder) == [
        [ids[0], "tag", "customer-visible", "on-call engineer"],
        [ids[1], "note", "Two\nlines", "not named"],
        [ids[2], "link", ids[0], "not named"],
        [ids[2], "link", "https://example.org/postmortem", "not named"],
        [ids[0], "milestone", "detected", "scribe"],
    ]


@pytest.mark.parametrize("place", ["alerts.csv row 2", "[alerts.csv row 2]"])
def test_the_place_that_the_timeline_shows_means_the_event(rca, folder, ids, place):
    assert "[alerts.csv row 2]" in rca("timeline", folder, "--search", "paged")[1]
    assert rca("annotate", folder, place, "--tag", "x")[0] == 0
    assert [row[0] for row in standing(folder)] == [ids[1]]


def test_a_milestone_that_is_declared_needs_no_remark(rca, folder, ids):
    text = (folder / "incident.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("milestones:")]
    (folder / "incident.yaml").write_text("\n".join([*lines, 'milestones: {detected: {time: "2025-11-18T11:28:00Z"}}']))
    assert "declared" not in rca("annotate", folder, ids[0], "--milestone", "detected")[1]


def test_without_an_event_the_annotations_are_listed(rca, folder, ids):
    code, out, _ = rca("annotate", folder)
    assert code == 0
    assert "nothing is annotated yet" in out
    assert f"rca timeline {folder}" in out
    rca("annotate", folder, ids[2], "--tag", "late", "--by", "SRE")
    rca("annotate", folder, ids[0], "--link", ids[2])
    annotations.add(folder, "f" * 16, note="of an earlier import")
    code, out, _ = rca("annotate", folder)
    head, *rows = out.splitlines()
    assert head.split() == ["Id", "When", "System", "Message", "Annotation", "Text", "By", "Remark"]
    assert ["errors above" in rows[0], "late" in rows[1], "not among the exports" in rows[2]] == [True] * 3
    assert "leads to 2025-11-18 14:24 UTC my-model" in rows[0]
    assert len(rows) == 3


def test_a_line_that_cannot_be_read_is_named_when_listing_and_checking(rca, folder, ids):
    rca("annotate", folder, ids[0], "--tag", "x")
    with (folder / "annotations.jsonl").open("a") as file:
        file.write('{"cut')
    code, out, err = rca("annotate", folder)
    assert code == 0
    assert "x" in out
    assert "annotations.jsonl: line 2: cannot be read" in err
    assert "annotations.jsonl: line 2: cannot be read" in rca("check", folder)[1]


def test_taking_back_adds_a_line_with_the_reason(rca, folder, ids):
    rca("annotate", folder, ids[0], "--tag", "wrong")
    rca("annotate", folder, ids[0], "--tag", "right")
    before = (folder / "annotations.jsonl").read_bytes()
    number = annotations.table(folder)["id"][0]
    code, out, _ = rca("annotate", folder, "--retract", number[:6], "--note", "Another event", "--by", "SRE")
    assert code == 0
    assert f"taken back: tag 'wrong' on event {ids[0]}" in out
    assert [row[2] for row in standing(folder)] == ["right"]
    after = (folder / "annotations.jsonl").read_bytes()
    assert after.startswith(before)
    last = json.loads(after.splitlines()[-1])
    assert (last["retracts"], last["reason"], last["author"]) == (number, "Another event", "SRE")


def test_what_cannot_be_taken_back_is_an_error(rca, folder, ids):
    rca("annotate", folder, ids[0], "--tag", "x")
    number = annotations.table(folder)["id"][0]
    before = (folder / "annotations.jsonl").read_bytes()
    near = ("0" if number[0] != "0" else "1") + number[1:]
    code, _, err = rca("annotate", folder, "--retract", near)
    assert code == 2
    assert f"did you mean '{number}'?" in err
    assert rca("annotate", folder, ids[1], "--retract", number)[0] == 2
    assert rca("annotate", folder, "--retract", number, "--tag", "y")[0] == 2
    assert (folder / "annotations.jsonl").read_bytes() == before
    assert rca("annotate", folder, ids[0], "--retract", number)[0] == 0
    assert rca("annotate", folder, "--retract", number)[0] == 2


def test_an_unknown_event_is_refused_with_the_nearest(rca, folder, ids):
    wrong = ids[0][:7] + ("0" if ids[0][7] != "0" else "1")
    code, _, err = rca("annotate", folder, wrong, "--tag", "x")
    assert code == 2
    assert f"EVENT_ID '{wrong}': no such event" in err
    assert err.split("did you mean")[1].splitlines()[1].startswith(f"rca:   {ids[0]}  2025-11-18 11:28 UTC")
    assert "alerts.csv row 3" in rca("annotate", folder, "alert.csv row 3", "--tag", "x")[2].splitlines()[2]
    code, _, err = rca("annotate", folder, "zzz", "--tag", "x")
    assert code == 2
    assert "did you mean" not in err
    code, _, err = rca("annotate", folder, ids[0], "--link", "zzz")
    assert code == 2
    assert "--link 'zzz': no such event" in err
    assert not (folder / "annotations.jsonl").exists()


def test_five_characters_of_an_id_are_too_few(rca, folder, ids):
    code, _, err = rca("annotate", folder, ids[0][:5], "--tag", "x")
    assert code == 2
    assert "an id needs 6 characters at least" in err
    assert ids[0] in err


def test_a_beginning_of_several_ids_is_refused_and_they_are_named(rca, folder):
    # Of 20,000 random ids two begin with the same 24 bits, but for a chance of exp(-20000**2 / 2**25) = 7e-6.
    rows = [f"b{n},2025-11-19T00:00:00Z,more,monitor" for n in range(20_000)]
    (folder / "sources" / "alerts.csv").write_text("\n".join([ROWS[0], *rows]))
    ids = sources.read(incident.load(folder)).events["event_id"]
    shared = ids.str[:6].value_counts()
    assert shared.iloc[0] > 1
    code, _, err = rca("annotate", folder, shared.index[0], "--tag", "x")
    assert code == 2
    assert f"EVENT_ID '{shared.index[0]}': fits several events" in err
    both = ids[ids.str.startswith(shared.index[0])].tolist()
    assert [line.split()[1] for line in err.splitlines()[1:]] == both
    assert rca("annotate", folder, both[1], "--tag", "x")[0] == 0
    assert standing(folder)[0][0] == both[1]


def test_files_of_one_name_have_places_with_their_folder(rca, folder):
    other = folder / "sources" / "more" / "alerts.csv"
    other.parent.mkdir()
    other.write_text("\n".join([ROWS[0], ROWS[2].replace("a2", "b2")]))
    text = (folder / "incident.yaml").read_text()
    (folder / "incident.yaml").write_text(
        text.replace("file: sources/alerts.csv", "file: [sources/alerts.csv, sources/more/alerts.csv]")
    )
    ids = sources.read(incident.load(folder)).events.query("locator.str.endswith('alerts.csv row 1')")["event_id"]
    assert len(ids) == 2
    code, _, err = rca("annotate", folder, "alerts.csv row 1", "--tag", "x")
    assert code == 2 and "did you mean" in err and "[sources/alerts.csv row 1]" in err, err
    assert rca("annotate", folder, "sources/more/alerts.csv row 1", "--tag", "x")[0] == 0
    assert rca("annotate", folder, ids.iloc[0], "--tag", "y")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ID"], "say --tag, --note, --milestone or --link"),
        (["ID", "--tag", "x", "--note", "y"], "2 are given"),
        (["ID", "--tag", ""], "0 are given"),
        (["ID", "--milestone", "detectd"], "did you mean 'detected'?"),
        (["--tag", "x"], "on which event?"),
        (["ID", "--link", "javascript:alert(1)"], "no such event"),
        (["ID", "--link", "ftp://example.org"], "neither a web address nor the id of an event"),
    ],
)
def test_what_is_missing_or_too_much_is_said(rca, folder, ids, arguments, message):
    code, _, err = rca("annotate", folder, *[ids[0] if part == "ID" else part for part in arguments])
    assert code == 2
    assert message in err
    assert not (folder / "annotations.jsonl").exists()


def test_an_incident_without_events_has_none_to_annotate(rca, tmp_path):
    rca("new", "empty", "--in", tmp_path)
    code, _, err = rca("annotate", tmp_path / "empty", "abcdef", "--tag", "x")
    assert code == 2
    assert "no such event" in err
    assert rca("annotate", tmp_path / "empty")[0] == 0


def test_the_help_has_an_example(rca):
    code, out, _ = rca("annotate", "--help")
    assert code == 0
    assert "Example:" in out
    assert "EVENT_ID" in out


def test_in_a_report_names_in_annotations_become_roles(rca, folder, ids):
    import rca as workbench

    rca("annotate", folder, ids[1], "--note", "jane.doe took it; ask Jane Doe", "--by", "Jane Doe")
    hidden = workbench.report.annotated(folder)
    assert not hidden.astype(str).apply(lambda column: column.str.contains("jane", case=False)).any(axis=None)
    assert hidden["by"][0].startswith("data engineer (P-")
    assert hidden["message"][0].startswith("Paged data engineer (P-")
    assert hidden["event_id"][0] == ids[1]
    named = workbench.report.annotated(folder, with_names=True)
    assert named["by"].tolist() == ["Jane Doe"]
    assert named["message"].tolist() == ["Paged Jane Doe"]
