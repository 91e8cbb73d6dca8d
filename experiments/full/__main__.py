"""`python -m experiments.full`."""

import sys

from experiments.full import main

sys.exit(main())
