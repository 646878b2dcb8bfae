"""Dropout: masks, what happens in training and in prediction, and what it does against overfitting."""

import _picture
import nnx
import numpy as np

nnx.set_num_threads(1)  # networks as small as these have no work for more

x = np.ones((2, 12), np.float32)
print("three steps of training with rate 0.5; what is kept is doubled:")
for step in range(3):
    print(" ", nnx.ops.dropout(x, 0.5, seed=1, step=step)[0])
masks = np.stack([nnx.ops.dropout_mask((1000,), 0.3, seed=1, step=step) for step in range(100)])
mean = nnx.ops.dropout(np.ones(100_000, np.float32), 0.3, seed=1).mean()
print(f"rate 0.3 keeps {masks.mean():.3f} of the elements; the mean of ones stays {mean:.3f}")
assert abs(masks.mean() - 0.7) < 0.01
assert abs(mean - 1) < 0.01

model = nnx.Sequential(nnx.Dropout(0.5))
model.build((12,))
print("prediction leaves everything as it is:", model.predict(x)[0])
np.testing.assert_array_equal(model.predict(x), x)

# 300 digits, every fifth with a label drawn by lot: without dropout the network learns the wrong ones by heart.
images, labels = nnx.datasets.load_digits()
images = images.reshape(len(images), 64) / np.float32(16)
random = np.random.default_rng(0)
order = random.permutation(len(images))
few, others = order[:300], order[300:1000]
given = labels[few]
given[::5] = random.integers(0, 10, 60)


def train(rate):
    """The mean history of three networks: one alone may be lucky."""
    histories = []
    for seed in range(3):
        model = nnx.models.mlp(64, (128, 128), 10, dropout=rate)
        model.compile(nnx.SGD(0.03, momentum=0.9), "cross_entropy", ["accuracy"], seed=seed)
        held_out = (images[others], labels[others])
        histories.append(
            model.fit(images[few], given, epochs=60, validation_data=held_out, verbose=0).history
        )
    return {key: np.mean([history[key] for history in histories], axis=0) for key in histories[0]}


runs = {rate: train(rate) for rate in (0.0, 0.5)}
for rate, history in runs.items():
    print(
        f"dropout {rate}: loss on what it learnt from {history['loss'][-1]:.3f}, on other digits "
        f"{history['val_loss'][-1]:.3f}, accuracy there {history['val_accuracy'][-1]:.1%}"
    )


def draw(ax):
    for rate, history in runs.items():
        (line,) = ax.semilogy(history["loss"], label=f"training, dropout {rate}")
        ax.semilogy(history["val_loss"], "--", color=line.get_color(), label=f"held out, dropout {rate}")
    ax.set_xlabel("Epoch")
    ax.set_title("Loss where one label in five is random", loc="left")
    ax.legend(frameon=False)


_picture.save("dropout.png", draw)

assert runs[0.0]["loss"][-1] < 0.2 < runs[0.5]["loss"][-1]
assert runs[0.5]["val_loss"][-1] < runs[0.0]["val_loss"][-1] - 0.1
assert runs[0.5]["val_accuracy"][-1] > runs[0.0]["val_accuracy"][-1] + 0.05
