"""The commands: studies, and what leads from photos to an answer."""

from __future__ import annotations

from fewshot.later import import_later

import_later("numpy")
