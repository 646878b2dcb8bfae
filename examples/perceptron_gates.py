"""Perceptrons as logic gates: AND, OR and NAND take one each, XOR takes two layers."""

import itertools

import _picture
import nnx
import numpy as np

INPUTS, _ = nnx.datasets.logic_gate("and")  # the four cases 00, 01, 10, 11


def perceptron(weights, bias):
    """step(x @ weights + bias), with weights set by hand."""
    model = nnx.models.perceptron(2, activation="step")
    model.set_weights([np.reshape(weights, (2, 1)), [bias]])
    return model


def answers(outputs):
    return np.ravel(outputs).astype(int).tolist()


gates = {
    "AND": perceptron([1, 1], -1.5),
    "OR": perceptron([1, 1], -0.5),
    "NAND": perceptron([-1, -1], 1.5),
}
for name, gate in gates.items():
    print(f"{name:5}{answers(gate.predict(INPUTS))}")
    assert answers(gate.predict(INPUTS)) == answers(nnx.datasets.logic_gate(name)[1])


def xor(x):
    """AND(OR, NAND): the second layer sees what the first made of x."""
    return gates["AND"].predict(np.hstack([gates["OR"].predict(x), gates["NAND"].predict(x)]))


print(f"XOR  {answers(xor(INPUTS))}  = AND(OR, NAND)")
assert answers(xor(INPUTS)) == [0, 1, 1, 0]

# One perceptron draws one line, and no line parts 01 and 10 from 00 and 11.
_, wanted = nnx.datasets.logic_gate("xor")
single, values = nnx.models.perceptron(2, activation="step"), np.linspace(-2, 2, 9)
most = 0
for w1, w2, bias in itertools.product(values, values, values):
    single.set_weights([[[w1], [w2]], [bias]])
    most = max(most, int(np.sum(single.predict(INPUTS) == wanted)))
print(f"XOR by one perceptron: at most {most} of 4 right, over {len(values) ** 3} settings of its weights")
assert most == 3

# Nor does training help: it ends where every answer is "one half", with the loss ln 2.
single = nnx.models.perceptron(2)
single.compile(nnx.SGD(0.5), "bce", seed=0)
single.fit(INPUTS, wanted, batch_size=4, epochs=3000, verbose=0)
print(f"XOR by one trained perceptron: {np.round(single.predict(INPUTS).ravel(), 3).tolist()}")
np.testing.assert_allclose(single.predict(INPUTS), 0.5, atol=1e-3)

network = nnx.Sequential(nnx.Dense(8, "tanh"), nnx.Dense(1, "sigmoid"))
network.compile(nnx.SGD(0.5, momentum=0.9), "bce", seed=4)
network.fit(INPUTS, wanted, batch_size=4, epochs=1000, verbose=0)
print(f"XOR by two trained layers:     {np.round(network.predict(INPUTS).ravel(), 3).tolist()}")
assert answers(network.predict(INPUTS) > 0.5) == [0, 1, 1, 0]


def draw(*axes):
    shown = {**{name: gate.predict for name, gate in gates.items()}, "XOR = AND(OR, NAND)": xor}
    for ax, (name, predict) in zip(axes, shown.items(), strict=True):
        _picture.regions(ax, predict, INPUTS, answers(predict(INPUTS)), name)


_picture.save("perceptron_gates.png", draw, panels=4, size=(2.6, 2.6))
