"""A network of your own beside the baseline and a scikit-learn classifier, in fifteen lines.

Edit `mine` and run again: only its trials are computed anew, since its source is part of what identifies
them. `python examples/03_your_own_network.py cifar10 100 10` takes CIFAR-10, 100 epochs and ten tasks.
"""

# %% From raw pixels, 0 to 255, to a number a class
from _shared import arguments
from sklearn.neighbors import KNeighborsClassifier

import fewshot as fs


def mine(shape, outputs):
    """Two convolutions, and the largest answer anywhere."""
    import keras
    from keras import layers

    pixels = keras.Input(shape)
    x = layers.Rescaling(1 / 255)(pixels)
    for width in (16, 32):
        x = layers.Conv2D(width, 3, strides=2, activation="relu")(x)
    return keras.Model(pixels, layers.Dense(outputs)(layers.GlobalMaxPooling2D()(x)))


# %% The same tasks for all
name, epochs, seeds = arguments("digits", "10", "3")
methods = {"baseline": "baseline", "mine": mine, "nearest": KNeighborsClassifier(3)}
print(fs.run(methods, name, int(seeds), epochs=int(epochs)))

# %% Trained on all images of two classes, as one file from pixels to probabilities
data = fs.load(name)
data = fs.load(data, classes=data.classes[:2])
print(fs.export(mine, data, "mine.keras", epochs=int(epochs)))
