import numpy as np

from .arrays import wide

__all__ = ["concat", "normalize"]


def concat(arrays, axis=-1):
    return np.concatenate([wide(a) for a in arrays], axis=axis)


def normalize(x, mean, deviation):
    """x (..., C), mean and deviation (C)"""
    return (wide(x) - wide(mean)) / wide(deviation)
