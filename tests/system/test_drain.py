"""Our Drain beside drain3 in an environment of its own, on the same masked lines."""

import json
import random
import subprocess
import sys
import venv

import pytest

from rca.systems.signals.drain import Drain, mask

pytestmark = pytest.mark.system
SCRIPT = """
import json, sys
from drain3.drain import Drain
for case in map(json.loads, sys.stdin):
    drain = Drain(depth=case["depth"], sim_th=case["similarity"], max_children=case["children"])
    ids = [drain.add_log_message(line)[0].cluster_id for line in case["lines"]]
    clusters = [[one.cluster_id, one.get_template(), one.size] for one in drain.clusters]
    print(json.dumps({"ids": ids, "clusters": clusters}))
"""
SETTINGS = [(4, 0.4, 100), (3, 0.4, 100), (5, 0.5, 100), (4, 0.7, 4), (6, 0.6, 3), (4, 0.3, 2)]


@pytest.fixture(scope="module")
def drain3(tmp_path_factory):
    """The Python of a fresh environment that has drain3; its pinned dependencies would collide with ours."""
    folder = tmp_path_factory.mktemp("drain3")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "drain3==0.9.11"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"drain3 could not be installed: {done.stderr.strip()[-300:]}"
    return python


def messages(seed):
    """Lines of random templates: shared words, numbers, addresses, names, some of one word, some empty."""
    rng = random.Random(seed)
    words = [
        "open",
        "close",
        "read",
        "write",
        "start",
        "stop",
        "user",
        "host",
        "disk",
        "queue",
        "job",
        "failed",
        "done",
        "retry",
        "of",
        "for",
        "to",
        "in",
    ]
    templates = [" ".join(rng.choice([*words, "{}", "{}"]) for _ in range(rng.randint(0, 9))) for _ in range(60)]
    values = [
        lambda: str(rng.randint(0, 10**6)), lambda: f"10.0.{rng.randint(0, 9)}.{rng.randint(0, 255)}", lambda: rng.choice(words),
        lambda: f"node{rng.randint(1, 30)}", lambda: f"{rng.getrandbits(60):016x}", lambda: rng.choice(["<*>", "a=b", "/srv/x", "ü"]),
    ]  # fmt: skip
    lines = []
    for _ in range(1500):
        text = rng.choice(templates)
        while "{}" in text:
            text = text.replace("{}", rng.choice(values)(), 1)
        lines.append(mask(text))
    return lines


def test_the_same_lines_give_the_same_templates_as_drain3(drain3, tmp_path):
    cases = [
        {"depth": depth, "similarity": similarity, "children": children, "lines": messages(seed)}
        for seed in range(4)
        for depth, similarity, children in SETTINGS
    ]
    done = subprocess.run(
        [drain3, "-c", SCRIPT], input="\n".join(map(json.dumps, cases)), capture_output=True, text=True, check=False,
        cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == len(cases)
    for case, found in zip(cases, theirs, strict=True):
        drain = Drain(depth=case["depth"], similarity=case["similarity"], children=case["children"])
        joined = [drain.add(line) for line in case["lines"]]
        ids = {id(template): number for number, template in enumerate(drain.templates, start=1)}
        assert [ids[id(template)] for template in joined] == found["ids"]
        ours = [[ids[id(template)], template.text, template.count] for template in drain.templates]
        assert ours == found["clusters"]
        assert 1 < len(ours) < len(case["lines"]) / 2
