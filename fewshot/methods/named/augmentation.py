"""Augmentation of the testbed network's images; every registered one is a method by its own name.

The few-shot report's table has nine sets beside the baseline; several of its runs are faulty, and its values
stand beside ours for comparison.
"""

from __future__ import annotations

from fewshot.methods.catalogue import methods

REPORT = ("augment", "offline", "augment-report")
MIXED = ("offline", "augment-report")  # N² images: not among all

for _name, _summary, _tags, _published in (
    ("flip", "", REPORT, "66.11 ± 2.71"),
    ("rotation", "", REPORT, "65.77 ± 1.94"),
    ("color-isolation", "", REPORT, "59.14 ± 2.65"),
    ("patchshuffle", "", REPORT, "59.03 ± 1.27"),
    ("mixing", "", REPORT, "59.00 ± 1.71"),
    ("flip+rotation+patchshuffle", "The three side by side (6N).", REPORT, "65.69 ± 1.86"),
    (
        "flip+rotation+patchshuffle+mixing",
        "The three, and the originals' averages (N²+6N).",
        REPORT,
        "64.03 ± 1.12",
    ),
    (
        "mixing(flip+rotation)+patchshuffle",
        "All pairs of the originals and the two, and patchshuffle (25N²+6N).",
        MIXED,
        "61.17 ± 0.93",
    ),
    (
        "mixing(flip+rotation+patchshuffle)",
        "All pairs of the originals and the three (36N²+6N).",
        MIXED,
        "59.60 ± 0.55",
    ),
):
    methods.define(_name, summary=_summary, tags=_tags, published={"testbed": _published})

methods.define(
    "strong",
    "baseline:online=strong,epochs=500",
    "the small network (baseline), trained five times as long on photos that are strongly varied each time",
    tags=("compare",),
    cost_seconds=10,
)
