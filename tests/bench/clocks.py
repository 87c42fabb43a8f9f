"""How well offsets of clocks are found: five clocks, offsets from 1 s to 6 years, drift, many kinds of noise.

Per kind of noise and number of anchors: how often the 95 % interval covers the truth; its width against the least
that one could have (Gaussian noise: 2 x 1.96 standard deviations / sqrt(n); the same with the noise's own standard
deviation without outliers for the others), median and 95th percentile; the share that covers and is at most four
times as wide; abstentions; and, with all clocks right, how
often a correction is proposed.

    python tests/bench/clocks.py --seeds 50
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd

from rca.systems import clocks

NS = 10**9
YEARS = 6 * 365.25 * 86400
START = pd.Timestamp("2025-11-18T00:00Z").value
Generator = np.random.Generator


def with_outliers(rng: Generator, n: int, share: float) -> np.ndarray:
    """Gaussian noise of which some records are matched wrongly, or sent again later."""
    out = rng.normal(0, 0.3, n)
    wrong = rng.permutation(n)[: round(share * n)]
    out[wrong] += np.where(
        rng.random(len(wrong)) < 0.5, rng.exponential(120, len(wrong)), rng.normal(0, 3600, len(wrong))
    )
    return out


# name -> (noise in seconds, its standard deviation, resolution of the stamps of a and of b in seconds)
NOISE: dict[str, tuple[Callable[[Generator, int], np.ndarray], float, tuple[float, float]]] = {
    "gaussian": (lambda rng, n: rng.normal(0, 0.3, n), 0.3, (0, 0)),
    "student t3": (lambda rng, n: 0.2 * rng.standard_t(3, n), 0.2 * 3**0.5, (0, 0)),
    "uniform": (lambda rng, n: rng.uniform(-0.5, 0.5, n), 12**-0.5, (0, 0)),
    "exponential delay": (lambda rng, n: rng.exponential(0.5, n), 0.5, (0, 0)),
    "half-normal delay": (lambda rng, n: np.abs(rng.normal(0, 0.5, n)), 0.3014, (0, 0)),
    "lognormal delay": (lambda rng, n: rng.lognormal(-2, 1, n), 0.2925, (0, 0)),
    "gamma delay": (lambda rng, n: rng.gamma(2, 0.2, n), 0.2 * 2**0.5, (0, 0)),
    "delay of seconds": (lambda rng, n: rng.exponential(3, n), 3, (0, 0)),
    "two unequal waits": (lambda rng, n: rng.exponential(0.4, n) - rng.exponential(0.2, n), 0.2**0.5, (0, 0)),
    "outliers 10 %": (lambda rng, n: with_outliers(rng, n, 0.1), 0.3, (0, 0)),
    "outliers 20 %": (lambda rng, n: with_outliers(rng, n, 0.2), 0.3, (0, 0)),
    "stamps of 1 s": (lambda rng, n: rng.normal(0, 0.3, n), (0.09 + 2 / 12) ** 0.5, (1, 1)),
    "delay, stamps of 1 s": (lambda rng, n: rng.exponential(0.3, n), (0.09 + 2 / 12) ** 0.5, (1, 1)),
    "stamps of 1 s, ms": (lambda rng, n: rng.normal(0, 0.3, n), (0.09 + 1 / 12) ** 0.5, (1, 0.001)),
    "stamps of 1 min": (lambda rng, n: rng.normal(0, 5, n), (25 + 2 * 300) ** 0.5, (60, 60)),
    "stamps of 1 min, s": (lambda rng, n: rng.normal(0, 5, n), (25 + 300) ** 0.5, (60, 1)),
}


def cut(times: np.ndarray, unit: float) -> np.ndarray:
    """Return stamps cut to whole units."""
    step = round(unit * NS)
    return times - times % step if step else times


def pair(
    rng: Generator, n: int, kind: str, offset: float, drift: float, first: str = "", span: float = 86400
) -> tuple[pd.DataFrame, Callable[[pd.Timestamp], float]]:
    """Return anchors of one pair, and the true offset in nanoseconds at a time by clock b."""
    noise, _, units = NOISE[kind]
    moments = np.sort(START + (rng.random(n) * span * NS).astype(np.int64))
    delay = np.rint(noise(rng, n) * NS).astype(np.int64)
    ahead = round(offset * NS) + np.rint(drift * (moments - START)).astype(np.int64)
    ways = np.full(n, first, dtype=object)
    if first == "both":
        ways = np.where(np.arange(n) % 2 == 0, "a", "b").astype(object)
        delay = np.where(ways == "a", -delay, delay)
    shown = {"time_a": cut(moments + ahead + delay, units[0]), "time_b": cut(moments, units[1])}
    table = pd.DataFrame({name: pd.to_datetime(values, unit="ns", utc=True) for name, values in shown.items()})
    return table.assign(first=ways), lambda at: round(offset * NS) + drift * (at.value - START)


def figures(rng: Generator, n: int, kind: str, runs: int, first: str) -> list[object]:
    """Return a row of the table of results."""
    covered, widths, abstained, false, proposed, good = 0, [], 0, 0, 0, 0
    least = 2 * 1.96 * NOISE[kind][1] / n**0.5
    for _ in range(runs):
        size = np.exp(rng.uniform(0, np.log(YEARS))) * rng.choice([-1, 1])
        table, truth = pair(rng, n, kind, size, rng.choice([0, 1, -1]) * rng.uniform(0, 2e-4), first)
        row = clocks.skew(table).iloc[0]
        if pd.isna(row["low"]) or pd.isna(row["high"]):
            abstained += 1
        else:
            holds = row["low"].value <= truth(row["reference"]) <= row["high"].value
            widths.append((row["high"] - row["low"]).total_seconds() / least)
            covered += holds
            good += holds and widths[-1] <= 4
            proposed += row["proposal"]
        right, _ = pair(rng, n, kind, 0.0, 0.0, first)
        false += clocks.skew(right)["proposal"].iloc[0]
    answered = runs - abstained
    shown = (
        [f"{covered / answered:.3f}", *(f"{x:.2f}" for x in np.percentile(widths, [50, 95])), f"{good / answered:.3f}"]
        if answered
        else ["-"] * 4
    )
    return [kind + (f", {first} first" if first else ""), n, *shown, f"{proposed / runs:.3f}", f"{abstained / runs:.3f}",
            f"{false / runs:.3f}"]  # fmt: skip


def network(rng: Generator, runs: int, shared: bool) -> list[object]:
    """Return coverage over five clocks; all see the same records, or each pair its own."""
    covered, total, false, width = 0, 0, 0, []
    for _ in range(runs):
        n = int(rng.integers(10, 101))
        offsets = np.exp(rng.uniform(0, np.log(YEARS), 5)) * rng.choice([-1, 1], 5)
        drifts = rng.uniform(-2e-4, 2e-4, 5)
        offsets[0] = drifts[0] = 0
        for truth, rates in ((offsets, drifts), (np.zeros(5), np.zeros(5))):
            names, tables = [f"clock{k}" for k in range(5)], []
            moments = START + np.sort(rng.random(n) * 86400 * NS).astype(np.int64)
            look = [
                moments + round(truth[k] * NS) + np.rint(rates[k] * (moments - START)).astype(np.int64)
                for k in range(5)
            ]
            noisy = [times + (rng.normal(0, 0.3, n) * NS).astype(np.int64) for times in look]
            for i in range(5):
                for j in range(i + 1, 5):
                    ends = (
                        (noisy[i], noisy[j])
                        if shared
                        else (look[i] + (rng.normal(0, 0.3, n) * NS).astype(np.int64), look[j])
                    )
                    frame = pd.DataFrame(
                        {
                            name: pd.to_datetime(t, unit="ns", utc=True)
                            for name, t in zip(("time_a", "time_b"), ends, strict=True)
                        }
                    )
                    tables.append(frame.assign(source_a=names[i], source_b=names[j]))
            solved = clocks.solve(clocks.skew(pd.concat(tables)), "clock0").set_index("source")
            for k in range(1, 5):
                row = solved.loc[names[k]]
                if truth.any():
                    right = round(truth[k] * NS) + rates[k] * (row["reference"].value - START)
                    covered += row["low"].value <= right <= row["high"].value
                    width.append(
                        (row["high"] - row["low"]).total_seconds()
                        / (2 * 1.96 * 0.3 * (2 if shared else 1) ** 0.5 / n**0.5)
                    )
                    total += 1
                else:
                    false += row["proposal"]
    low, high = np.percentile(width, [50, 95])
    return ["network, " + ("same records" if shared else "own records"), "10-100", f"{covered / total:.3f}", f"{low:.2f}",
            f"{high:.2f}", "", "", "", f"{false / total:.3f}"]  # fmt: skip


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=100)
    arguments.add_argument("--sizes", type=int, nargs="*", default=[10, 20, 50, 100])
    arguments.add_argument("--kinds", nargs="*", default=list(NOISE))
    given = arguments.parse_args()
    rng = np.random.default_rng(7)
    print(
        f"{'noise':<34}{'n':>7}{'covers':>8}{'width':>7}{'95th':>7}{'both':>7}{'proposed':>9}{'abstains':>9}{'false':>7}"
    )
    for kind in given.kinds:
        for first in ("", "b", "both") if "delay" in kind else ("",):
            for n in given.sizes:
                row = figures(rng, n, kind, given.seeds, first)
                print("{:<34}{:>7}{:>8}{:>7}{:>7}{:>7}{:>9}{:>9}{:>7}".format(*row), flush=True)
    for shared in (True, False):
        print("{:<34}{:>7}{:>8}{:>7}{:>7}{:>7}{:>9}{:>9}{:>7}".format(*network(rng, max(given.seeds // 4, 2), shared)))


if __name__ == "__main__":
    main()
