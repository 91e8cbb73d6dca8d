"""`python -m experiments.baselines`."""

import sys

from experiments.baselines.command import main

sys.exit(main())
