"""The same network for ONNX Runtime, with the same weights."""

from __future__ import annotations

from typing import Any

import models
import nnx
import numpy as np
import onnxruntime
from common import Candidate, expect, relative_error
from onnx import TensorProto, helper, numpy_helper

ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
OPSET = 17


class Twin:
    """A session; images go in as (N, C, H, W)."""

    def __init__(self, model: nnx.Sequential, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        content = _network(model).SerializeToString()
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def __call__(self, x: np.ndarray) -> Any:
        return self.session.run(None, {"x": x})[0]


def inputs(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def predict(model: nnx.Sequential, x: np.ndarray, threads: int, title: str) -> Candidate:
    """Outputs for one batch, checked against nnx's."""
    twin, batch = Twin(model, threads), inputs(x)
    expect(f"{title}: outputs of ONNX Runtime", relative_error(twin(batch), model.predict(x)), 1e-4)
    return Candidate(lambda: twin(batch))


def _network(model: nnx.Sequential) -> Any:
    nodes: list[Any] = []
    weights: list[Any] = []
    image: tuple[int, ...] | None = None  # the shape that was flattened last

    def add(kind: str, *arrays: np.ndarray, **attributes: Any) -> None:
        number = len(nodes)
        names = [f"w{number}.{i}" for i in range(len(arrays))]
        values = [np.ascontiguousarray(array) for array in arrays]
        weights.extend(numpy_helper.from_array(v, n) for v, n in zip(values, names, strict=True))
        before = f"y{number - 1}" if number else "x"
        nodes.append(helper.make_node(kind, [before, *names], [f"y{number}"], **attributes))

    for part in models.parts(model):
        layer = part.layer
        if part.kind == "Conv2D":
            kernel = layer.kernel.numpy().transpose(3, 2, 0, 1)
            strides, pads = models.pair(layer.strides), [*part.padding, *part.padding]
            add("Conv", kernel, layer.bias.numpy(), strides=strides, pads=pads)
        elif part.kind == "MaxPool2D":
            size = models.pair(layer.pool_size)
            add("MaxPool", kernel_shape=size, strides=models.pair(layer.strides or size))
        elif part.kind == "Flatten":
            add("Flatten")
            image = part.before if len(part.before) == 3 else None
        elif part.kind == "Dense":
            kernel = layer.kernel.numpy()
            if image is not None:  # rows in the order (C, H, W)
                kernel = kernel.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
                image = None
            add("Gemm", kernel, layer.bias.numpy())
        if getattr(layer, "activation", None):
            add(ACTIVATIONS[layer.activation])
    shape = model.input_shape or ()
    shape = (shape[2], shape[0], shape[1]) if len(shape) == 3 else shape
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])
    y = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "twin", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
