"""The augmentation table of the few-shot report: its nine sets, in its order, and what it says of them.

Accuracy in percent ± standard deviation, at N = 100 images. Several of these runs are faulty; the values
stand beside ours for comparison.
"""

PUBLISHED = {
    "none": "71.69 ± 6.71",
    "flip": "66.11 ± 2.71",
    "rotation": "65.77 ± 1.94",
    "color-isolation": "59.14 ± 2.65",
    "patchshuffle": "59.03 ± 1.27",
    "mixing": "59.00 ± 1.71",
    "flip+rotation+patchshuffle": "65.69 ± 1.86",
    "flip+rotation+patchshuffle+mixing": "64.03 ± 1.12",
    "mixing(flip+rotation)+patchshuffle": "61.17 ± 0.93",
    "mixing(flip+rotation+patchshuffle)": "59.60 ± 0.55",
}
