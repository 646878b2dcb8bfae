"""Philox4x32-10 (Salmon et al., SC 2011) and what nnx draws from it."""

import numpy as np

from .arrays import wide

__all__ = [
    "dropout",
    "dropout_mask",
    "gaussian_noise",
    "philox4x32",
    "random_uniform",
    "spatial_dropout2d",
    "words",
]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox4x32(counter, key):
    """Ten rounds on four words (arrays allowed) with a key of two -> four words"""
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    for turn in range(10):
        k0, k1 = (np.uint64((k + turn * w) & 0xFFFFFFFF) for k, w in zip(key, WEYL, strict=True))
        p0, p1 = np.uint64(MULTIPLIERS[0]) * a, np.uint64(MULTIPLIERS[1]) * c
        a, b, c, d = (p1 >> HALF) ^ b ^ k0, p1 & LOW, (p0 >> HALF) ^ d ^ k1, p0 & LOW
    return a, b, c, d


def words(n, seed, layer, step):
    """Words of elements 0 .. n - 1: element i takes word i % 4 of block i // 4."""
    block = np.arange(-(-n // 4), dtype=np.uint64)
    counter = (block & LOW, block >> HALF, step & 0xFFFFFFFF, (layer << 16) | (step >> 32))
    key = (seed & 0xFFFFFFFF, seed >> 32)
    rows = np.broadcast_arrays(*philox4x32(counter, key))
    return np.stack(rows, axis=1).reshape(-1)[:n]


def dropout_mask(shape, rate, seed, layer=0, step=0):
    """1 where a word reaches rate * 2^32, rounded: kept"""
    kept = words(int(np.prod(shape)), seed, layer, step) >= np.uint64(round(rate * 2**32))
    return kept.astype(np.uint8).reshape(shape)


def dropout(x, rate, seed, layer=0, step=0):
    x = wide(x)
    return np.where(dropout_mask(x.shape, rate, seed, layer, step) == 1, x / (1 - rate), 0)


def spatial_dropout2d(x, rate, seed, layer=0, step=0):
    x = wide(x)
    mask = dropout_mask((x.shape[0], x.shape[3]), rate, seed, layer, step)
    return np.where(mask[:, None, None, :] == 1, x / (1 - rate), 0)


def gaussian_noise(x, stddev, seed, layer=0, step=0):
    """Box and Muller: the cosine for elements 2i, the sine for 2i + 1"""
    x = wide(x)
    pairs = words(x.size + x.size % 2, seed, layer, step).reshape(-1, 2).astype(np.float64)
    radius, angle = np.sqrt(-2 * np.log((pairs[:, 0] + 1) / 2**32)), 2 * np.pi * pairs[:, 1] / 2**32
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[: x.size]
    return x + stddev * z.reshape(x.shape)


def random_uniform(shape, low, high, seed, layer=0, step=0, dtype="float32"):
    """low + (high - low) * 24 bits"""
    bits = words(int(np.prod(shape)), seed, layer, step) >> np.uint64(8)
    return (low + (high - low) * bits.astype(np.float64) / 2**24).reshape(shape)
