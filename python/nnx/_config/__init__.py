"""Objects that are made of their constructor's arguments, and the JSON that describes them.

`get_config` gives the arguments, `from_config` makes an equal object of them, `repr` shows them. What has a
place of its own in the JSON is written as {"class_name": ..., "config": ...}: objects, arrays, functions of
`nnx.ops`, numbers that are not finite.
"""

from nnx._config.configured import Configured
from nnx._config.decoder import Decoder, UnknownClassError
from nnx._config.encoder import Encoder
from nnx._config.registry import add_own, is_custom, register
from nnx._config.resolving import instead_of, look_up, nearest, our_string, snake_case

__all__ = [
    "Configured",
    "Decoder",
    "Encoder",
    "UnknownClassError",
    "add_own",
    "instead_of",
    "is_custom",
    "look_up",
    "nearest",
    "our_string",
    "register",
    "snake_case",
]
