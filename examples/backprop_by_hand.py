"""Backpropagation's update formulas for the weights V and W, and one step of SGD: the same numbers.

x --V--> h = f(x V) --W--> y = h W,   E = 1/2 sum (t - y)^2

    dW_jk = eta * (t_k - y_k) * h_j
    dV_ij = eta * sum_k (t_k - y_k) W_jk * f'(h_j) * x_i
"""

import nnx
import numpy as np

# The hidden activation and its derivative, written with its own value h
ACTIVATIONS = {
    "sigmoid": (lambda s: 1 / (1 + np.exp(-s)), lambda h: h * (1 - h)),
    "tanh": (np.tanh, lambda h: 1 - h**2),
    "relu": (lambda s: np.maximum(s, 0), lambda h: (h > 0).astype(float)),
}
ETA = 0.1

random = np.random.default_rng(7)
x, t = random.normal(size=(1, 3)), random.normal(size=(1, 2))
V, W = random.normal(size=(3, 4)), random.normal(size=(4, 2))

for name, (f, slope) in ACTIVATIONS.items():
    h = f(x @ V)
    y = h @ W
    dW, dV = np.zeros_like(W), np.zeros_like(V)
    for j in range(4):
        for k in range(2):
            dW[j, k] = ETA * (t[0, k] - y[0, k]) * h[0, j]
        for i in range(3):
            blame = sum((t[0, k] - y[0, k]) * W[j, k] for k in range(2))
            dV[i, j] = ETA * blame * slope(h[0, j]) * x[0, i]

    model = nnx.Sequential(nnx.Dense(4, name, use_bias=False), nnx.Dense(2, use_bias=False))
    model.build((3,))
    model.compile(nnx.SGD(ETA), nnx.losses.HalfSumSquaredError(), precision="float64")
    model.set_weights([V, W])
    error = model.train_step(x, t)
    new_V, new_W = model.get_weights()

    far = max(np.abs(new_V - (V + dV)).max(), np.abs(new_W - (W + dW)).max())
    print(
        f"{name:8} E = {error:.6f}   dV_11 = {dV[0, 0]:+.6f}   dW_11 = {dW[0, 0]:+.6f}   farthest apart: {far:.1e}"
    )
    assert np.isclose(error, np.sum((t - y) ** 2) / 2, rtol=1e-12)
    assert far < 1e-14

    again = float(np.sum((t - model.predict(x)) ** 2) / 2)
    assert again < error, "a step against the gradient makes the error smaller"
