"""Data to learn from: digits that come along, readers of IDX files, and the lecture's toys."""

from nnx.datasets.digits import load_digits
from nnx.datasets.idx import load_idx_folder, read_idx
from nnx.datasets.toy import logic_gate, moons, spirals

__all__ = ["load_digits", "load_idx_folder", "logic_gate", "moons", "read_idx", "spirals"]
