import io
import json
import pickle
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn import (
    calibration,
    compose,
    ensemble,
    impute,
    linear_model,
    neighbors,
    neural_network as nets,
    pipeline,
    preprocessing,
    svm,
    tree,
)

from rca import modelfile, report
from rca.errors import InputError, MissingFile, UnknownName, UnsafeInput
from rca.incident.model import IncidentFile, ModelPart

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(120, 4)), columns=["amount", "age", "velocity", "hour"])
Y = (X["amount"] + X["age"] > 0).astype(int)
MIXED = X.assign(country=np.where(X["hour"] > 0, "DE", "FR"))
ENCODE = compose.ColumnTransformer(
    [("c", preprocessing.OneHotEncoder(), ["country"])], remainder="passthrough", sparse_threshold=0
)
MODELS = [
    ensemble.HistGradientBoostingClassifier(max_iter=3, random_state=0),
    ensemble.HistGradientBoostingRegressor(max_iter=3, loss="poisson", random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=3, random_state=0),
    ensemble.RandomForestClassifier(3, random_state=0),
    ensemble.ExtraTreesRegressor(3, random_state=0),
    ensemble.AdaBoostClassifier(n_estimators=3, random_state=0),
    ensemble.BaggingClassifier(n_estimators=3, max_features=2, random_state=0),
    ensemble.IsolationForest(n_estimators=3, random_state=0),
    ensemble.StackingClassifier([("tree", tree.DecisionTreeClassifier(random_state=0))], cv=2),
    tree.DecisionTreeRegressor(random_state=0),
    linear_model.LogisticRegression(),
    linear_model.Ridge(),
    linear_model.SGDClassifier(loss="log_loss", random_state=0),
    svm.LinearSVC(random_state=0),
    calibration.CalibratedClassifierCV(linear_model.LogisticRegression()),
    pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler(), linear_model.LogisticRegression()),
    pipeline.make_pipeline(preprocessing.PolynomialFeatures(2), tree.DecisionTreeClassifier(random_state=0)),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_comes_back_the_same_without_trust_and_gives_the_same_file(model, tmp_path):
    model.fit(X, Y)
    path = modelfile.save(model, tmp_path / "one.skops")
    loaded = modelfile.load(path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert modelfile.save(loaded, tmp_path / "two.skops").read_bytes() == path.read_bytes()
    assert modelfile.fingerprint(loaded) == modelfile.fingerprint(model)


def test_a_pipeline_with_text_columns_and_forest_comes_back(tmp_path):
    model = pipeline.Pipeline([("encode", ENCODE), ("model", ensemble.RandomForestClassifier(3))]).fit(MIXED, Y)
    loaded = modelfile.load(modelfile.save(model, tmp_path / "model.skops"))
    np.testing.assert_array_equal(loaded.predict_proba(MIXED), model.predict_proba(MIXED))


def test_categorical_histogram_boosting_comes_back(tmp_path):
    table = MIXED.assign(country=MIXED["country"].astype("category"))
    model = ensemble.HistGradientBoostingClassifier(max_iter=3).fit(table, table["country"] == "DE")
    loaded = modelfile.load(modelfile.save(model, tmp_path / "model.skops"))
    np.testing.assert_array_equal(loaded.predict_proba(table), model.predict_proba(table))


def test_training_again_in_another_process_gives_the_same_file(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from sklearn.ensemble import GradientBoostingClassifier\n"
        "from rca import modelfile\n"
        "X = np.random.default_rng(1).normal(size=(90, 3))\n"
        "junk = [np.full(60, 3.7) for _ in range(int(sys.argv[2]))]\n"  # other addresses, other leftovers in memory
        "model = GradientBoostingClassifier(n_estimators=3, random_state=0).fit(X, X[:, 0] > 0)\n"
        "modelfile.save(model, sys.argv[1])\n"
    )
    for number in (1, 500):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / f"{number}.skops"), str(number)], check=True)
    assert (tmp_path / "1.skops").read_bytes() == (tmp_path / "500.skops").read_bytes()


def test_two_models_have_two_fingerprints():
    one, two = (linear_model.Ridge(alpha=alpha).fit(X, Y) for alpha in (1.0, 2.0))
    assert modelfile.fingerprint(one) != modelfile.fingerprint(two)


def test_a_model_that_skops_cannot_hold_has_a_fingerprint_but_no_file(tmp_path):
    model = ensemble.HistGradientBoostingClassifier(max_iter=2, early_stopping=True, scoring="roc_auc").fit(X, Y)
    with pytest.raises(InputError, match="HistGradientBoostingClassifier cannot be saved without pickle"):
        modelfile.save(model, tmp_path / "model.skops")
    assert len(modelfile.fingerprint(model)) == 64
    model = pipeline.make_pipeline(preprocessing.FunctionTransformer(lambda rows: rows), linear_model.Ridge()).fit(X, Y)
    with pytest.raises(InputError, match="Pipeline cannot be saved without pickle"):
        modelfile.save(model, tmp_path / "model.skops")
    assert not list(tmp_path.iterdir())


def test_the_suffix_says_what_the_file_is(tmp_path):
    with pytest.raises(InputError, match=r"saved as .skops, not .pkl"):
        modelfile.save(linear_model.Ridge(), tmp_path / "model.pkl")


class Bomb:
    """Opened as a pickle it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.skops", "model"])
@pytest.mark.parametrize("write", [pickle.dumps, lambda value: pickle.dumps(value, protocol=0)])
def test_a_pickle_is_refused_whatever_its_name_and_does_not_run(tmp_path, name, write):
    path = tmp_path / name
    path.write_bytes(write(Bomb(tmp_path / "ran")))
    with pytest.raises(InputError) as told:
        modelfile.load(path)
    assert not (tmp_path / "ran").exists()
    if name.endswith((".pkl", ".joblib")) or path.read_bytes()[:1] == b"\x80":
        assert isinstance(told.value, UnsafeInput)
        assert "is a pickle, which can run code when opened; save it with rca.modelfile.save" in str(told.value)


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_a_compressed_joblib_file_is_a_pickle_too_and_opens_with_trust(tmp_path, compress):
    joblib.dump({"a": 1}, tmp_path / "model", compress=compress)
    with pytest.raises(UnsafeInput, match="is a pickle"):
        modelfile.load(tmp_path / "model")
    assert modelfile.load(tmp_path / "model", trust=True) == {"a": 1}


def test_a_torch_archive_is_a_pickle(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02.")
    with pytest.raises(UnsafeInput, match="is a pickle"):
        modelfile.load(tmp_path / "model.pt")


def test_a_broken_pickle_with_trust_is_an_input_error(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04nonsense")
    with pytest.raises(InputError, match="the pickle cannot be opened"):
        modelfile.load(tmp_path / "model.pkl", trust=True)


def test_types_off_the_list_are_refused_by_name_and_open_with_trust(tmp_path):
    model = neighbors.KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)
    path = modelfile.save(model, tmp_path / "model.skops")
    with pytest.raises(UnsafeInput, match=r"sklearn\.neighbors\._kd_tree\.KDTree; say --trust"):
        modelfile.load(path)
    np.testing.assert_array_equal(modelfile.load(path, trust=True).predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("sklearn.datasets", "fetch_openml"), ("sklearn.externals", "joblib")],
)
def test_functions_are_not_let_in_by_their_package(tmp_path, module, name):
    model = pipeline.make_pipeline(preprocessing.FunctionTransformer(np.log1p), linear_model.Ridge()).fit(X.abs(), Y)
    edited = _edit(skops.io.dumps(model), lambda schema: _rename(schema, "log1p", module, name))
    (tmp_path / "model.skops").write_bytes(edited)
    with pytest.raises(UnsafeInput, match=rf"{module}\.{name}"):
        modelfile.load(tmp_path / "model.skops")


def _edit(data, change):
    source = zipfile.ZipFile(io.BytesIO(data))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, json.dumps(change(json.loads(content))) if name == "schema.json" else content)
    return out.getvalue()


def _rename(node, old, module, name):
    if isinstance(node, list):
        return [_rename(value, old, module, name) for value in node]
    if not isinstance(node, dict):
        return node
    node = {key: _rename(value, old, module, name) for key, value in node.items()}
    for place in (node, node.get("content")):
        if isinstance(place, dict) and (place.get("function") == old or place.get("__class__") == old):
            place |= {"function": name, "module_path": module} if "function" in place else {}
            place |= {"__class__": name, "__module__": module} if place.get("__class__") == old else {}
    return node


def _broken_tree(field, value, where):
    """A file of a forest in which one index of one node points elsewhere."""
    model = ensemble.RandomForestClassifier(2, random_state=0).fit(X, Y)
    return _with_array(skops.io.dumps(model), "left_child", lambda nodes: nodes[field].__setitem__(where(nodes), value))


def _with_array(data, field, change):
    source = zipfile.ZipFile(io.BytesIO(data))
    out, done = io.BytesIO(), False
    with zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            array = np.load(io.BytesIO(content)) if name.endswith(".npy") else None
            if array is not None and array.dtype.names and field in array.dtype.names and not done:
                change(array)
                buffer = io.BytesIO()
                np.save(buffer, array)
                content, done = buffer.getvalue(), True
            target.writestr(name, content)
    assert done
    return out.getvalue()


def _root(nodes):
    return 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_child", 10**6),
        ("right_child", -5),
        ("left_child", 0),
        ("feature", 4),
        ("feature", 10**7),
        ("feature", -3),
    ],
)
def test_a_tree_that_points_outside_itself_is_refused(tmp_path, field, value):
    (tmp_path / "model.skops").write_bytes(_broken_tree(field, value, _root))
    with pytest.raises(UnsafeInput, match="a tree in it points outside itself"):
        modelfile.load(tmp_path / "model.skops")


@pytest.mark.parametrize(("field", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 4), ("bitset_idx", 3)])
def test_a_histogram_tree_that_points_outside_itself_is_refused(tmp_path, field, value):
    table = X.assign(amount=(X["amount"] > 0).astype(float))
    model = ensemble.HistGradientBoostingClassifier(max_iter=1, categorical_features=["amount"], max_leaf_nodes=2)
    model.fit(table, table["amount"])

    def change(nodes):
        nodes[field][0] = value

    (tmp_path / "model.skops").write_bytes(_with_array(skops.io.dumps(model), "feature_idx", change))
    with pytest.raises(UnsafeInput, match="a tree in it points outside itself"):
        modelfile.load(tmp_path / "model.skops")


def test_a_tree_without_nodes_is_refused(tmp_path):
    def claim(node):
        if isinstance(node, list):
            return [claim(value) for value in node]
        if not isinstance(node, dict):
            return node
        return {k: v | {"content": "0"} if k == "node_count" else claim(v) for k, v in node.items()}

    data = skops.io.dumps(tree.DecisionTreeClassifier().fit(X, Y))
    (tmp_path / "model.skops").write_bytes(_edit(data, claim))
    with pytest.raises(UnsafeInput, match="points outside itself"):
        modelfile.load(tmp_path / "model.skops")


def test_a_forest_that_takes_fewer_columns_than_its_trees_is_refused(tmp_path):
    model = ensemble.RandomForestClassifier(3, random_state=0).fit(X.to_numpy(), Y)
    model.n_features_in_ = 1
    with pytest.raises(UnsafeInput, match="points outside itself"):
        modelfile.load(modelfile.save(model, tmp_path / "model.skops"))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"{}")
        archive.writestr("1.npy", bytes(2**27))
    with pytest.raises(UnsafeInput, match="more than 200 times its size"):
        modelfile.load(tmp_path / "model.skops")


@pytest.mark.parametrize(
    "schema", ["nonsense", "[]", "{}", '{"protocol": 99}', '{"protocol": 0, "__loader__": "NoNode"}', "[" * 100_000]
)
def test_a_damaged_file_is_an_input_error(tmp_path, schema):
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        archive.writestr("schema.json", schema)
    with pytest.raises(InputError, match="damaged or crafted skops file"):
        modelfile.load(tmp_path / "model.skops")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 not a zip"])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(InputError, match=r"no model file|damaged archive"):
        modelfile.load(tmp_path / "model.skops")


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"none.skops: no such file"):
        modelfile.load(tmp_path / "none.skops")


def _other_version(path):
    data = modelfile.save(linear_model.Ridge().fit(X, Y), path).read_bytes()

    def change(schema):
        schema["content"]["content"]["_sklearn_version"]["content"] = '"1.2.0"'
        return schema

    path.write_bytes(_edit(data, change))


def test_another_version_of_scikit_learn_is_said_once(tmp_path):
    _other_version(tmp_path / "model.skops")
    with pytest.warns(UserWarning, match=r"model.skops was saved with scikit-learn 1.2.0; .* is installed") as told:
        modelfile.load(tmp_path / "model.skops")
    assert len(told) == 1


@pytest.mark.system
def test_xgboost_and_lightgbm_use_their_own_formats(tmp_path):
    import lightgbm
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=3).fit(X, Y)
    loaded = modelfile.load(modelfile.save(model, tmp_path / "model.ubj"))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, Y)
    loaded = modelfile.load(modelfile.save(model, tmp_path / "model.txt"))
    np.testing.assert_allclose(loaded.predict(X), model.predict_proba(X)[:, 1])


@dataclass
class Inc:
    folder: Path
    file: IncidentFile


def incident(folder, **part):
    model = ModelPart(**part) if part else None
    return Inc(folder, IncidentFile.model_construct(model=model))


@pytest.fixture
def folder(tmp_path):
    for name, alpha in (("before", 1.0), ("after", 2.0)):
        modelfile.save(linear_model.Ridge(alpha=alpha).fit(X, Y), tmp_path / f"{name}.skops")
    table = X.assign(fraud=Y, blocked=Y, customer=range(len(X)))
    table.to_parquet(tmp_path / "holdout.parquet")
    table.to_parquet(tmp_path / "window.parquet")
    return tmp_path


PART = {
    "before": "before.skops", "after": "after.skops", "holdout": "holdout.parquet",
    "window_before": "window.parquet", "window_after": "window.parquet", "label": "fraud", "decision": "blocked",
}  # fmt: skip


def test_evidence_has_models_tables_features_and_says_what_is_missing(folder):
    found = modelfile.evidence(incident(folder, **PART))
    assert found.features == tuple(X.columns)
    assert found.before.alpha == 1.0 and found.after.alpha == 2.0
    assert len(found.holdout) == len(found.window_after) == len(X)
    assert (found.label, found.decision, found.user) == ("fraud", "blocked", "")
    assert found.missing == (
        "incident.yaml names no table model.training_before.",
        "incident.yaml names no prediction column (model.prediction).",
        "incident.yaml names no user column (model.user).",
        "incident.yaml names no group column (model.group).",
        "incident.yaml names no time column (model.time).",
    )
    assert found.notes == ()


def test_an_incident_without_a_model_has_no_evidence_and_says_so(tmp_path):
    found = modelfile.evidence(incident(tmp_path))
    assert found.before is None and found.holdout is None and "no model" in found.missing[0]


def test_a_missing_part_is_a_sentence_not_an_error(folder):
    found = modelfile.evidence(incident(folder, after="after.skops", label="fraud", window_after="window.parquet"))
    assert found.before is None
    assert "incident.yaml names no model before the incident (model.before)." in found.missing
    assert "incident.yaml names no table model.holdout." in found.missing


def test_a_column_that_only_one_table_has_is_said(folder):
    X.to_parquet(folder / "window_after.parquet")
    found = modelfile.evidence(incident(folder, **(PART | {"window_after": "window_after.parquet"})))
    assert "model.window_after without the label column 'fraud'." in found.missing
    X.assign(fraud=Y).to_parquet(folder / "holdout.parquet")
    assert not any("holdout" in sentence for sentence in modelfile.evidence(incident(folder, **PART)).missing)


def test_rows_of_the_training_are_read_and_need_features_and_label_only(folder):
    X.assign(fraud=Y).to_parquet(folder / "training.parquet")
    found = modelfile.evidence(incident(folder, **(PART | {"training_before": "training.parquet"})))
    assert len(found.training_before) == len(X) and not any("training" in sentence for sentence in found.missing)
    X.to_parquet(folder / "training.parquet")
    found = modelfile.evidence(incident(folder, **(PART | {"training_before": "training.parquet"})))
    assert "model.training_before without the label column 'fraud'." in found.missing


def test_a_report_says_why_training_noise_is_not_measured(folder):
    table = X.assign(fraud=Y)
    table.loc[0, "fraud"] = np.nan
    table.to_parquet(folder / "training.parquet")
    part = PART | {"training_before": "training.parquet"}
    train, why = report.refits(modelfile.evidence(incident(folder, **part)))
    assert why == "" and train(np.random.default_rng(0)).n_features_in_ == X.shape[1]
    train, why = report.refits(modelfile.evidence(incident(folder, **PART)))
    assert train is None and "needs the model before, and its training rows" in why
    found = replace(modelfile.evidence(incident(folder, **part)), before=object())
    train, why = report.refits(found)
    assert train is None and why.startswith("Training noise is not measured: a object cannot be cloned")


def test_columns_that_no_table_has_are_refused_with_the_nearest_name(folder):
    with pytest.raises(UnknownName, match=r"model.label: no table has a column 'froud'; did you mean 'fraud'"):
        modelfile.evidence(incident(folder, **(PART | {"label": "froud"})))
    X.rename(columns={"amount": "amout"}).to_parquet(folder / "holdout.parquet")
    with pytest.raises(UnknownName, match=r"model.holdout: no feature column 'amount'; did you mean 'amout'"):
        modelfile.evidence(incident(folder, **PART))


def test_models_with_other_features_are_refused_by_name(folder):
    modelfile.save(linear_model.Ridge().fit(X.drop(columns="hour"), Y), folder / "after.skops")
    with pytest.raises(InputError, match="name different features; only in model before: hour"):
        modelfile.evidence(incident(folder, **PART))
    modelfile.save(linear_model.Ridge().fit(X[X.columns[::-1]], Y), folder / "after.skops")
    with pytest.raises(InputError, match="the same features in another order"):
        modelfile.evidence(incident(folder, **PART))
    with pytest.raises(InputError, match=r"only in incident.yaml: model.features: colour"):
        modelfile.evidence(incident(folder, **(PART | {"after": "", "features": [*X.columns, "colour"]})))


def test_an_empty_table_is_refused(folder):
    X.head(0).to_parquet(folder / "holdout.parquet")
    with pytest.raises(InputError, match=r"model.holdout: the table has no rows"):
        modelfile.evidence(incident(folder, **PART))


def test_paths_cannot_leave_the_folder(folder):
    for name in ("before", "holdout"):
        with pytest.raises(UnsafeInput, match="leaves the incident folder"):
            modelfile.evidence(incident(folder, **(PART | {name: "../secret"})))


def test_the_note_on_versions_reaches_the_evidence(folder):
    _other_version(folder / "before.skops")
    assert "saved with scikit-learn 1.2.0" in modelfile.evidence(incident(folder, **PART)).notes[0]


def test_models_without_names_take_the_columns_that_are_left(folder):
    for name in ("before", "after"):
        modelfile.save(nets.MLPRegressor(max_iter=1000, tol=1).fit(X.to_numpy(), Y), folder / f"{name}.skops")
    assert modelfile.evidence(incident(folder, **PART, user="customer")).features == tuple(X.columns)
