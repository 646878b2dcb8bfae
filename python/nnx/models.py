"""Well-known models, ready to compile. Classifiers end in logits: train them with "cross_entropy"."""

from __future__ import annotations

from collections.abc import Sequence

from nnx._types import Shape
from nnx.data import TRANSPOSE, looks_channels_first
from nnx.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D
from nnx.layers.activation import ActivationLike
from nnx.loading import load as load_model
from nnx.model import Model
from nnx.sequential import Sequential

__all__ = ["Model", "Sequential", "alexnet", "lenet", "load_model", "mlp", "perceptron"]


def perceptron(inputs: int, activation: ActivationLike = "sigmoid") -> Sequential:
    """A single neuron (Rosenblatt 1958): (N, inputs) -> (N, 1).

    The sigmoid makes it trainable by its gradient; with "step" it is the historical one, for weights set by
    hand.
    """
    return _built([Dense(1, activation)], (inputs,))


def mlp(
    inputs: int | Sequence[int],
    hidden: int | Sequence[int],
    classes: int,
    activation: ActivationLike = "relu",
    dropout: float = 0.0,
) -> Sequential:
    """Dense layers of the sizes `hidden`, each with activation and dropout, and a last one of `classes`.

    `inputs` is a number or, for images, a shape (H, W, C) that is flattened first.
    """
    shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
    layers: list[Layer] = [Flatten()] if len(shape) > 1 else []
    for units in (hidden,) if isinstance(hidden, int) else hidden:
        layers.append(Dense(units, activation))
        if dropout:
            layers.append(Dropout(dropout))
    return _built([*layers, Dense(classes)], shape)


def lenet(input_shape: Shape, classes: int) -> Sequential:
    """A small convolutional network after LeNet-5 (LeCun et al. 1998), with ReLU, max-pooling and dropout."""
    if len(input_shape) == 3 and min(input_shape[:2]) < 4:
        raise ValueError(
            f"lenet: argument 'input_shape' expected images of at least 4 x 4, got {input_shape}{_hint(input_shape)}"
        )
    layers = [
        Conv2D(32, 3, padding="same", activation="relu"),
        MaxPool2D(2),
        Conv2D(64, 3, padding="same", activation="relu"),
        MaxPool2D(2),
        Flatten(),
        Dense(128, "relu"),
        Dropout(0.5),
        Dense(classes),
    ]
    return _built(layers, input_shape)


def alexnet(input_shape: Shape = (224, 224, 3), classes: int = 1000) -> Sequential:
    """AlexNet in one column (Krizhevsky 2014): five convolutions, two hidden dense layers, the classifier."""
    if len(input_shape) == 3 and min(input_shape[:2]) < 63:
        raise ValueError(
            f"alexnet: argument 'input_shape' expected images of at least 63 x 63, got {input_shape}{_hint(input_shape)}"
        )
    layers = [
        Conv2D(64, 11, strides=4, padding=2, activation="relu"),
        MaxPool2D(3, 2),
        Conv2D(192, 5, padding=2, activation="relu"),
        MaxPool2D(3, 2),
        Conv2D(384, 3, padding=1, activation="relu"),
        Conv2D(256, 3, padding=1, activation="relu"),
        Conv2D(256, 3, padding=1, activation="relu"),
        MaxPool2D(3, 2),
        Flatten(),
        Dropout(0.5),
        Dense(4096, "relu"),
        Dropout(0.5),
        Dense(4096, "relu"),
        Dense(classes),
    ]
    return _built(layers, input_shape)


def _hint(input_shape: Shape) -> str:
    return f"; {TRANSPOSE}" if looks_channels_first(tuple(input_shape)) else ""


def _built(layers: Sequence[Layer], input_shape: Shape) -> Sequential:
    model = Sequential(*layers)
    model.build(input_shape)
    return model
