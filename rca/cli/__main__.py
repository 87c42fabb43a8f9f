"""``python -m rca.cli`` is ``rca``."""

from rca.cli import main

main()
