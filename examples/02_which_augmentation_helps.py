"""Which augmentation helps with a handful of images a class? The report's baseline, with and without.

The digits come with scikit-learn and take a minute;
`python examples/02_which_augmentation_helps.py cifar10 100 10` takes CIFAR-10, 100 epochs and ten tasks.
"""

# %% The same tasks for every method, the first is the baseline
from _shared import arguments

import fewshot as fs

name, epochs, seeds = arguments("digits", "10", "3")
results = fs.run(
    ["baseline", "flip", "rotation", "online:shift-crop"], name, int(seeds), epochs=int(epochs), curves=True
)
print(results)  # in a notebook: `results`

# %% Does it, or is it luck? The paired difference to the baseline, with its 95 % interval
for row in results.summary()[1:]:
    if row.delta.ci95 is None:
        print(f"{row.method}: {row.delta.mean:+.1f} points, on too few tasks to say more")
        continue
    low, high = row.delta.ci95
    verdict = "helps" if low > 0 else "hurts" if high < 0 else "is not told apart from none"
    print(f"{row.method}: {row.delta.mean:+.1f} points [{low:+.1f}, {high:+.1f}]: {verdict}")

# %% Every task's accuracy, and the training's curves
results.save("augmentation")  # in a notebook: `results.plot("accuracy")`
results.save("augmentation-curves", "curves")
