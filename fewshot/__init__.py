"""Image classification with very little data: tasks, learners, a fair testbed, honest numbers.

The way through the package is the way of the data:
`Dataset → Protocol.sample_task(seed) → Task → Learner.fit/predict → Trial → store → stats → report`.
"""

import os

__version__ = "0.1.0"

# Defaults that must stand before Keras or albumentations is first imported, wherever that happens.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
