"""Building a model, with advice where its input is not what it seems."""

from __future__ import annotations

from typing import Any

from nnx._checks import sample_shape, warn
from nnx.data import TRANSPOSE, looks_channels_first
from nnx.graph.graphs import Graphs
from nnx.graph.inputs import is_several, read_shape

_OF_IMAGES = ("conv2d", "max_pool2d", "avg_pool2d", "global_avg_pool2d")


def build(graphs: Graphs, input_shape: Any) -> None:
    """See `Model.build`."""
    shape = read_shape(input_shape, lambda one: sample_shape("build", "input_shape", one))
    if is_several(shape):
        graphs.build(shape)
        return
    turned = looks_channels_first(shape)
    try:
        graphs.build(shape)
    except ValueError as error:
        if turned and type(error) is ValueError:
            error.args = (f"{error}; {TRANSPOSE}",)
        raise
    if turned and any(node["kind"] in _OF_IMAGES for node in graphs.base.graph.nodes()):
        warn(
            f"samples of shape {shape} are taken as images of height {shape[0]}, width {shape[1]} and {shape[2]} "
            f"channels; {TRANSPOSE}"
        )
