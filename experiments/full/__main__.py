"""`python -m experiments.full`."""

import sys

from experiments.full.command import main

sys.exit(main())
