"""Callbacks: code that runs while a model trains. The hooks have Keras's names."""

from nnx.callbacks.base import Callback
from nnx.callbacks.callback_list import CallbackList
from nnx.callbacks.history import History
from nnx.callbacks.progress_bar import ProgressBar

__all__ = ["Callback", "CallbackList", "History", "ProgressBar"]
