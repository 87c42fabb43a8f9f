"""``python -m rca.training.fraud OUT --seed 0 --cause retraining --solved``."""

from __future__ import annotations

import argparse
import sys

from rca.errors import RcaError
from rca.training import fraud


def main(arguments: list[str] | None = None) -> int:
    """Make one incident folder; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m rca.training.fraud", description="Make the fraud incident folder below OUT."
    )
    parser.add_argument("out", help="folder to make it in")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cause", choices=fraud.CAUSES, default="retraining", help="which change does harm")
    parser.add_argument("--solved", action="store_true", help="write the conclusions as well (retraining only)")
    given = parser.parse_args(arguments)
    try:
        target = fraud.make(
            given.out, seed=given.seed, cause=given.cause, solved=given.solved, progress=sys.stderr.isatty()
        )
    except RcaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
