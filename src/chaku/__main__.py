"""`python -m chaku`: the command line."""

from chaku.cli import main

raise SystemExit(main())
