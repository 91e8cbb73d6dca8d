"""Methods: names and specifications, and what they stand for.

Import what is needed from `catalogue` (all named methods), `specification` (the text of a method, parsed)
and `resolve` (from whatever a method is given as to its learner).
"""

from __future__ import annotations

from fewshot.methods import named  # noqa: F401  (its families define their methods)
