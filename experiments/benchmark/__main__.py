"""`python -m experiments.benchmark`."""

from __future__ import annotations

import sys

from experiments.benchmark import main

sys.exit(main())
