"""How good are generated images? Measures on features of a backbone, made for small sets.

Every measure compares a sample with a reference: real images that the generator never saw, fixed and
named. `FEATURES` is the default backbone; values compare only where features and reference are the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from fewshot.backbones.features import extract
from fewshot.errors import UsageError
from fewshot.seeding import rng

FEATURES = "efficientnet-lite0@96"
SUBSETS, SUBSET = 100, 1000  # how often, and of how many images, KID is estimated for its deviation
NEIGHBOURS = 5  # of density and coverage, as their authors recommend
COPY_PERCENTILE = 5


@dataclass(frozen=True)
class Quality:
    """What was measured on `n` samples against the named reference of `references` images.

    kid, kid_std: see `kid`. density, coverage: see `density_and_coverage`. copies: see `copies`, in percent.
    fid: see `fid`; None unless asked for. diversity: see `diversity`.
    """

    reference: str
    features: str
    n: int
    references: int
    kid: float
    kid_std: float
    density: float
    coverage: float
    copies: float
    diversity: float
    fid: float | None = None

    def row(self) -> dict:
        """Return the fields, for JSON and tables."""
        return asdict(self)


def measure(
    samples: np.ndarray,
    train: np.ndarray,
    reference: np.ndarray,
    name: str,
    features: str = FEATURES,
    with_fid: bool = False,
) -> Quality:
    """Measure images, uint8 (N, height, width, 3), of one class or several against the named reference.

    train: the images that the generator was trained on. Needs `fewshot.backend.start` before.
    """
    if min(len(samples), len(reference)) < 2:
        raise UsageError("quality is measured on two samples and two reference images at least")
    fake = extract(features, samples, keep=False)
    seen, real = extract(features, train), extract(features, reference)
    value, deviation = kid(real, fake)
    frechet = fid(real, fake) if with_fid else None
    seen, real, fake = map(directions, (seen, real, fake))
    density, coverage = density_and_coverage(real, fake)
    return Quality(
        reference=name,
        features=features,
        n=len(fake),
        references=len(real),
        kid=value,
        kid_std=deviation,
        density=density,
        coverage=coverage,
        copies=copies(seen, real, fake),
        diversity=diversity(train, samples),
        fid=frechet,
    )


def kid(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the kernel inception distance and its standard deviation (Bińkowski et al., arXiv 1801.01401).

    The unbiased squared maximum mean discrepancy of all features (N, D) under the kernel (x·y / D + 1)³; it
    may be negative. The deviation is that of 100 estimates on random subsets of half of the smaller set, at
    most 1000 images: it is the deviation of a sample of that size.
    """
    kernels = _kernel(real, real), _kernel(fake, fake), _kernel(real, fake)
    value = _discrepancy(*kernels)
    size = min(SUBSET, len(real) // 2, len(fake) // 2)
    if size < 2:
        return value, float("nan")
    draws, estimates = rng(seed, "kid"), []
    for _ in range(SUBSETS):
        i, j = (draws.choice(len(x), size, replace=False) for x in (real, fake))
        estimates.append(
            _discrepancy(kernels[0][np.ix_(i, i)], kernels[1][np.ix_(j, j)], kernels[2][np.ix_(i, j)])
        )
    return value, float(np.std(estimates, ddof=1))


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the Fréchet distance of two Gaussians fitted to features (Heusel et al., arXiv 1706.08500).

    Biased upwards for small sets: compare it only at equal numbers of images. The trace of the root of the
    product of both covariances is the sum of the singular values of one product of centred features, so that
    no root of a matrix is taken.
    """
    means = real.mean(0), fake.mean(0)
    centred = [
        (x - mean).astype(np.float64) / np.sqrt(len(x) - 1)
        for x, mean in zip((real, fake), means, strict=True)
    ]
    cross = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    spread = sum(float((x**2).sum()) for x in centred)
    return float(((means[0] - means[1]) ** 2).sum() + spread - 2 * cross)


def density_and_coverage(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Return how many real neighbourhoods a sample falls into (1 where it should), and the share of real
    images whose neighbourhood holds a sample (Naeem et al., arXiv 2002.09797).

    A neighbourhood reaches to the fifth nearest real image.
    """
    k = min(NEIGHBOURS, len(real) - 1)
    radius = np.sort(_distances(real, real), axis=1)[:, k]
    inside = _distances(real, fake) <= radius[:, None]
    return float(inside.sum() / (k * len(fake))), float(inside.any(1).mean())


def directions(features: np.ndarray) -> np.ndarray:
    """Return features (N, D) scaled to length 1, between which distances are taken.

    Blurred images have short features: as they are, these would lie nearer to every image than real ones do.
    """
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def copies(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> float:
    """Return the percentage of samples that lie suspiciously close to a training image.

    Closer than all but 5 % of held-out real images lie to their nearest training image: a generator that
    draws as nature does gets 5, one that repeats its training images 100. All are features (N, D).
    """
    limit = np.percentile(_distances(held_out, train).min(1), COPY_PERCENTILE)
    return float(100 * (_distances(fake, train).min(1) < limit).mean())


def nearest(train: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Return, for each sample, the position of its nearest training image in feature space."""
    return _distances(fake, train).argmin(1)


def diversity(real: np.ndarray, samples: np.ndarray) -> float:
    """Return how much samples differ among themselves, as a share of how much real images do.

    The root of the pixels' variance over images: 1 for samples as varied as the real ones, 0 for one image
    over and over.
    """
    spread = [np.sqrt(np.var(x.astype(np.float32), axis=0).mean()) for x in (real, samples)]
    return float(spread[1] / max(spread[0], 1e-6))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1) ** 3


def _discrepancy(real: np.ndarray, fake: np.ndarray, cross: np.ndarray) -> float:
    """Return the unbiased estimate from kernels within and between the sets."""
    within = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (real, fake))
    return float(within - 2 * cross.mean())


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist  # half a second, which no help should wait for

    return cdist(x, y)
