"""Data to learn from: digits that come along, readers of files and folders, and the lecture's toys."""

from nnx.datasets.csv_file import load_csv
from nnx.datasets.dataset import Dataset
from nnx.datasets.digits import load_digits
from nnx.datasets.idx import load_idx_folder, read_idx
from nnx.datasets.image_folder import load_image_folder
from nnx.datasets.toy import logic_gate, moons, spirals

__all__ = [
    "Dataset",
    "load_csv",
    "load_digits",
    "load_idx_folder",
    "load_image_folder",
    "logic_gate",
    "moons",
    "read_idx",
    "spirals",
]
