import datetime as dt
import json
import math

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from rca.errors import InputError, MissingFile, UnsafeInput
from rca.systems import changes
from rca.systems.changes.settings import reader

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.text(alphabet="ab\n", max_size=300)
)
NAMES = st.text(alphabet="abc", min_size=1, max_size=2)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
VERSIONS = st.dictionaries(NAMES, NESTED, max_size=4)
OPPOSITE = {"added": "removed", "removed": "added"}


def rows(before, after):
    return changes.diff(before, after)[["part", "name", "before", "after", "change"]].values.tolist()


def sentences(before, after):
    return changes.diff(before, after)["sentence"].tolist()


@given(VERSIONS)
def test_nothing_differs_from_itself(version):
    found = changes.diff(version, version)
    assert found.empty
    assert found.columns.tolist() == ["part", "name", "before", "after", "change", "excerpt", "sentence"]


@given(VERSIONS, VERSIONS)
def test_the_other_way_round_is_the_same_the_other_way_round(one, other):
    turned = [[part, name, old, new, OPPOSITE.get(change, change)] for part, name, new, old, change in rows(other, one)]
    assert sorted(rows(one, other)) == sorted(turned)


def flat(version, path=""):
    """Every value by its path, the slow way."""
    if not isinstance(version, dict):
        return {path: version}
    return {
        key: value for name, item in version.items() for key, value in flat(item, f"{path}.{name}".strip(".")).items()
    }


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(alphabet="xy", max_size=3)),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, PLAIN, max_size=4), st.dictionaries(NAMES, PLAIN, max_size=4))
def test_every_difference_of_plain_values_is_there_once(one, other):
    old, new = flat(one), flat(other)
    same = {name for name in old.keys() & new.keys() if type(old[name]) is type(new[name]) and old[name] == new[name]}
    found = changes.diff(one, other)
    assert sorted(found["name"]) == sorted((old.keys() | new.keys()) - same)
    for name, change in zip(found["name"], found["change"], strict=True):
        assert (change == "added") == (name not in old)
        assert (change == "removed") == (name not in new)


@given(
    st.lists(st.text(alphabet="xy", max_size=2), max_size=6), st.lists(st.text(alphabet="xy", max_size=2), max_size=6)
)
def test_lists_are_the_same_only_if_nothing_is_said(one, other):
    assert (one == other) == changes.diff({"features": one}, {"features": other}).empty


def test_parts_are_told_by_the_words_of_the_path():
    before = {
        "params": {"max_depth": 6, "decision_threshold": 0.5, "train_data": "s3://a"},
        "commit": "c1cba9e", "dataset": {"digest": "aa", "version": 3}, "features": ["age"], "steps": ["clean"],
        "packages": ["numpy==1.26.4"], "system_prompt": "Be kind.", "timeout": 3, "tags": {"team": "a"},
        "metrics": {"threshold_f1": 0.5},
    }  # fmt: skip
    after = {
        "params": {"max_depth": 8, "decision_threshold": 0.7, "train_data": "s3://b"},
        "commit": "f7cb29d", "dataset": {"digest": "bb", "version": 4}, "features": ["age", "sex"], "steps": [],
        "packages": ["numpy==2.0.0"], "system_prompt": "Be brief.", "timeout": 4, "tags": {"team": "b"},
        "metrics": {"threshold_f1": 0.6},
    }  # fmt: skip
    assert rows(before, after) == [
        ["parameter", "params.max_depth", "6", "8", "changed"],
        ["code", "commit", "c1cba9e", "f7cb29d", "changed"],
        ["data", "dataset.digest", "aa", "bb", "changed"],
        ["data", "dataset.version", "3", "4", "changed"],
        ["data", "params.train_data", "s3://a", "s3://b", "changed"],
        ["feature", "features[sex]", "", "sex", "added"],
        ["step", "steps[clean]", "clean", "", "removed"],
        ["package", "packages.numpy", "1.26.4", "2.0.0", "changed"],
        ["prompt", "system_prompt", "Be kind.", "Be brief.", "changed"],
        ["threshold", "params.decision_threshold", "0.5", "0.7", "changed"],
        ["setting", "timeout", "3", "4", "changed"],
        ["tag", "tags.team", "a", "b", "changed"],
        ["metric", "metrics.threshold_f1", "0.5", "0.6", "changed"],
    ]


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (0.3, 0.1 + 0.2, False), (1, 1.0, False), (math.nan, math.nan, False), (0.3, 0.3 + 1e-15, True),
        (2**60, 2**60 + 1, True), (1, True, True), ("1", 1, True), (None, "", True), (math.inf, -math.inf, True),
        (10**400, 1.5, True), (0.1, 0.10000000149011612, True), ("1.10", "1.1", True), (0.0, -0.0, False),
    ],
)  # fmt: skip
def test_what_counts_as_the_same_value(one, other, differ):
    assert (not changes.diff({"x": one}, {"x": other}).empty) == differ


def test_a_missing_value_is_told_from_an_empty_one():
    assert sentences({"seed": None}, {}) == ["setting seed was null, and is missing after"]
    assert sentences({}, {"seed": ""}) == ['setting seed is "", and is missing before']
    assert sentences({"port": "80"}, {"port": 80}) == ['setting port went from "80" (text) to 80 (number)']


def test_swapped_columns_are_a_difference_of_their_own():
    before = {"features": ["age", "income", "city", "sum"]}
    found = changes.diff(before, {"features": ["age", "sum", "city", "income"]})
    assert found["change"].tolist() == ["reordered"]
    assert found["sentence"].tolist() == ["feature features: another order, income and sum are swapped"]
    found = changes.diff(before, {"features": ["new", "city", "income", "age"]})
    assert sorted(zip(found["name"], found["change"], strict=True)) == [
        ("features", "reordered"), ("features[new]", "added"), ("features[sum]", "removed"),
    ]  # fmt: skip
    assert rows({"features": ["a", "a", "b"]}, {"features": ["a", "b"]}) == [
        ["feature", "features[a]", "2 times", "once", "changed"]
    ]


def test_steps_with_names_go_by_their_names_and_their_order():
    before = {"pipeline": [{"name": "load"}, {"name": "scale", "with": "mean"}, {"name": "fit", "trees": 5}]}
    after = {"pipeline": [{"name": "scale", "with": "max"}, {"name": "load"}, {"name": "fit", "trees": 5}]}
    assert [row[1:] for row in rows(before, after)] == [
        ["pipeline", '["load", "scale", "fit"]', '["scale", "load", "fit"]', "reordered"],
        ["pipeline.scale.with", "mean", "max", "changed"],
    ]


def test_a_run_of_mlflow_as_its_api_writes_it():
    def run(depth, digest):
        return {
            "run": {
                "info": {"run_name": "nightly"},
                "data": {
                    "params": [{"key": "depth", "value": depth}, {"key": "rate", "value": "0.1"}],
                    "metrics": [{"key": "auc", "value": 0.9, "timestamp": 1, "step": 0}],
                    "tags": [{"key": "mlflow.source.git.commit", "value": digest * 20}],
                },
                "inputs": {"dataset_inputs": [{"tags": [], "dataset": {"name": "sales", "digest": digest}}]},
            }
        }

    assert rows(run("6", "ab"), run("8", "cd")) == [
        ["parameter", "params.depth", "6", "8", "changed"],
        ["code", "tags.mlflow.source.git.commit", "ab" * 20, "cd" * 20, "changed"],
        ["data", "datasets.sales.digest", "ab", "cd", "changed"],
    ]


def test_an_event_is_compared_by_its_attributes():
    def event(depth):
        attributes = {"params": {"depth": depth}, "datasets": [{"name": "sales", "digest": "ab"}]}
        return pd.Series({"time": pd.Timestamp("2025-03-01T00:00Z"), "ref": "r", "attributes": json.dumps(attributes)})

    assert rows(event("6"), event("8")) == [["parameter", "params.depth", "6", "8", "changed"]]


def test_settings_of_wandb_stand_without_their_wrapping():
    before = {"config": {"lr": {"desc": None, "value": 0.1}, "net": {"value": {"width": 8}}}}
    after = {"config": {"lr": {"desc": None, "value": 0.2}, "net": {"value": {"width": 16}}}}
    assert [row[:4] for row in rows(before, after)] == [
        ["parameter", "config.lr", "0.1", "0.2"],
        ["parameter", "config.net.width", "8", "16"],
    ]


def test_files_of_each_kind(tmp_path):
    def pair(name, before, after):
        paths = [tmp_path / side / name for side in ("before", "after")]
        for path, text in zip(paths, (before, after), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return rows(*paths)

    assert pair("a.json", '{"x": 1}', '{"x": 2}') == [["setting", "x", "1", "2", "changed"]]
    assert pair("a.yaml", "threshold: 0.5", "threshold: 0.7") == [["threshold", "threshold", "0.5", "0.7", "changed"]]
    assert pair("a.toml", "[tool]\nx = 1", "[tool]\nx = 2") == [["setting", "tool.x", "1", "2", "changed"]]
    assert pair(
        "requirements.txt", "Scikit_Learn==1.4.0 ; python_version>'3'\nrich\n", "scikit-learn==1.5.0  # new\nrich>=13\n"
    ) == [
        ["package", "packages.rich", "any version", ">=13", "changed"],
        ["package", "packages.scikit-learn", "1.4.0", "1.5.0", "changed"],
    ]
    conda = "dependencies:\n  - python=3.11\n  - pip:\n    - mlflow==2.9.0\n"
    assert pair("conda.yaml", conda, conda.replace("2.9.0", "3.1.0")) == [
        ["package", "dependencies.pip.mlflow", "2.9.0", "3.1.0", "changed"]
    ]
    assert pair("prompt.txt", "Be kind.", "Be brief.")[0][:2] == ["prompt", "prompt"]


def test_a_long_text_is_shown_as_an_excerpt(tmp_path):
    lines = [f"Rule {number}: answer in one sentence." for number in range(50)]
    after = [*lines[:20], "Rule 20: answer at length.", *lines[21:]]
    found = changes.diff({"prompt": "\n".join(lines)}, {"prompt": "\n".join(after)})
    assert found["excerpt"][0].splitlines() == [
        "@@ -20,3 +20,3 @@", f" {lines[19]}", f"-{lines[20]}", "+Rule 20: answer at length.", f" {lines[21]}",
    ]  # fmt: skip
    assert found["sentence"][0] == "prompt prompt: text differs, see the excerpt"
    assert len(found["before"][0]) < 250
    huge = "\n".join(map(str, range(100_000)))
    found = changes.diff({"prompt": huge}, {"prompt": huge.replace("\n70000\n", "\nx\n")})
    assert found["excerpt"][0].splitlines() == ["@@ line 70001 @@", "-70000", "+x", "… more than is compared"]


def test_lines_that_name_no_package_do_not_hide_those_that_do(tmp_path):
    before = "numpy==1.2\nPandas>=2 ; python_version>'3'\n-r other.txt\ngit+https://host/x@abc\n"
    after = "numpy==1.10\npandas >= 2\n-r other.txt\ngit+https://host/x@abd\n"
    for name, text in (("requirements.txt", before), ("requirements-b.txt", after)):
        (tmp_path / name).write_text(text)
    assert rows(tmp_path / "requirements.txt", tmp_path / "requirements-b.txt") == [
        ["package", "packages.numpy", "1.2", "1.10", "changed"],
        ["package", "packages[git+https://host/x@abc]", "git+https://host/x@abc", "", "removed"],
        ["package", "packages[git+https://host/x@abd]", "", "git+https://host/x@abd", "added"],
    ]
    assert rows({"packages": ["a==1", "a==2", "-e ."]}, {"packages": ["-e .", "a==3", "a==1"]}) == [
        ["package", "packages.a", "1, 2", "1, 3", "changed"]
    ]
    assert rows({"packages": ["-e ."]}, {"packages": ["-e .", "-e ."]})[0][1] == "packages[-e .]"
    assert rows({"pip": ["a" + " " * 100_000 + "b", "c==1"]}, {"pip": ["c==2"]})[0][1:] == [
        "pip.c",
        "1",
        "2",
        "changed",
    ]
    secret = rows({"packages": ["a", "-i https://me:hunter2@host/x"]}, {"packages": ["a"]})
    assert "hunter2" not in str(secret) and "-i https://me:***@host/x" in str(secret)


def test_pip_and_what_pip_installs_do_not_hide_each_other():
    one = {"dependencies": ["pip=23", {"pip": ["a==1"]}]}
    assert rows(one, {"dependencies": ["pip=24", {"pip": ["a==2"]}]}) == [
        ["package", "dependencies.pip.a", "1", "2", "changed"],
        ["package", "dependencies[pip=23]", "pip=23", "", "removed"],
        ["package", "dependencies[pip=24]", "", "pip=24", "added"],
    ]
    twice = {"dependencies": ["a", {"pip": ["a==1"]}, {"pip": ["b==1"]}]}
    assert len(rows(twice, {"dependencies": ["a", {"pip": ["a==2"]}, {"pip": ["b==1"]}]})) == 1


BERLIN = pd.Timestamp("2025-03-01T10:00", tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (BERLIN, BERLIN.tz_convert("UTC"), False), (BERLIN, BERLIN.to_pydatetime(), False),
        (BERLIN, BERLIN + pd.Timedelta("1ns"), True), (BERLIN, BERLIN.tz_localize(None), True),
        (BERLIN, "2025-03-01T09:00Z", False), ("2025-03-01T10:00+01:00", "2025-03-01 09:00:00.000Z", False),
        ("2025-03-01T10:00+01:00", "2025-03-01T10:00Z", True), ("2025-03-01T10:00", "2025-03-01 10:00", True),
        ("2025-03-01", "2025-03-01T00:00Z", True), ("2025-03-01T10:00Z, or later", "2025-03-01T10:00+00:00", True),
        (dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1))), BERLIN, True),
    ],
)  # fmt: skip
def test_one_instant_in_two_zones_is_no_difference(one, other, differ):
    assert (not changes.diff({"since": one}, {"since": other}).empty) == differ
    assert (not changes.diff({"since": other}, {"since": one}).empty) == differ


def test_a_key_that_a_json_file_repeats_is_refused_with_its_place(tmp_path):
    path = tmp_path / "a.json"
    for text, said in (
        ('{"a": 1, "a": 2}', "top level: duplicate key 'a'"),
        ('{"m": [0, {"x": {"b": 1, "c": 2, "c": 2}}]}', r"m\[1\]\.x: duplicate key 'c'"),
        ('{"p": {"a": 1, "a": [{"q": 1}]}, "z": 1}', "p: duplicate key 'a'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=rf"a\.json: {said}$"):
            changes.diff(path, {})
    path.write_text('[{"a": 1}, {"a": 2}]')
    assert len(rows(path, {})) == 2


def test_a_text_that_repeats_a_key_stays_text():
    assert rows({"x": '{"a": 1, "a": 2}'}, {"x": '{"a": 3, "a": 2}'}) == [
        ["setting", "x", '{"a": 1, "a": 2}', '{"a": 3, "a": 2}', "changed"]
    ]
    events = [pd.Series({"system": "x", "ref": "1", "attributes": text}) for text in ('{"a": 1, "a": 2}', '{"a": 2}')]
    assert [row[1:4] for row in rows(*events)] == [["a", "", "2"], ["attributes", '{"a": 1, "a": 2}', ""]]
    events = [pd.Series({"system": "x", "ref": "1", "attributes": value}) for value in ('[{"k": 1}]', float("nan"))]
    assert [row[1:4] for row in rows(*events)] == [["attributes[0].k", "1", ""]]


def test_a_mapping_that_wraps_itself_without_end_is_refused():
    wrapped = {}
    wrapped["value"] = wrapped
    with pytest.raises(UnsafeInput, match="levels"):
        changes.diff({"x": wrapped}, {})


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "weights.pt", "data.parquet"])
def test_what_is_no_plain_data_is_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsafeInput, match="only plain data"):
        changes.diff(tmp_path / name, {})


def test_bad_input_is_refused_by_name(tmp_path):
    with pytest.raises(MissingFile):
        changes.diff(tmp_path / "none.json", {})
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad\.json: cannot be read"):
        changes.diff(tmp_path / "bad.json", {})
    (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(UnsafeInput, match="levels"):
        changes.diff(tmp_path / "deep.json", {})
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="no UTF-8 text"):
        changes.diff(tmp_path / "bytes.txt", {})
    deep = {}
    for _ in range(5000):
        deep = {"a": deep, "b": 1}
    with pytest.raises(UnsafeInput, match="after: more than 40 levels"):
        changes.diff({}, deep)
    with pytest.raises(UnsafeInput, match="100,000 values"):
        changes.diff({"x": list(range(200_000))}, {})
    with pytest.raises(InputError, match="before: top level: a key occurs twice"):
        changes.diff({1: 0, "1": 0}, {})
    with pytest.raises(InputError, match=r"before: model: object is no plain value"):
        changes.diff({"model": object()}, {})
    with pytest.raises(InputError, match="found int; wanted a mapping"):
        changes.diff(3, {})


def written(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


SETTINGS = {
    ".env": ("# db\nPOOL=50\nexport MODE=fast # quick\nSAME='a=b'\n", "POOL=5\nSAME=\"a=b\"\nNEW=\n", "POOL", "MODE", "NEW"),
    "app.properties": ("! db\ndb.pool = 50\nmode: fast\nsame a\\\n  b\n", "db.pool=5\nsame=ab\nnew=\n", "db.pool", "mode", "new"),
    "app.ini": ("[db]\nPool = 50\nmode = fast\n[x]\nsame=1\n", "[x]\nsame : 1\n[db]\nPool=5\nnew=\n", "db.Pool", "db.mode", "db.new"),
    "bare.ini": ("pool=50\nmode=fast\n", "pool=5\nnew=\n", "pool", "mode", "new"),
    "app.toml": ("pool = '50'\nmode = 'fast'\n", "pool = '5'\nnew = ''\n", "pool", "mode", "new"),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_files_of_settings_differ_by_key(tmp_path, name):
    before, after, pool, mode, new = SETTINGS[name]
    found = rows(written(tmp_path / "1", name, before), written(tmp_path / "2", name, after))
    assert sorted(row[1:] for row in found) == sorted(
        [[mode, "fast", "", "removed"], [new, "", '""', "added"], [pool, "50", "5", "changed"]]
    )


def test_the_values_of_secrets_are_not_printed(tmp_path):
    key = '"-----BEGIN-----\n%s\n-----END-----"'
    before = f"DB_PASSWORD=hunter2\nURL=db://me:swordfish@host/x\nPRIVATE_KEY={key % ('k' * 200)}\nMAX_TOKENS=512\nauthToken=12345\n"
    after = before.replace("hunter2", "hunter3").replace("swordfish", "sworddance").replace("kkk", "lll")
    after = after.replace("512", "256").replace("12345", "")
    found = changes.diff(written(tmp_path, "a.env", before), written(tmp_path, "b.env", after))
    assert found.set_index("name")[["before", "after"]].T.to_dict("list") == {
        "DB_PASSWORD": ["***", "***"], "URL": ["db://me:***@host/x"] * 2, "PRIVATE_KEY": ["***", "***"],
        "MAX_TOKENS": ["512", "256"], "authToken": ["***", ""],
    }  # fmt: skip
    assert not any(word in found.to_string() for word in ("hunter", "sword", "kkk", "lll", "12345"))
    assert "setting DB_PASSWORD changed (***); secrets are not shown" in found["sentence"].tolist()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (".env", "A=1\n= topsecret\n", "line 2 is not of the form KEY=VALUE"),
        ("a.ini", "[a]\nx=topsecret\n[a]\n", r"cannot be read \(DuplicateSection, line 3\)"),
        ("a.ini", "x=1\nx=topsecret\n", r"cannot be read \(DuplicateOption, line 2\)"),
        ("a.properties", "x=1\n=topsecret\n", "line without a key"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_is_an_error_without_its_content(tmp_path, name, text, said):
    with pytest.raises(InputError, match=said) as caught:
        changes.diff(written(tmp_path, name, text), {})
    assert "topsecret" not in str(caught.value)


@given(st.dictionaries(st.text("aB_1", min_size=1), st.text("xyz.=:/ '\"é", max_size=8)))
def test_settings_are_read_as_they_were_written(values):
    text = "".join(f'{key}="{value}"\n' for key, value in values.items() if '"' not in value)
    assert reader(".env")(text, ".env") == {key: value for key, value in values.items() if '"' not in value}
