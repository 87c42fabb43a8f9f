"""How well signals are found: onsets of metrics, rates of records, new texts in logs. Prints figures, judges nothing.

Onsets: per kind of noise and change, the share of series called a signal at 1 % (one series, so no multiplicity;
without a change these are false alarms), how often the interval covers the true onset, its width in rows, how
often a step is called a ramp or a ramp a step, and the distance of the time from the truth, beside the locators
of ruptures (binary segmentation and PELT with the quadratic cost, and with the rank cost), which get no false alarms
here: they are only asked where, when there is a change. Rates: the same for counts. Texts: simulated logs of which
the templates are known.

    python tests/bench/signals.py --series 100
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np
import pandas as pd

from rca.systems.signals import metric_onsets, new_templates, rate_changes

try:
    import ruptures
except ImportError:  # its column stays empty
    ruptures = None

START = pd.Timestamp("2025-03-03T00:00Z")
STEP = pd.Timedelta("15min")
BEFORE, DURING, DAY = 384, 96, 96  # rows: four days, one day
RISE = 30  # rows that a ramp takes
CHANGES = [("none", 0), ("spike", 20), ("step", 2), ("step", 4), ("step", 10), ("ramp", 4), ("ramp", 10)]
NOISES = ("independent", "autocorrelated", "daily rhythm", "heavy tails", "rare counts", "daily + autocorrelated")
Generator = np.random.Generator


def noise(kind: str, n: int, rng: Generator) -> np.ndarray:
    """Return noise of standard deviation about 1."""
    values = rng.normal(size=n)
    if "autocorrelated" in kind:
        for row in range(1, n):
            values[row] = 0.6 * values[row - 1] + 0.8 * values[row]
    if "daily" in kind:
        values = 0.7 * values + np.sin(np.arange(n) * 2 * np.pi / DAY + rng.uniform(0, 6.28))
    if kind == "heavy tails":
        values = rng.standard_t(3, n) / 3**0.5
    return rng.poisson(0.3, n) / 0.3**0.5 if kind == "rare counts" else values


def change(kind: str, size: float, at: int, n: int) -> np.ndarray:
    """Return what is added to the noise."""
    rows = np.arange(n)
    if kind == "ramp":
        return size * np.clip((rows - at) / RISE, 0, 1)
    return size * ((rows == at) if kind == "spike" else (rows >= at) if kind == "step" else np.zeros(n))


def located(values: np.ndarray) -> list[int]:
    """Return the first change point of three locators of ruptures; -1 where they find none."""
    if ruptures is None:
        return []
    recent = values[-3 * DURING :]
    first = len(values) - len(recent)
    one = ruptures.Binseg(model="l2", jump=1, min_size=3).fit(recent).predict(n_bkps=1)[0]
    ranked = ruptures.Binseg(model="rank", jump=1, min_size=3).fit(recent).predict(n_bkps=1)[0]
    limit = 3 * np.log(len(recent)) * np.var(np.diff(recent)) / 2
    points = ruptures.Pelt(model="l2", jump=1, min_size=3).fit(recent).predict(pen=limit)[:-1]
    return [one + first, ranked + first, points[0] + first if points else -1]


def onsets(series: int) -> None:
    """Print how onsets are found."""
    print(
        "noise                   change   signal cover width ramp  |error|: ours binseg rank pelt (median rows)  pelt found"
    )
    stamps = pd.date_range(START, periods=BEFORE + DURING, freq=STEP)
    windows = ((stamps[0], stamps[BEFORE]), (stamps[BEFORE], stamps[-1] + STEP))
    for kind in NOISES:
        for shape, size in CHANGES:
            rng = np.random.default_rng([NOISES.index(kind), CHANGES.index((shape, size))])
            begins = BEFORE + rng.integers(8, 60, series)
            values = [noise(kind, len(stamps), rng) + change(shape, size, at, len(stamps)) for at in begins]
            # One table a series: the correction for many metrics would hide the error of one.
            found = pd.concat(
                metric_onsets(pd.DataFrame({"time": stamps, "system": "s", "metric": "m", "value": row}), windows)
                for row in values
            ).reset_index(drop=True)
            hits = (found["verdict"] == "signal").to_numpy()
            share = f"{hits.mean():6.2f}"
            others = np.array([located(row) for row in values], dtype=float).reshape(series, -1)
            pelt = others[:, 2] >= 0 if others.size else np.array([], dtype=bool)
            if shape in ("none", "spike"):
                print(f"{kind:23s} {shape:5s}{size:3d} {share}" + (f"{pelt.mean():62.2f}" if others.size else ""))
                continue
            truth = pd.Series(stamps[begins])
            cover = ((found["earliest"] <= truth) & (truth <= found["latest"]))[hits].mean()
            width = ((found["latest"] - found["earliest"]) / STEP)[hits].median()
            error = ((found["onset"] - truth) / STEP)[hits].abs().median()
            ramps = (found["shape"] == "ramp")[hits].mean()
            beside = [f"{np.median(np.abs(column - begins)):6.1f}" for column in others.T[:2]]
            if others.size:
                beside += [f"{np.median(np.abs(others[pelt, 2] - begins[pelt])):6.1f} {pelt.mean():10.2f}"]
            print(
                f"{kind:23s} {shape:5s}{size:3d} {share} {cover:5.2f} {width:5.0f} {ramps:4.2f} {error:14.1f}", *beside
            )


RATES = ("poisson 3", "poisson 0.05", "daily rhythm", "bursts", "slow swings", "regular")


def counted(kind: str, n: int, factor: np.ndarray, rng: Generator) -> np.ndarray:
    """Return counts a minute; `factor` multiplies the rate."""
    day = 1440
    if kind == "daily rhythm":
        return rng.poisson(factor * 3 * (1 + 0.7 * np.sin(np.arange(n) * 2 * np.pi / day + rng.uniform(0, 6.28))))
    if kind == "bursts":
        return np.where(rng.random(n) < 0.1 * np.minimum(factor, 10), rng.geometric(0.05, n), 0)
    if kind == "slow swings":
        swing = np.zeros(n)
        for row, draw in enumerate(rng.normal(size=n)):
            swing[row] = 0.98 * swing[row - 1] + 0.2 * 0.5 * draw
        return rng.poisson(factor * 3 * np.exp(swing))
    if kind == "regular":
        return np.round(factor).astype(int)
    return rng.poisson(factor * float(kind.split()[1]))


def rates(series: int) -> None:
    """Print how changes of rates are found."""
    print("\ncounts a minute  change  signal cover width |error| (median minutes)")
    for days in (3, 1):
        n, lasts = days * 1440 + 240, 120
        minutes = pd.date_range(START, periods=n, freq="min", unit="ns")
        windows = ((minutes[0], minutes[days * 1440]), (minutes[days * 1440], minutes[-1] + pd.Timedelta("1min")))
        for kind in RATES:
            for factor in (1, 2, 5, 20, 0.3, 0):
                rng = np.random.default_rng([RATES.index(kind), int(factor * 10), days])
                hits, covers, widths, errors = [], [], [], []
                for _ in range(series):
                    at = days * 1440 + int(rng.integers(20, 100))
                    factors = np.where((np.arange(n) >= at) & (np.arange(n) < at + lasts), factor, 1)
                    counts = counted(kind, n, factors, rng)
                    stamps = np.repeat(minutes.asi8, counts) + rng.integers(0, 60 * 10**9, counts.sum())
                    marks = [*minutes[::60].asi8.tolist(), windows[1][1].value - 1]  # by these the export goes on
                    rows = pd.DataFrame({
                        "time": pd.to_datetime(np.r_[stamps, marks], utc=True), "kind": "log", "severity": 17, "source": "x",
                        "system": ["s"] * len(stamps) + ["other"] * len(marks),
                    })  # fmt: skip
                    found = rate_changes(rows, windows)
                    row = found[found["system"] == "s"].iloc[0]
                    hits.append(row["verdict"] == "signal")
                    if hits[-1] and factor != 1:
                        covers.append(row["earliest"] <= minutes[at] <= row["latest"])
                        widths.append((row["latest"] - row["earliest"]) / pd.Timedelta("1min"))
                        errors.append(abs((row["onset"] - minutes[at]) / pd.Timedelta("1min")))
                places = f"{np.mean(covers):5.2f} {np.median(widths):5.1f} {np.median(errors):5.1f}" if covers else ""
                print(f"{kind:13s} {days} d x{factor:<5g} {np.mean(hits):6.2f} {places}")


WORDS = [
    "user",
    "order",
    "cart",
    "cache",
    "queue",
    "batch",
    "model",
    "index",
    "shard",
    "token",
    "session",
    "request",
    "worker",
    "feature",
    "page",
    "stream",
]
VERBS = [
    "loaded",
    "saved",
    "opened",
    "closed",
    "sent",
    "received",
    "started",
    "finished",
    "updated",
    "removed",
    "checked",
    "joined",
    "left",
    "merged",
]


def phrase(rng: Generator) -> str:
    """Return a template; {} stands for what changes."""
    parts = [*rng.choice(WORDS, 2), rng.choice(VERBS), *rng.choice(WORDS, int(rng.integers(1, 4)))]
    fields = ["took {n}ms", "for {name}", "from {ip}", "id={hex}", "in {path}", "({n} of {n})"]
    return " ".join([*map(str, parts), *rng.choice(fields, int(rng.integers(0, 3)), replace=False)])


def line(template: str, rng: Generator) -> str:
    """Return one message of a template."""
    return template.replace("{n}", str(rng.integers(1, 9999))).format(
        name=f"user{chr(97 + rng.integers(26))}{chr(97 + rng.integers(26))}", ip=".".join(map(str, rng.integers(1, 255, 4))),
        hex=f"{rng.integers(2**60):016x}", path=f"/srv/{rng.choice(WORDS)}/{rng.choice(WORDS)}.bin",
    )  # fmt: skip


def texts(series: int) -> None:
    """Print how new texts are found: 60 usual templates of uneven frequency, 5 new ones, 3 of them near a usual one."""
    print("\nnew texts        found  of 5    false new (all)  signals among them")
    found_all, false_all, false_signals = [], [], []
    for seed in range(max(series // 10, 3)):
        rng = np.random.default_rng(seed)
        usual = [phrase(rng) for _ in range(60)]
        near = [text.replace(next(verb for verb in VERBS if f" {verb} " in text), "failed") for text in usual[:3]]
        new = [*near, "connection to database refused after {n} tries", "upstream {ip} timed out"]
        share = 1 / np.arange(1, 61) ** 1.2
        picks = rng.choice(60, 8000, p=share / share.sum())
        lines = [line(usual[pick], rng) for pick in picks]
        stamps = pd.date_range(START, periods=8000, freq="10s")
        places = np.repeat(rng.choice(np.arange(7000, 8000), 5, replace=False), 1)
        for place, text in zip(places, new, strict=True):
            lines[place] = line(text, rng)
        table = pd.DataFrame({"time": stamps, "kind": "log", "system": "s", "severity": 9, "message": lines})
        table["severity"] = pd.array([pd.NA] * len(table), dtype="Int64")
        found = new_templates(table, ((stamps[0], stamps[7000]), (stamps[7000], stamps[-1] + STEP)))
        examples = found[found["verdict"] != "not judged"]
        truth = {lines[place] for place in places}
        found_all.append(examples["example"].isin(truth).sum())
        false_all.append((~examples["example"].isin(truth)).sum())
        false_signals.append(((~examples["example"].isin(truth)) & (examples["verdict"] == "signal")).sum())
    print(
        f"mean over logs   {np.mean(found_all):5.2f}          {np.mean(false_all):5.2f}         {np.mean(false_signals):5.2f}"
    )


def speed(rows: int) -> None:
    """Print time and memory of a large log."""
    rng = np.random.default_rng(0)
    usual = [phrase(rng) for _ in range(200)]
    some = [line(usual[pick], rng) for pick in rng.integers(0, 200, min(rows, 300_000))]
    messages = [some[pick] for pick in rng.integers(0, len(some), rows)]
    stamps = START + pd.to_timedelta(np.sort(rng.integers(0, 5 * 86_400_000, rows)), unit="ms")
    table = pd.DataFrame({"time": stamps, "kind": "log", "system": rng.choice(WORDS, rows), "message": messages})
    table = table.assign(severity=rng.choice([9, 13, 17], rows, p=[0.9, 0.08, 0.02]), source="logs", count=1)
    windows = ((START, START + pd.Timedelta("4D")), (START + pd.Timedelta("4D"), START + pd.Timedelta("5D")))
    for name, run in (("new texts", new_templates), ("rates", rate_changes)):
        begin = time.process_time()
        run(table, windows)
        took = time.process_time() - begin
        tracemalloc.start()
        run(table, windows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(
            f"{name}: {rows} records, {len(set(messages))} different: {took:.1f} s CPU, peak {peak / 1e6:.0f} MB more"
        )


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--series", type=int, default=100)
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--only", choices=["onsets", "rates", "texts", "speed"])
    asked = arguments.parse_args()
    for name, run, size in (
        ("onsets", onsets, asked.series), ("rates", rates, asked.series), ("texts", texts, asked.series),
        ("speed", speed, asked.records),
    ):  # fmt: skip
        if asked.only in (None, name):
            run(size)


if __name__ == "__main__":
    main()
