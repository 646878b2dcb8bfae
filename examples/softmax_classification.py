"""Several classes: softmax makes probabilities of logits, cross-entropy makes them right."""

import _picture
import nnx
import numpy as np

animals = ("cat", "dog", "horse")
logits = np.array([[5, 4, 2], [4, 2, 8], [1, 4, 4]], np.float32)
probabilities = nnx.ops.softmax(logits)
print("picture of   logits          softmax")
for animal, z, p in zip(animals, logits, probabilities, strict=True):
    print(f"{animal:12} {z}       {np.floor(p * 10) / 10}")
np.testing.assert_array_equal(np.floor(probabilities * 10), [[7, 2, 0], [0, 0, 9], [0, 4, 4]])

labels = np.array([0, 1, 2])
losses = nnx.ops.softmax_cross_entropy(logits, labels, reduction="none")
print(f"cross-entropy -log p[label]: {np.round(losses, 3)}: the dog, taken for a horse, costs the most")
np.testing.assert_allclose(losses, -np.log(probabilities[range(3), labels]), rtol=1e-5)

# The gradient by the logits is the difference of what came and what was wanted.
gradient = nnx.ops.softmax_cross_entropy_backward(logits, labels, reduction="sum")
np.testing.assert_allclose(gradient, probabilities - np.eye(3), atol=1e-6)
print(f"its gradient, softmax - one-hot, of the dog: {np.round(gradient[1], 3)}\n")

x, arms = nnx.datasets.spirals(600, classes=3, noise=0.15, seed=0)
model = nnx.models.mlp(2, (64, 32), 3)
model.compile(nnx.SGD(0.05, momentum=0.9), "cross_entropy", ["accuracy"], seed=1)
history = model.fit(x, arms, epochs=150, validation_split=0.25, verbose=0).history
for epoch in (0, 19, 49, 149):
    print(
        f"spirals: epoch {epoch + 1:3}  loss {history['loss'][epoch]:.4f}  held out {history['val_accuracy'][epoch]:.3f}"
    )
print(
    "confusion matrix, rows are the true arms:",
    nnx.metrics.confusion_matrix(arms, model.predict(x)),
    sep="\n",
)


def draw(ax):
    _picture.regions(
        ax, lambda points: model.predict(points).argmax(axis=1), x, arms, "Three arms of a spiral"
    )


_picture.save("softmax_classification.png", draw)

assert history["val_accuracy"][-1] > 0.9
