"""Metrics under Keras's names, which they are reported under, too."""

from nnx.metrics.kinds import MAE, MSE, R2, RMSE, Accuracy, TopK


class CategoricalAccuracy(Accuracy):
    """`Accuracy`; targets may be labels as well as one-hot."""

    name = "categorical_accuracy"


class SparseCategoricalAccuracy(Accuracy):
    """`Accuracy`; targets may be one-hot as well as labels."""

    name = "sparse_categorical_accuracy"


class TopKCategoricalAccuracy(TopK):
    """`TopK`; targets may be labels as well as one-hot."""

    name = "top_k_categorical_accuracy"


class SparseTopKCategoricalAccuracy(TopK):
    """`TopK`; targets may be one-hot as well as labels."""

    name = "sparse_top_k_categorical_accuracy"


class MeanSquaredError(MSE):
    """`MSE`."""

    name = "mean_squared_error"


class RootMeanSquaredError(RMSE):
    """`RMSE`."""

    name = "root_mean_squared_error"


class MeanAbsoluteError(MAE):
    """`MAE`."""

    name = "mean_absolute_error"


class R2Score(R2):
    """`R2`."""

    name = "r2_score"


__all__ = [
    "CategoricalAccuracy",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
]
