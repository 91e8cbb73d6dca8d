"""`python -m experiments.full`."""

from __future__ import annotations

import sys

from experiments.full import main

sys.exit(main())
