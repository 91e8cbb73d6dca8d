"""Generative adversarial networks for very little data: trained, measured, and used as training data."""

from __future__ import annotations

from fewshot.later import import_later

import_later("numpy")
