"""Two classes, one sigmoid: a small network parts two moons, learning after every single example."""

import _picture
import nnx
import numpy as np

x, labels = nnx.datasets.moons(400, noise=0.15, seed=1)
x_new, labels_new = nnx.datasets.moons(400, noise=0.15, seed=2)

line = nnx.models.perceptron(2)
network = nnx.Sequential(nnx.Dense(8, "sigmoid"), nnx.Dense(1, "sigmoid"))
scores = {}
for name, model in (("one neuron", line), ("eight hidden neurons", network)):
    model.compile(nnx.SGD(0.2), "binary_crossentropy", ["accuracy"], seed=3)
    # batch_size=1: the weights change after each example, 400 times in an epoch
    history = model.fit(x, labels, batch_size=1, epochs=100, verbose=0).history
    for epoch in (0, 4, 19, 99):
        print(
            f"{name}: epoch {epoch + 1:3}  loss {history['loss'][epoch]:.4f}  accuracy {history['accuracy'][epoch]:.3f}"
        )
    scores[name] = model.evaluate(x_new, labels_new)["accuracy"]
    print(f"{name}: accuracy on new points {scores[name]:.3f}\n")

# Cross-entropy of a sigmoid, by its definition
p = network.predict(x)[:, 0]
by_hand = -np.mean(np.log(np.where(labels == 1, p, 1 - p)))
loss = network.evaluate(x, labels)["loss"]
print(f"cross-entropy {loss:.6f}, by hand {by_hand:.6f}")


def draw(*axes):
    for ax, (name, model) in zip(
        axes, (("One neuron", line), ("Eight hidden neurons", network)), strict=True
    ):
        _picture.regions(ax, lambda points, model=model: model.predict(points) > 0.5, x, labels, name)


_picture.save("mlp_binary.png", draw, panels=2)

assert abs(loss - by_hand) < 1e-5
assert scores["one neuron"] < 0.93
assert scores["eight hidden neurons"] > 0.95
