import numpy as np

__all__ = [
    "adagrad_update",
    "adam_update",
    "average_update",
    "clip_gradient",
    "lion_update",
    "penalty",
    "rmsprop_update",
    "sgd_update",
]


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


def rmsprop_update(
    p, g, square, mean, velocity, learning_rate, rho=0.9, momentum=0.0, epsilon=1e-7, weight_decay=0.0
):
    """In place (Hinton 2012; centered: Graves 2013); mean and velocity may be None."""
    g = g + weight_decay * p
    square[...] = rho * square + (1 - rho) * g * g
    spread = square
    if mean is not None:
        mean[...] = rho * mean + (1 - rho) * g
        spread = np.maximum(square - mean * mean, 0)
    step = learning_rate * g / np.sqrt(spread + epsilon)
    if velocity is not None:
        velocity[...] = momentum * velocity + step
        step = velocity
    p -= step


def adagrad_update(p, g, sum, learning_rate, epsilon=1e-7, weight_decay=0.0):
    """In place (Duchi et al. 2011)."""
    g = g + weight_decay * p
    sum += g * g
    p -= learning_rate * g / np.sqrt(sum + epsilon)


def lion_update(p, g, m, learning_rate, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """In place (Chen et al. 2023)."""
    step = np.sign(beta1 * m + (1 - beta1) * g)
    p -= learning_rate * (step + weight_decay * p)
    m[...] = beta2 * m + (1 - beta2) * g


def average_update(average, p, step, momentum=0.99):
    """In place on average."""
    average[...] = p if step == 0 else momentum * average + (1 - momentum) * p


def clip_gradient(g, clip_value):
    """In place."""
    np.clip(g, -clip_value, clip_value, out=g)


def penalty(w, l1=0.0, l2=0.0, g=None):
    """Its value; its gradient is added to g."""
    if g is not None:
        g += l1 * np.sign(w) + 2 * l2 * w
    return l1 * np.abs(w).sum() + l2 * (w * w).sum()
