"""The front: models, with all that can be done with them."""

from nnx.model.functional import Functional
from nnx.model.given import Callbacks
from nnx.model.model import Model

__all__ = ["Callbacks", "Functional", "Model"]
