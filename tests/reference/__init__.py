"""Every operation of nnx.ops, written from its definition in plain NumPy.

The same names and signatures as nnx.ops; float64 in and out (float128 stays float128, to measure float64 kernels).
"""

from .activation import *
from .arithmetic import *
from .augment import *
from .conv2d import *
from .dense import *
from .dropout import *
from .elementwise import *
from .loss import *
from .norm import *
from .optimizer import *
from .pool2d import *
from .softmax import *
