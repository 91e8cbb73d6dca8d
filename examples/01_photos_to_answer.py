"""From a folder of photos to an answer, and to a model that answers for new photos.

Runs as a script and, cell by cell, as a notebook (in VS Code, PyCharm or with jupytext). Give it a folder
with one sub-folder a class: `python examples/01_photos_to_answer.py path/to/photos 10m`.
"""

# %% A folder of photos: without one, two classes of coloured noise stand in
from pathlib import Path

from _shared import arguments, coloured

import fewshot as fs

folder, budget = arguments("", "1m")  # in a notebook: write yours here
heads = None if folder else ["logistic", "ridge", "centroid"]  # None: whatever the budget buys
folder = Path(folder or coloured("example-photos"))

data = fs.load(folder)
print(data)  # in a notebook: `data`, with counts and thumbnails

# %% Which strategy is best? Every photo is held out in turn
comparison = fs.compare(data, budget, heads)
print(comparison)

# %% The winner, trained on all images, and what to expect of it
model = comparison.model
if model is not None:
    print(model)
    photo = next(path for path in sorted(folder.rglob("*")) if path.suffix in (".jpg", ".png"))
    probabilities = model.predict(photo)[0]
    print(f"{photo}: {model.classes[probabilities.argmax()]} ({100 * probabilities.max():.0f} %)")
