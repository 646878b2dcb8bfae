"""The handwritten digits that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnx.datasets.idx import read_idx


def load_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """1,797 handwritten digits: images (1797, 8, 8, 1) of values 0 to 16 and labels (1797,), both uint8.

    The test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine
    Learning Repository, doi:10.24432/C50P49, CC BY 4.0; see LICENSE-digits.txt beside this file.
    """
    folder = Path(__file__).parent
    images = read_idx(folder / "digits-images-idx3-ubyte.gz")
    return images[..., None], read_idx(folder / "digits-labels-idx1-ubyte.gz")
