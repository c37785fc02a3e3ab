"""``python -m dslite`` is ``dslite``."""

from dslite.cli import main

main()
