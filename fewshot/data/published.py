"""What was published under a protocol, in groups that drew the same images: a comparison names the draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedGroup:
    """Accuracies of one paper, or of several with the same draw.

    draw: which images they are means over, in words. source: where they stand. comparable: whether our
    protocol draws the same. accuracies: method → accuracy in percent.
    """

    draw: str
    source: str
    comparable: bool
    accuracies: Mapping[str, float]


# All from new weights, on ciFAIR-10 with 50 training images a class, measured on its 10,000 test images.
DEIC = (
    PublishedGroup(
        "three splits, ten runs each",
        "arXiv 2212.12478, repository gem",
        True,
        {
            "Harmonic Networks": 58.00,
            "Distilling Visual Priors": 57.80,
            "T-vMF": 56.75,
            "cross-entropy (the baseline)": 55.18,
            "Full Convolution": 54.64,
            "scattering": 53.84,
            "cosine": 52.39,
        },
    ),
    PublishedGroup(
        "split 0 alone",
        "arXiv 2108.13122, the workshop",
        True,
        {"cross-entropy (the baseline)": 58.22, "T-vMF": 57.50, "Harmonic Networks": 56.50},
    ),
    PublishedGroup(
        "other draws, 50 random images a class, seeds 0-4; 2,000 passes",
        "arXiv 2202.11616",
        False,
        {"ChimeraMix with AutoAugment": 70.09, "ChimeraMix": 67.30},
    ),
)
