import numpy as np

__all__ = ["adam_update", "sgd_update"]


def sgd_update(p, g, velocity, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0):
    """In place; velocity may be None where momentum is 0."""
    g = g + weight_decay * p
    if velocity is None:
        p -= learning_rate * g
        return
    velocity[...] = momentum * velocity - learning_rate * g
    p += momentum * velocity - learning_rate * g if nesterov else velocity


def adam_update(
    p, g, m, v, step, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-7, weight_decay=0.0, decoupled=False
):
    """In place (Kingma and Ba 2015); `step` counts the updates before this one."""
    if decoupled:
        p -= learning_rate * weight_decay * p
    else:
        g = g + weight_decay * p
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g * g
    m_hat, v_hat = m / (1 - beta1 ** (step + 1)), v / (1 - beta2 ** (step + 1))
    p -= learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)
