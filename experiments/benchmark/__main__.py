"""`python -m experiments.benchmark`."""

import sys

from experiments.benchmark import main

sys.exit(main())
