"""Gradients, updates and units of each layer, measured while the model trains."""

from __future__ import annotations

from nnx._checks import integer
from nnx.callbacks.base import Callback, Logs


class Diagnostics(Callback):
    """Measures, layer by layer, what tells whether training is healthy; `history.diagnostics` has it.

        history = model.fit(x, y, epochs=10, callbacks=[nnx.callbacks.Diagnostics()])
        history.diagnostics["conv2d"]["gradient_norm"]  # one value per epoch
        nnx.plots.diagnostics(history)

    Of each layer with weights that are trained, over the measured steps of an epoch:

    - "gradient_norm", "largest_gradient_norm": mean and maximum of the gradient's L2 norm, over all weights of
      the layer together, regularizers' part included, before weight decay and scaling by `clip_norm`, but as
      `clip_value` leaves it;
    - "update_ratio": the mean of |weights after the step - before| / |weights before|;

    and of each layer with such an activation:

    - "dead": the share of its ReLUs, units of a dense layer or channels of a convolution, that were 0 for every
      sample and at every place;
    - "saturated": the share of values of a sigmoid below 0.01 or above 0.99, or of a tanh beyond 0.99 or -0.99.

    A ReLU that is a layer of its own right behind a dense or convolutional one counts with that. A layer that is
    used at several places has its units at each of them, and so have functions, `nnx.ops.relu` and the like,
    in the layer whose `forward` calls them ("(forward)": the model's own). Sigmoids and tanhs right before a max-pool are not counted.
    Leaky ReLUs, ELUs and the like cannot be dead and are not counted, nor is a sigmoid at the end of a model that
    is trained with a cross-entropy, which is computed from its logits. Weights come to the same bits with and
    without it.

    Args:
        every: measures at steps whose number it divides, >= 1.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = integer("Diagnostics", "every", every)
        self.measure_every = self.every
        self.diagnostics: dict[str, dict[str, list[float]]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Takes the epoch's numbers."""
        self.diagnostics = by_quantity(self.model.diagnostics)


def by_quantity(epochs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, list[float]]]:
    """By layer and quantity, a list with a value for each epoch that measured it."""
    result: dict[str, dict[str, list[float]]] = {}
    for layers in epochs:
        for layer, values in layers.items():
            for quantity, value in values.items():
                result.setdefault(layer, {}).setdefault(quantity, []).append(value)
    return result
