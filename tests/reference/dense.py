import numpy as np

from .activation import activate
from .arrays import wide

__all__ = ["dense", "dense_backward"]


def dense(x, w, b=None, activation=None):
    """x (N, I), w (I, O), b (O) -> (N, O)"""
    y = wide(x) @ wide(w)
    if b is not None:
        y = y + wide(b)
    return activate(y, activation)


def dense_backward(dy, x, w, need_dx=True):
    """dy (N, O) -> dx (N, I), dw (I, O), db (O)"""
    dy, x, w = wide(dy), wide(x), wide(w)
    return (dy @ w.T if need_dx else None), x.T @ dy, np.sum(dy, axis=0)
