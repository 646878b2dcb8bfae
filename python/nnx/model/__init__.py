"""The front: models, with all that can be done with them."""

from nnx.model.arguments import Callbacks
from nnx.model.functional import Functional
from nnx.model.model import Model

__all__ = ["Callbacks", "Functional", "Model"]
