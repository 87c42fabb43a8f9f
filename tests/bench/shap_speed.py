"""How long do exact SHAP values of tree models take, beside shap's TreeExplainer? CPU time a row, one thread. Prints tables.

30 features; RandomForest of 100 trees of depth 12, HistGradientBoosting of 200, lightgbm and xgboost of 500 trees of
depth 6, each trained on 20,000 rows. The time of a row is marginal: the difference between two numbers of rows, median of
the repetitions. What comes once (reading the trees, compilation, tables) is apart. shap is given few rows, and a tenth of
the background, its cost being proportional to rows times background. Two threads are in rows of their own, by wall time:
they mean something on an idle machine only.

    python tests/bench/shap_speed.py --rows 50000
    python tests/bench/shap_speed.py --families HGB xgboost --rows 20000 --repeat 5
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import ensemble

FEATURES = 30
Values = Callable[[int], Any]


def make(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and classes: a few strong features, an interaction, a wave and many weak ones."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, FEATURES))
    z = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(2 * X[:, 3]) + 0.25 * X[:, 4:12].sum(1)
    z += 0.3 * (X[:, 12:] > 0).sum(1) - 2.7 + rng.normal(size=n) * 0.5
    return X, (z > 0).astype(int)


def model(family: str) -> Any:
    """An untrained model."""
    if family == "RF":
        return ensemble.RandomForestClassifier(100, max_depth=12, random_state=0)
    if family == "HGB":
        return ensemble.HistGradientBoostingClassifier(max_iter=200, early_stopping=False, random_state=0)
    if family == "xgboost":
        import xgboost

        return xgboost.XGBClassifier(n_estimators=500, max_depth=6, n_jobs=1)
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=500, n_jobs=1, verbose=-1)


def cpu(function: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    function()
    return time.process_time() - begin


def marginal(values: Values, small: int, large: int, repeat: int) -> tuple[float, float]:
    """Microseconds a row between two sizes, and the seconds that do not depend on the rows."""
    rates, fixed = [], []
    for _ in range(repeat):
        one, two = cpu(lambda: values(small)), cpu(lambda: values(large))
        rates.append((two - one) / (large - small))
        fixed.append(one - small * rates[-1])
    return statistics.median(rates) * 1e6, statistics.median(fixed)


def shap_explainer(trained: Any, background: np.ndarray | None, **more: Any) -> Any:
    """shap's explainer, with all rows of the background."""
    import shap

    if background is None:
        return shap.TreeExplainer(trained, feature_perturbation="tree_path_dependent")
    masker = shap.maskers.Independent(background, max_samples=len(background))
    return shap.TreeExplainer(trained, masker, feature_perturbation="interventional", **more)


def second(values: Any) -> np.ndarray:
    """The values of the second class."""
    found = np.asarray(values)
    return found[:, :, -1] if found.ndim == 3 else found


def line(family: str, task: str, ours: tuple[float, float], theirs: float, apart: float) -> None:
    print(
        f"{family:8} {task:24} {ours[0]:10.1f} {theirs:14.0f} {theirs / ours[0]:8.0f}x {ours[1]:9.2f} {apart:12.1e}",
        flush=True,
    )


def measure(family: str, rows: int, repeat: int) -> None:
    """Print the lines of one family."""
    from rca.models.shapdiff import kernel, leaves, links

    trained = model(family).fit(*make(20_000, 1))
    X, y = make(rows, 2)
    background, _ = make(10_000, 3)
    first = cpu(lambda: leaves.read(trained, FEATURES))
    reading = cpu(lambda: leaves.read(trained, FEATURES))
    read = leaves.read(trained, FEATURES)
    if family in ("xgboost", "lightgbm"):
        X, background = (leaves.codes(trained, pd.DataFrame(part)) for part in (X, background))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    few = 2 if family == "RF" else 20  # shap draws a bar of its own over calls of more than ten seconds
    compiling = {}
    tasks: list[tuple[str, np.ndarray | None, int]] = [
        ("path-dependent", None, 1),
        ("interventional, 1,000", background[:1000], 10),
        ("interventional, 10,000", background, 100),
    ]
    for task, other, cut in tasks:

        def values(n: int, other: np.ndarray | None = other) -> np.ndarray:
            return kernel.attribute(read, X[:n], background=other)

        compiling[task] = cpu(lambda values=values: values(3000)) - cpu(lambda values=values: values(3000))
        ours = marginal(values, rows // 2, rows, repeat)
        less = None if other is None else other[: len(other) // cut]
        explainer = shap_explainer(trained, less)
        theirs, _ = marginal(lambda n, e=explainer: e.shap_values(X[:n], check_additivity=False), few, 3 * few, repeat)
        wanted = second(explainer.shap_values(X[:few], check_additivity=False))
        apart = np.abs(kernel.attribute(read, X[:few], background=less)[:, :, -1] - wanted).max()
        line(family, task, ours, theirs * cut, apart)
    if family == "xgboost":
        f, g = (kernel.margins(read, part) for part in (X[:3000], background[:1000]))
        f = np.resize(f, (rows, 1)) if rows > 3000 else f
        losses(trained, read, X, y, background, (f, g), (few, rows, repeat), links)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024
    once = ", ".join(f"{task} {max(0.0, seconds):.1f}" for task, seconds in compiling.items())
    print(
        f"{family:8} once: reading {reading:.2f} s (with compilation {first:.2f} s), compilation {once} s; "
        f"peak memory above start {peak:.0f} MB"
    )
    for threads in (1, 2):
        walls = []
        for _ in range(repeat):
            begin = time.perf_counter()
            kernel.attribute(read, X, threads=threads)
            walls.append(time.perf_counter() - begin)
        print(f"{family:8} path-dependent, {threads} thread(s): {min(walls):.2f} s wall, least of {repeat}", flush=True)


def losses(
    trained: Any, read: Any, X: np.ndarray, y: np.ndarray, background: np.ndarray, margins: Any, sizes: Any, links: Any
) -> None:
    """Print the line of the log loss; the margins of rows past the first 3,000 are those of others, for the time alone."""
    few, rows, repeat = sizes
    f, g = margins

    def values(n: int, m: int = 1000) -> np.ndarray:
        found, _ = links.loss(read, X[:n], background[:m], f[:n], g[:m], y[:n], classes=True)
        return found[:, :, 0]

    values(3000)
    ours = marginal(values, rows // 2, rows, repeat)
    explainer = shap_explainer(trained, background[:100], model_output="log_loss")

    def other(n: int) -> Any:
        return explainer.shap_values(X[:n], y[:n], check_additivity=False)

    theirs, _ = marginal(other, few, 3 * few, repeat)
    apart = np.abs(values(few, 100) - other(few)).max()
    line("xgboost", "log loss, 1,000", ours, theirs * 10, apart)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--families", nargs="*", default=["RF", "HGB", "lightgbm", "xgboost"])
    options = parser.parse_args()
    head = f"{'family':8} {'task':24} {'us a row':>10} {'shap us a row':>14} {'faster':>9} {'fixed s':>9} {'largest diff':>12}"
    print(head)
    for family in options.families:
        try:
            model(family)
        except ModuleNotFoundError as missing:
            print(f"{family:8} not run: {missing}")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of shap's, on its import and on large backgrounds
            measure(family, options.rows, options.repeat)


if __name__ == "__main__":
    main()
