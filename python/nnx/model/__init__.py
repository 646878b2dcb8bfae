"""The front: models, with all that can be done with them."""

from nnx.model.functional import Functional
from nnx.model.model import Callbacks, Model

__all__ = ["Callbacks", "Functional", "Model"]
