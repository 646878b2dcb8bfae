"""Learning rates as pure functions of time: nothing is counted inside, so resuming is exact.

`schedule(t)` is the rate at time t, a number or an array of them; t counts epochs or steps from 0, as `per`
says. Given as `learning_rate=` to an optimizer.
"""

from nnx.schedules.base import Constant, Per, Schedule, get
from nnx.schedules.decays import ExponentialDecay, InverseTimeDecay
from nnx.schedules.kinds import CosineDecay, PiecewiseConstant, PiecewiseConstantDecay, StepDecay, Warmup

LearningRateSchedule = Schedule  # Keras's name

__all__ = [
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "Per",
    "PiecewiseConstant",
    "PiecewiseConstantDecay",
    "Schedule",
    "StepDecay",
    "Warmup",
    "get",
]
