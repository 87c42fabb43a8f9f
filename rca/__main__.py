"""``python -m rca`` is ``rca``."""

from rca.cli import main

if __name__ == "__main__":
    main()
