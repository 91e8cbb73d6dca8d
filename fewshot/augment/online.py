"""Online policies: augmentation drawn anew at every update, inside the graph.

A policy is a list of layers (`fewshot.augment.layers`), applied in order to every batch; `flip+cutout` is
one policy after the other. Unlike an expansion it leaves the number of images and of updates as they are.
"""

from fewshot.registry import Registry

# Trait: `bounded`, False where pixels may leave 0–255.
policies = Registry("online policy")


def build(text: str) -> list:
    """Return the new layers of a policy, or of several in order; `UsageError` for an unknown name."""
    return [layer for name in text.split("+") for layer in policies[name]()]


def versions(text: str) -> dict[str, int]:
    """Return the version of each policy that the text names; `UsageError` for an unknown one."""
    return {name: policies[name].version for name in text.split("+")}


@policies.register("none")
def none():
    """Batches as they are."""
    return []


@policies.register("flip")
def flip():
    """Mirror half of the images left to right."""
    from fewshot.augment import layers

    return [layers.Flip()]


@policies.register("shift-crop")
def shift_crop():
    """Shift by up to 4 pixels each way, reflecting at the border."""
    from fewshot.augment import layers

    return [layers.Shift(4)]


@policies.register("shift-crop-2")
def shift_crop_2():
    """Shift by up to 2 pixels each way, reflecting at the border."""
    from fewshot.augment import layers

    return [layers.Shift(2)]


@policies.register("rotation")
def rotation():
    """Rotate by up to 15°, bilinear, reflecting at the border."""
    from fewshot.augment import layers

    return [layers.Affine(degrees=15)]


@policies.register("color-jitter")
def color_jitter():
    """Change brightness, contrast and saturation by up to 40 %."""
    from fewshot.augment import layers

    return [layers.ColorJitter(0.4)]


@policies.register("diffaugment", bounded=False)
def diffaugment():
    """Shift colours and pixels (by up to 4), grey out a square (DiffAugment, arXiv 2006.10738)."""
    from fewshot.augment import layers

    return [layers.ColorShift(), layers.Shift(4), layers.Cutout(0.5)]


@policies.register("cutout")
def cutout():
    """Grey out one square of half the image's side (DeVries and Taylor, arXiv 1708.04552)."""
    from fewshot.augment import layers

    return [layers.Cutout(0.5)]


@policies.register("erasing")
def erasing():
    """Fill a random rectangle of half the images with noise (Zhong et al., arXiv 1708.04896)."""
    from fewshot.augment import layers

    return [layers.Erasing()]


@policies.register("mixup")
def mixup():
    """Blend each image and its label with another's, share from Beta(0.2, 0.2) (arXiv 1710.09412)."""
    from fewshot.augment import layers

    return [layers.Mixup(0.2)]


@policies.register("cutmix")
def cutmix():
    """Paste a rectangle of another image, labels by area, from Beta(1, 1) (arXiv 1905.04899)."""
    from fewshot.augment import layers

    return [layers.CutMix(1.0)]


@policies.register("randaugment")
def randaugment():
    """Two random operations of thirteen an image, magnitude 9 of 30 (Cubuk et al., arXiv 1909.13719)."""
    from fewshot.augment import layers

    return [layers.RandAugment(operations=2, magnitude=0.3)]


@policies.register("patchshuffle")
def patchshuffle():
    """Shuffle the pixels inside every 2×2 patch of one image in twenty (arXiv 1707.07103)."""
    from fewshot.augment import layers

    return [layers.PatchShuffle(patch=2, share=0.05)]


@policies.register("strong")
def strong():
    """Flip, shift-crop, colour jitter, cutout and mixup, one after the other."""
    from fewshot.augment import layers

    return [layers.Flip(), layers.Shift(4), layers.ColorJitter(0.4), layers.Cutout(0.5), layers.Mixup(0.2)]
