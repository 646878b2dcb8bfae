"""The compiled core. Private: `nnx` and `nnx.ops` are its public face."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

class Tensor:
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def device(self) -> str: ...
    def numpy(self) -> npt.NDArray[Any]: ...
    def to(self, device: str) -> Tensor: ...
    def item(self) -> Any: ...
    def __len__(self) -> int: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]: ...
    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

_Floats: TypeAlias = npt.NDArray[Any]
_X = TypeVar("_X", _Floats, Tensor)
_Operand: TypeAlias = Any
_Padding: TypeAlias = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
_Pair: TypeAlias = int | tuple[int, int]
_Activation: TypeAlias = str | None
_Reduction: TypeAlias = Literal["mean", "sum", "none"]
_Weights: TypeAlias = npt.ArrayLike | None
_ClassWeight: TypeAlias = dict[int, float] | npt.ArrayLike | None
_Arrays: TypeAlias = npt.NDArray[Any] | Tensor | tuple[npt.NDArray[Any] | Tensor | None, ...]
_Progress: TypeAlias = Callable[[int, int, float, list[list[float]]], bool | None] | None

def tensor(obj: Any, dtype: npt.DTypeLike | None = None, device: str = "cpu") -> Tensor: ...
def from_dlpack(obj: Any) -> Tensor: ...
def set_num_threads(count: int) -> None: ...
def get_num_threads() -> int: ...
def info() -> dict[str, Any]: ...
def cuda_is_available() -> bool: ...
def cuda_device_count() -> int: ...
def cuda_first_device() -> int: ...
def cuda_device_info(index: int) -> dict[str, Any]: ...
def cuda_is_emulated() -> bool: ...
def cuda_memory_stats(index: int = 0) -> dict[str, int]: ...
def cuda_empty_cache() -> None: ...
def dense(x: _X, w: _Operand, b: _Operand = None, activation: _Activation = None) -> _X: ...
def dense_backward(dy: _X, x: _X, w: _Operand, need_dx: bool = True) -> tuple[_X | None, _X, _X]: ...
def conv2d(
    x: _X,
    w: _Operand,
    b: _Operand = None,
    strides: _Pair = 1,
    padding: _Padding = "valid",
    dilation: _Pair = 1,
    groups: int = 1,
    activation: _Activation = None,
) -> _X: ...
def conv2d_output_shape(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    strides: _Pair = 1,
    padding: _Padding = "valid",
    dilation: _Pair = 1,
    groups: int = 1,
) -> tuple[int, ...]: ...
def conv2d_backward(
    dy: _X,
    x: _X,
    w: _Operand,
    strides: _Pair = 1,
    padding: _Padding = "valid",
    dilation: _Pair = 1,
    groups: int = 1,
    need_dx: bool = True,
) -> tuple[_X | None, _X, _X]: ...
def conv2d_transpose(
    x: _X,
    w: _Operand,
    b: _Operand = None,
    strides: _Pair = 1,
    padding: _Padding = "valid",
    output_padding: _Pair | None = None,
    dilation: _Pair = 1,
    activation: _Activation = None,
) -> _X: ...
def conv2d_transpose_backward(
    dy: _X,
    x: _X,
    w: _Operand,
    strides: _Pair = 1,
    padding: _Padding = "valid",
    output_padding: _Pair | None = None,
    dilation: _Pair = 1,
    need_dx: bool = True,
) -> tuple[_X | None, _X, _X]: ...
def pool2d_output_shape(
    x_shape: Sequence[int],
    pool_size: _Pair = 2,
    strides: _Pair | None = None,
    padding: _Padding = "valid",
    dilation: _Pair = 1,
    ceil_mode: bool = False,
) -> tuple[int, ...]: ...
def max_pool2d(
    x: _X,
    pool_size: _Pair = 2,
    strides: _Pair | None = None,
    padding: _Padding = "valid",
    dilation: _Pair = 1,
    ceil_mode: bool = False,
) -> tuple[_X, _X]: ...
def max_pool2d_backward(
    dy: _X,
    index: _X,
    x_shape: Sequence[int],
    pool_size: _Pair = 2,
    strides: _Pair | None = None,
    padding: _Padding = "valid",
    dilation: _Pair = 1,
    ceil_mode: bool = False,
) -> _X: ...
def avg_pool2d(
    x: _X,
    pool_size: _Pair = 2,
    strides: _Pair | None = None,
    padding: _Padding = "valid",
    count_include_pad: bool = False,
    dilation: _Pair = 1,
    ceil_mode: bool = False,
) -> _X: ...
def avg_pool2d_backward(
    dy: _X,
    x_shape: Sequence[int],
    pool_size: _Pair = 2,
    strides: _Pair | None = None,
    padding: _Padding = "valid",
    count_include_pad: bool = False,
    dilation: _Pair = 1,
    ceil_mode: bool = False,
) -> _X: ...
def global_avg_pool2d(x: _X) -> _X: ...
def global_avg_pool2d_backward(dy: _X, x_shape: Sequence[int]) -> _X: ...
def global_max_pool2d(x: _X) -> _X: ...
def global_max_pool2d_backward(dy: _X, x: _X) -> _X: ...
def upsample2d(x: _X, size: _Pair = 2, interpolation: str = "nearest") -> _X: ...
def upsample2d_backward(dy: _X, size: _Pair = 2, interpolation: str = "nearest") -> _X: ...
def step(x: _X) -> _X: ...
def sigmoid(x: _X) -> _X: ...
def tanh(x: _X) -> _X: ...
def relu(x: _X) -> _X: ...
def leaky_relu(x: _X, negative_slope: float = 0.01) -> _X: ...
def elu(x: _X, alpha: float = 1.0) -> _X: ...
def gelu(x: _X) -> _X: ...
def silu(x: _X) -> _X: ...
def step_backward(dy: _X, y: _X) -> _X: ...
def sigmoid_backward(dy: _X, y: _X) -> _X: ...
def tanh_backward(dy: _X, y: _X) -> _X: ...
def relu_backward(dy: _X, y: _X) -> _X: ...
def leaky_relu_backward(dy: _X, y: _X, negative_slope: float = 0.01) -> _X: ...
def elu_backward(dy: _X, y: _X, alpha: float = 1.0) -> _X: ...
def gelu_backward(dy: _X, x: _X) -> _X: ...
def silu_backward(dy: _X, x: _X) -> _X: ...
def softmax(x: _X, axis: int = -1) -> _X: ...
def log_softmax(x: _X, axis: int = -1) -> _X: ...
def softmax_backward(dy: _X, y: _X, axis: int = -1) -> _X: ...
def log_softmax_backward(dy: _X, y: _X, axis: int = -1) -> _X: ...
def dropout(x: _X, rate: float, seed: int, layer: int = 0, step: int = 0) -> _X: ...
def spatial_dropout2d(x: _X, rate: float, seed: int, layer: int = 0, step: int = 0) -> _X: ...
def gaussian_noise(x: _X, stddev: float, seed: int, layer: int = 0, step: int = 0) -> _X: ...
def warp(
    where: str,
    x: _X,
    flip: str = "none",
    motion: str = "none",
    low: tuple[float, float] = (0, 0),
    high: tuple[float, float] = (0, 0),
    height: int = 0,
    width: int = 0,
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    interpolation: str = "bilinear",
    seed: int = 0,
    layer: int = 0,
    step: int = 0,
    flip_layer: int = 0,
) -> _X: ...
def warp_backward(
    where: str,
    dy: _X,
    x_shape: Sequence[int],
    flip: str = "none",
    motion: str = "none",
    low: tuple[float, float] = (0, 0),
    high: tuple[float, float] = (0, 0),
    height: int = 0,
    width: int = 0,
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    interpolation: str = "bilinear",
    seed: int = 0,
    layer: int = 0,
    step: int = 0,
    flip_layer: int = 0,
) -> _X: ...
def random_contrast(
    x: _X,
    low: float,
    high: float,
    value_range: tuple[float, float],
    seed: int,
    layer: int = 0,
    step: int = 0,
) -> _X: ...
def random_contrast_backward(
    dy: _X,
    x: _X,
    low: float,
    high: float,
    value_range: tuple[float, float],
    seed: int,
    layer: int = 0,
    step: int = 0,
) -> _X: ...
def dropout_mask(
    shape: Sequence[int], rate: float, seed: int, layer: int = 0, step: int = 0
) -> npt.NDArray[np.uint8]: ...
def random_uniform(
    shape: Sequence[int],
    low: float,
    high: float,
    seed: int,
    layer: int = 0,
    step: int = 0,
    dtype: str = "float32",
) -> _Floats: ...
def random_normal(
    shape: Sequence[int],
    mean: float,
    deviation: float,
    seed: int,
    layer: int = 0,
    step: int = 0,
    dtype: str = "float32",
) -> _Floats: ...
def philox4x32(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]: ...
def batch_norm(
    x: _X,
    gamma: _Operand,
    beta: _Operand,
    running_mean: _Operand,
    running_var: _Operand,
    training: bool = False,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
) -> Any: ...
def batch_norm_backward(
    dy: _X, x: _X, gamma: _Operand, saved_mean: _X, saved_inverse: _X
) -> tuple[_X, _X, _X]: ...
def group_norm(
    x: _X, groups: int, gamma: _Operand = None, beta: _Operand = None, epsilon: float = 1e-5
) -> _X: ...
def group_norm_backward(
    dy: _X, x: _X, groups: int, gamma: _Operand = None, epsilon: float = 1e-5
) -> tuple[_X, _X, _X]: ...
def layer_norm(
    x: _X, gamma: _Operand = None, beta: _Operand = None, epsilon: float = 1e-5, axes: int = 1
) -> _X: ...
def layer_norm_backward(
    dy: _X, x: _X, gamma: _Operand = None, epsilon: float = 1e-5, axes: int = 1
) -> tuple[_X, _X, _X]: ...
def local_response_norm(
    x: _X, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> _X: ...
def local_response_norm_backward(
    dy: _X, x: _X, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> _X: ...
def add(a: _X, b: _X) -> _X: ...
def multiply(a: _X, b: _X) -> _X: ...
def concat(arrays: Sequence[_Operand], axis: int = -1) -> Any: ...
def scale(x: _X, factor: float) -> _X: ...
def normalize(x: _X, mean: _Operand, deviation: _Operand) -> _X: ...

class Expression:
    def __init__(self) -> None: ...
    def input(self, index: int) -> int: ...
    def constant(self, value: float) -> int: ...
    def apply(self, operation: str, a: int, b: int = -1) -> int: ...
    def result(self, term: int) -> None: ...

def evaluate(where: str, expression: Expression, inputs: Sequence[Any]) -> list[Any]: ...
def evaluate_backward(
    where: str, expression: Expression, dys: Sequence[Any], inputs: Sequence[Any]
) -> list[Any]: ...
def sum(where: str, x: Any, axes: Sequence[int], keepdims: bool, factor: float) -> Any: ...
def sum_backward(
    where: str, dy: Any, shape: Sequence[int], axes: Sequence[int], keepdims: bool, factor: float
) -> Any: ...
def pad(x: Any, padding: Sequence[tuple[int, int]], value: float) -> Any: ...
def mean_squared_error(
    y: _X, t: _Operand, reduction: _Reduction = "mean", sample_weight: _Weights = None
) -> Any: ...
def mean_squared_error_backward(
    y: _X, t: _Operand, reduction: _Reduction = "mean", sample_weight: _Weights = None
) -> _X: ...
def mean_absolute_error(
    y: _X, t: _Operand, reduction: _Reduction = "mean", sample_weight: _Weights = None
) -> Any: ...
def mean_absolute_error_backward(
    y: _X, t: _Operand, reduction: _Reduction = "mean", sample_weight: _Weights = None
) -> _X: ...
def huber(
    y: _X, t: _Operand, delta: float = 1.0, reduction: _Reduction = "mean", sample_weight: _Weights = None
) -> Any: ...
def huber_backward(
    y: _X, t: _Operand, delta: float = 1.0, reduction: _Reduction = "mean", sample_weight: _Weights = None
) -> _X: ...
def half_sum_squared_error(
    y: _X, t: _Operand, reduction: _Reduction = "sum", sample_weight: _Weights = None
) -> Any: ...
def half_sum_squared_error_backward(
    y: _X, t: _Operand, reduction: _Reduction = "sum", sample_weight: _Weights = None
) -> _X: ...
def binary_cross_entropy(
    p: _X,
    t: _Operand,
    reduction: _Reduction = "mean",
    sample_weight: _Weights = None,
    class_weight: _ClassWeight = None,
) -> Any: ...
def binary_cross_entropy_backward(
    p: _X,
    t: _Operand,
    reduction: _Reduction = "mean",
    sample_weight: _Weights = None,
    class_weight: _ClassWeight = None,
) -> _X: ...
def sigmoid_binary_cross_entropy(
    z: _X,
    t: _Operand,
    reduction: _Reduction = "mean",
    sample_weight: _Weights = None,
    class_weight: _ClassWeight = None,
) -> Any: ...
def sigmoid_binary_cross_entropy_backward(
    z: _X,
    t: _Operand,
    reduction: _Reduction = "mean",
    sample_weight: _Weights = None,
    class_weight: _ClassWeight = None,
) -> _X: ...
def softmax_cross_entropy(
    z: _X,
    labels_or_onehot: _Operand,
    label_smoothing: float = 0.0,
    reduction: _Reduction = "mean",
    sample_weight: _Weights = None,
    class_weight: _ClassWeight = None,
) -> Any: ...
def softmax_cross_entropy_backward(
    z: _X,
    labels_or_onehot: _Operand,
    label_smoothing: float = 0.0,
    reduction: _Reduction = "mean",
    sample_weight: _Weights = None,
    class_weight: _ClassWeight = None,
) -> _X: ...
def sgd_update(
    p: _Operand,
    g: _Operand,
    velocity: _Operand,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None: ...
def adam_update(
    p: _Operand,
    g: _Operand,
    m: _Operand,
    v: _Operand,
    step: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None: ...
def rmsprop_update(
    p: _Operand,
    g: _Operand,
    square: _Operand,
    mean: _Operand | None,
    velocity: _Operand | None,
    learning_rate: float,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None: ...
def adagrad_update(
    p: _Operand,
    g: _Operand,
    sum: _Operand,
    learning_rate: float,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None: ...
def lion_update(
    p: _Operand,
    g: _Operand,
    m: _Operand,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> None: ...
def average_update(average: _Operand, p: _Operand, step: int, momentum: float = 0.99) -> None: ...
def clip_gradient(g: _Operand, clip_value: float) -> None: ...
def penalty(w: _Operand, l1: float = 0.0, l2: float = 0.0, g: _Operand | None = None) -> float: ...
def count_top_k(z: _Operand, targets: _Operand, k: int = 1) -> npt.NDArray[np.float64]: ...
def count_binary(p: _Operand, t: _Operand, threshold: float = 0.5) -> npt.NDArray[np.float64]: ...
def confusion(z: _Operand, targets: _Operand) -> npt.NDArray[np.float64]: ...
def binary_confusion(p: _Operand, t: _Operand, threshold: float = 0.5) -> npt.NDArray[np.float64]: ...
def regression_sums(y: _Operand, t: _Operand) -> npt.NDArray[np.float64]: ...
def check_labels(labels: _Operand, classes: int, name: str = "labels") -> Any: ...

class Graph:
    def __init__(self) -> None: ...
    def scope(self, name: str) -> None: ...
    def input(self, shape: Sequence[int]) -> int: ...
    def parameter(self, index: int, shape: Sequence[int]) -> int: ...
    def dense(self, x: int, w: int, b: int, activation: str = "identity", alpha: float = 0.0) -> int: ...
    def conv2d(
        self,
        x: int,
        w: int,
        b: int,
        strides: _Pair = 1,
        padding: _Padding = "valid",
        dilation: _Pair = 1,
        groups: int = 1,
        activation: str = "identity",
        alpha: float = 0.0,
    ) -> int: ...
    def conv2d_transpose(
        self,
        x: int,
        w: int,
        b: int,
        strides: _Pair = 1,
        padding: _Padding = "valid",
        output_padding: _Pair | None = None,
        dilation: _Pair = 1,
    ) -> int: ...
    def max_pool2d(
        self,
        x: int,
        pool_size: _Pair = 2,
        strides: _Pair | None = None,
        padding: _Padding = "valid",
        dilation: _Pair = 1,
        ceil_mode: bool = False,
    ) -> int: ...
    def avg_pool2d(
        self,
        x: int,
        pool_size: _Pair = 2,
        strides: _Pair | None = None,
        padding: _Padding = "valid",
        count_include_pad: bool = False,
        dilation: _Pair = 1,
        ceil_mode: bool = False,
    ) -> int: ...
    def global_avg_pool2d(self, x: int) -> int: ...
    def global_max_pool2d(self, x: int) -> int: ...
    def upsample2d(self, x: int, size: _Pair = 2, interpolation: str = "nearest") -> int: ...
    def group_norm(self, x: int, gamma: int, beta: int, groups: int, epsilon: float) -> int: ...
    def layer_norm(self, x: int, gamma: int, beta: int, axes: int, epsilon: float) -> int: ...
    def activation(self, x: int, kind: str, alpha: float = 0.0) -> int: ...
    def softmax(self, x: int) -> int: ...
    def log_softmax(self, x: int) -> int: ...
    def dropout(self, x: int, rate: float, layer: int) -> int: ...
    def channel_dropout(self, x: int, rate: float, layer: int, seed: int | None = None) -> int: ...
    def noise(self, x: int, stddev: float, layer: int, seed: int | None = None) -> int: ...
    def warp(
        self,
        where: str,
        x: int,
        flip: str = "none",
        motion: str = "none",
        low: tuple[float, float] = (0, 0),
        high: tuple[float, float] = (0, 0),
        height: int = 0,
        width: int = 0,
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        interpolation: str = "bilinear",
        layer: int = 0,
        seed: int | None = None,
    ) -> int: ...
    def contrast(
        self,
        x: int,
        low: float,
        high: float,
        value_range: tuple[float, float],
        layer: int,
        seed: int | None = None,
    ) -> int: ...
    def batch_norm(
        self, x: int, gamma: int, beta: int, mean: int, variance: int, momentum: float, epsilon: float
    ) -> int: ...
    def local_response_norm(self, x: int, size: int, alpha: float, beta: float, k: float) -> int: ...
    def add(self, a: int, b: int) -> int: ...
    def multiply(self, a: int, b: int) -> int: ...
    def scale(self, x: int, factor: float) -> int: ...
    def concat(self, xs: list[int], axis: int = -1) -> int: ...
    def reshape(self, x: int, shape: Sequence[int]) -> int: ...
    def normalize(self, x: int, mean: int, deviation: int) -> int: ...
    def target(self, shape: Sequence[int]) -> int: ...
    def constant(self, value: float) -> int: ...
    def arithmetic(self, operation: str, inputs: Sequence[int]) -> int: ...
    def sum(self, x: int, axes: Sequence[int], keepdims: bool, factor: float) -> int: ...
    def slice(self, x: int, starts: Sequence[int], counts: Sequence[int], steps: Sequence[int]) -> int: ...
    def pad(self, x: int, padding: Sequence[tuple[int, int]], value: float) -> int: ...
    def shape(self, node: int) -> tuple[int, ...]: ...
    def nodes(self) -> list[dict[str, Any]]: ...

class Parameters:
    def __init__(
        self,
        names: Sequence[str],
        shapes: Sequence[Sequence[int]],
        trainable: Sequence[bool],
        dtype: str = "float32",
        device: str = "cpu",
        homes: Sequence[tuple[Parameters, int] | None] = ...,
    ) -> None: ...
    def same(self, index: int, other: Parameters, other_index: int) -> bool: ...
    def get(self, index: int, slot: str = "value") -> _Floats: ...
    def set(self, index: int, array: _Floats, slot: str = "value") -> None: ...
    def begin_as(self, other: Parameters) -> None: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def trainable(self) -> list[bool]: ...
    @property
    def states(self) -> list[str]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def device(self) -> str: ...
    def __len__(self) -> int: ...

class Program:
    def __init__(
        self,
        graph: Graph,
        output: int | Sequence[int],
        parameters: Parameters,
        max_batch: int,
        training: bool,
        loss: dict[str, Any] | Sequence[dict[str, Any] | None] | None = None,
        optimizer: dict[str, Any] | None = None,
        metrics: list[dict[str, Any]] = ...,
        seed: int = 0,
        precision: str = "strict",
        measure_every: int = 0,
        apply: bool = False,
        describe: bool = False,
        parameter_specs: Sequence[tuple[float, float, float]] = ...,
        accumulate: int = 1,
        averaged: bool = False,
    ) -> None: ...
    def train_epoch(
        self,
        x: _Arrays,
        y: _Arrays,
        sample_weight: _Arrays | None,
        order: npt.NDArray[np.int64] | None,
        batch_size: int,
        learning_rates: npt.NDArray[np.float64],
        first_step: int,
        progress: _Progress = None,
        interval: float = 0.1,
        labels_checked: bool = False,
        counter: Any = None,
        start: dict[str, Any] | None = None,
    ) -> dict[str, Any]: ...
    def train_step(
        self,
        x: _Arrays,
        y: _Arrays,
        sample_weight: _Arrays | None,
        learning_rate: float,
        step: int,
        counter: Any = None,
    ) -> float: ...
    def apply(self, learning_rate: float, step: int, counter: Any = None) -> None: ...
    def evaluate(
        self,
        x: _Arrays,
        y: _Arrays,
        sample_weight: _Arrays | None,
        batch_size: int,
        progress: _Progress = None,
        interval: float = 0.1,
        labels_checked: bool = False,
    ) -> dict[str, Any]: ...
    def predict(
        self, x: _Arrays, batch_size: int, progress: _Progress = None, interval: float = 0.1
    ) -> Any: ...
    @property
    def last(self) -> dict[str, Any]: ...
    @property
    def flops_forward(self) -> int: ...
    @property
    def flops_training(self) -> int: ...
    def measured(self) -> list[tuple[str, str, list[float]]]: ...
    def memory(self) -> dict[str, int]: ...
