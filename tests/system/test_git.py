"""Commits made with real git, exported in each form that people have, and read back."""

import os
import subprocess

import pytest

from rca.incident.model import Source
from rca.sources.formats import gitlog
from rca.sources.items import Head, Reject

MACHINE = "--format=%x00%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00"
WRITTEN, ENTERED = 1763460000, 1763464800  # 2025-11-18T10:00Z and 11:20Z, as epoch
LOOKALIKE = (
    "commit 0123456789012345678901234567890123456789\nAuthor: Nobody <no@body.example>\nDate:   now\n\n    indented"
)
COMMITS = [  # author, message, file
    ("José Nuñez (Ops) [x]", "Raise the limit\n\nBecause of\n\n" + LOOKALIKE, "src/model.py"),
    ('O\'Brien, "Pat" \\ ß 李', "Ctrl \x1e and \x1f in it", "with space\tand tab.txt"),
    ("A", "", "ünïcode\nname.csv"),
]


def git(folder, *arguments, when=None, author="A"):
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C.UTF-8"}
    written, entered = when or (WRITTEN, ENTERED)
    identity = {
        "GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": "author@example.org", "GIT_AUTHOR_DATE": f"{written} +0100",
        "GIT_COMMITTER_NAME": "Merge Bot", "GIT_COMMITTER_EMAIL": "bot@example.org", "GIT_COMMITTER_DATE": f"{entered} -0330",
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, env=os.environ | nobody | identity, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with the commits above and a merge; and its hashes, newest first."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "main")
    for number, (author, message, name) in enumerate(COMMITS):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(str(number), encoding="utf-8")
        git(folder, "add", "-A")
        when = WRITTEN + number, ENTERED + 60 * number
        git(folder, "commit", "-q", "--allow-empty-message", "-m", message, when=when, author=author)
    git(folder, "checkout", "-q", "-b", "side", "HEAD~1")
    (folder / "side.txt").write_text("side", encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Side", when=(WRITTEN, ENTERED + 100))
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--no-ff", "-m", "Join", "side", when=(WRITTEN, ENTERED + 200))
    return folder, git(folder, "rev-list", "--all", "--date-order").decode().split()


def exported(repository, tmp_path, *options):
    path = tmp_path / "commits.log"
    path.write_bytes(git(repository, "log", "--all", "--date-order", *options))
    return path


def rows(path, zone=None):
    time = {"zone": zone} if zone else {}
    return list(gitlog.FORMAT.read(path, Source(id="history", file="x", reader="gitlog", time=time)))


def by_hash(items):
    assert not [item for item in items if isinstance(item, Reject)]
    assert len({item.native_id for item in items}) == len(items)
    return {item.fields["ref"]: item.fields for item in items}


@pytest.mark.parametrize("files", [[], ["--name-status"]])
def test_the_machine_form_gives_every_commit_with_both_times_and_all_names(repository, tmp_path, files):
    folder, hashes = repository
    found = rows(exported(folder, tmp_path, MACHINE, *files))
    commits = by_hash(found)
    assert [item.fields["ref"] for item in found] == hashes
    ordered = sorted(commits.values(), key=lambda fields: fields["time"].ns)
    assert [fields["time"].ns // 10**9 - ENTERED for fields in ordered] == [0, 60, 100, 120, 200]
    for fields, (author, message, _) in zip([ordered[0], ordered[1], ordered[3]], COMMITS, strict=True):
        subject, _, body = message.partition("\n")
        assert fields["actor"] == author
        assert fields["message"] == (subject or "(no text)")
        assert fields["attributes"].get("body", "") == body.strip("\n")
        assert fields["attributes"]["committer"] == "Merge Bot" and fields["attributes"]["time_of"] == "commit"
    assert ordered[0]["attributes"]["author_time"] == "2025-11-18T11:00:00+01:00"
    assert ordered[0]["time"].text == "2025-11-18T07:50:00-03:30"
    merge = ordered[-1]
    assert merge["attributes"]["parents"] == git(folder, "rev-parse", "main^1", "main^2").decode().split()


def test_changed_files_are_named_as_git_quotes_them(repository, tmp_path):
    commits = by_hash(rows(exported(repository[0], tmp_path, MACHINE, "--name-status")))
    ordered = sorted(commits.values(), key=lambda fields: fields["time"].ns)
    assert ordered[0]["attributes"]["files"] == ["A src/model.py"]
    assert ordered[1]["attributes"]["files"] == ['A "with space\\tand tab.txt"']
    assert ordered[3]["attributes"]["files"] == ['A "\\303\\274n\\303\\257code\\nname.csv"']


DATES = ["default", "iso", "iso-strict", "rfc", "raw", "unix"]


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("form", ["fuller", "raw"])
@pytest.mark.parametrize(
    "more", [[], ["--name-status"], ["--decorate=full", "--stat"], ["-p"], ["-m", "--name-status"]]
)
def test_forms_for_people_give_the_same_commits(repository, tmp_path, form, date, more):
    folder, hashes = repository
    machine = by_hash(rows(exported(folder, tmp_path, MACHINE)))
    people = by_hash(rows(exported(folder, tmp_path, f"--pretty={form}", f"--date={date}", *more)))
    assert list(people) == hashes
    for number, fields in people.items():
        assert {name: fields[name] for name in ("actor", "message", "kind", "ref")} == {
            name: machine[number][name] for name in ("actor", "message", "kind", "ref")
        }
        assert fields["time"].ns == machine[number]["time"].ns
        assert fields["attributes"].get("body") == machine[number]["attributes"].get("body")
        if form == "raw":
            assert fields["attributes"].get("parents") == machine[number]["attributes"].get("parents")


@pytest.mark.parametrize("date", DATES)
def test_the_default_form_has_the_author_time_alone_and_says_so(repository, tmp_path, date):
    commits = by_hash(rows(exported(repository[0], tmp_path, f"--date={date}")))
    times = sorted(fields["time"].ns // 10**9 - WRITTEN for fields in commits.values())
    assert times == [0, 0, 0, 1, 2]
    assert {fields["attributes"]["time_of"] for fields in commits.values()} == {"author"}


def test_a_log_in_local_time_needs_a_zone(repository, tmp_path):
    path = exported(repository[0], tmp_path, "--date=format-local:%a %b %e %H:%M:%S %Y")
    assert all(isinstance(item, Reject) and "no time zone" in item.reason for item in rows(path))
    assert len(by_hash(rows(path, "UTC"))) == 5


@pytest.mark.parametrize("date", ["short", "relative", "human"])
def test_dates_that_lost_the_time_of_day_are_refused(repository, tmp_path, date):
    found = rows(exported(repository[0], tmp_path, f"--date={date}"))
    assert len(found) == 5
    assert all(isinstance(item, Reject) and "lost the exact time" in item.reason for item in found)


@pytest.mark.parametrize("options", [[MACHINE], ["--pretty=fuller"], ["--pretty=raw"], []])
def test_each_form_is_recognised(repository, tmp_path, options):
    data = exported(repository[0], tmp_path, *options).read_bytes()
    assert gitlog.recognise(Head("any", data.decode("utf-8", "replace"), data))


def test_a_repository_with_sha256_names_is_read(tmp_path):
    git(tmp_path, "init", "-q", "--object-format=sha256")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "One")
    (name,) = by_hash(rows(exported(tmp_path, tmp_path, MACHINE)))
    assert len(name) == 64
    assert list(by_hash(rows(exported(tmp_path, tmp_path, "--pretty=fuller")))) == [name]
