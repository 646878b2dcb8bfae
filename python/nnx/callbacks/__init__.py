"""Callbacks: code that runs while a model trains. The hooks have Keras's names."""

from nnx.callbacks.base import Callback
from nnx.callbacks.callback_list import CallbackList
from nnx.callbacks.csv_logger import CSVLogger
from nnx.callbacks.diagnostics import Diagnostics
from nnx.callbacks.early_stopping import EarlyStopping
from nnx.callbacks.history import History
from nnx.callbacks.lambda_callback import LambdaCallback
from nnx.callbacks.lr_scheduler import LearningRateScheduler
from nnx.callbacks.model_checkpoint import ModelCheckpoint
from nnx.callbacks.progress_bar import ProgressBar
from nnx.callbacks.reduce_lr import ReduceLROnPlateau
from nnx.callbacks.tensorboard import TensorBoard
from nnx.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "Diagnostics",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
