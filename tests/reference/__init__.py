"""Every operation of nnx.ops, written from its definition in plain NumPy.

The same names and signatures as nnx.ops; float64 in and out (float128 stays float128, to measure float64 kernels).
"""

from .activation import *  # noqa: F403
from .conv2d import *  # noqa: F403
from .dense import *  # noqa: F403
from .dropout import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .loss import *  # noqa: F403
from .norm import *  # noqa: F403
from .optimizer import *  # noqa: F403
from .pool2d import *  # noqa: F403
from .softmax import *  # noqa: F403
