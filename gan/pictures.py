"""Pictures of generated images: grids, an animation, loss curves, samples beside their nearest neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.report.plots.figures import COLOURS, STYLE, write
from fewshot.report.plots.sheet import sheet
from gan.training import TRACES

GAP, ZOOM = 2, 2
FRAME_MS, LAST_FRAME_MS = 250, 2000


def grid(images: np.ndarray, columns: int = 10) -> np.ndarray:
    """Return images (N, height, width, 3) as one, enlarged, row by row on white."""
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    page = np.full((rows, columns, height * ZOOM + GAP, width * ZOOM + GAP, channels), 255, np.uint8)
    page.reshape(rows * columns, *page.shape[2:])[:n, GAP:, GAP:] = images.repeat(ZOOM, 1).repeat(ZOOM, 2)
    page = page.transpose(0, 2, 1, 3, 4).reshape(rows * page.shape[2], columns * page.shape[3], channels)
    return np.pad(page, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


def save(image: np.ndarray, path: Path) -> Path:
    """Write one image, uint8, as PNG."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def animate(frames: list[Path], path: Path) -> Path:
    """Join PNG files to an animated GIF that stands still on the last one."""
    from PIL import Image

    images = [Image.open(frame).convert("RGB") for frame in frames]
    durations = [FRAME_MS] * (len(images) - 1) + [LAST_FRAME_MS]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0)
    return path


def curves(traces: np.ndarray, log: list[dict], path_stem: Path, title: str) -> list[Path]:
    """Draw losses, what both networks get right, and KID along the updates; return both paths.

    traces: (updates, 4), see `gan.engine.TRACES`. log: the entries of `gan.train`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(12, 3.8), layout="constrained")
        axes = figure.subplots(1, 3)
        for column, name in enumerate(TRACES):
            means, updates = _means(traces[:, column])
            axes[column % 2].plot(updates, means, color=COLOURS[column // 2], label=name)
        axes[0].set_ylabel("loss")
        axes[1].set_ylabel("share of images")
        axes[1].set_ylim(0, 1)
        points = [(entry["update"], entry["kid"]) for entry in log if entry.get("kid") is not None]
        axes[2].plot(
            *np.transpose(points) if points else ([], []), color=COLOURS[2], marker="o", markersize=3
        )
        axes[2].set_ylabel("KID")
        for panel in axes:
            panel.set_xlabel("updates")
        for panel in axes[:2]:
            panel.legend()
        figure.suptitle(title, fontsize=11)
        return write(figure, path_stem)


def neighbours(
    samples: np.ndarray, train: np.ndarray, nearest: np.ndarray, stem: Path, title: str
) -> list[Path]:
    """Draw samples, and below each the training image that is nearest to it in the quality features."""
    rows = [
        ("sample", [("", image) for image in samples]),
        ("nearest", [("", train[index]) for index in nearest]),
    ]
    return sheet(rows, stem, title)


def interpolation(make, latent: int, label: int, seed: int, steps: int = 10, rows: int = 5) -> np.ndarray:
    """Return a grid whose rows walk from one latent to another, on the sphere, where latents lie."""
    from fewshot.seeding import rng

    ends = rng(seed, "interpolation").standard_normal((2, rows, 1, latent))
    angle = np.linspace(0, np.pi / 2, steps)[None, :, None]  # independent latents are nearly orthogonal
    latents = (np.cos(angle) * ends[0] + np.sin(angle) * ends[1]).astype(np.float32)
    images = make(latents.reshape(-1, latent), np.full(rows * steps, label))
    return grid(images, steps)


def _means(trace: np.ndarray, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return the trace as means of equal stretches, and the updates at their ends."""
    parts = np.array_split(trace, min(points, len(trace)))
    return np.array([part.mean() for part in parts]), np.cumsum([len(part) for part in parts])
