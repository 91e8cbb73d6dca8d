"""`python -m experiments.baselines`."""

from __future__ import annotations

import sys

from experiments.baselines import main

sys.exit(main())
