"""The learning rate: too small crawls, too large diverges, and a falling one gets closest."""

import _picture
import nnx
import numpy as np

random = np.random.default_rng(0)
x = random.normal(size=(200, 3))
truth = np.array([[1.0], [-2.0], [3.0]])
y = x @ truth + random.normal(0, 0.5, (200, 1))
best = np.linalg.lstsq(x, y, rcond=None)[0]


def train(rate, batch_size, epochs):
    """The distance of the weights from the best ones after each epoch."""
    model = nnx.Sequential(nnx.Dense(1, use_bias=False, kernel_initializer="zeros"))
    model.compile(nnx.SGD(rate), "mse", precision="float64", seed=0)
    distances = []
    watch = nnx.Callback()
    watch.on_epoch_end = lambda epoch, logs=None: distances.append(
        np.linalg.norm(model.get_weights()[0] - best)
    )
    model.fit(x, y, batch_size=batch_size, epochs=epochs, callbacks=[watch], verbose=0)
    return np.array(distances)


# Gradient descent over the whole set multiplies the error along each axis by 1 - rate * curvature:
# it converges up to rate = 2 / largest curvature, and not beyond.
curvature = np.linalg.eigvalsh(2 * x.T @ x / len(x)).max()
print(f"largest curvature {curvature:.3f}: the limit is a rate of {2 / curvature:.3f}")
for share in (0.01, 0.5, 0.95, 1.05):
    distances = train(share * 2 / curvature, batch_size=200, epochs=100)
    print(f"  {share:4.2f} of it: distance after 1, 10, 100 epochs {distances[[0, 9, 99]].round(4).tolist()}")
    assert (distances[-1] < distances[0]) == (share < 1)

# After every example the gradient is noisy: a constant rate keeps the weights trembling.
epochs = 40
schedules = {
    "constant": nnx.schedules.Constant(0.05),
    "step decay": nnx.schedules.StepDecay(0.05, factor=0.5, every=5),
    "exponential decay": nnx.schedules.ExponentialDecay(0.05, 0.15),
}
results = {name: train(schedule, batch_size=1, epochs=epochs) for name, schedule in schedules.items()}
print("SGD after every example, distance from the best weights:")
for name, distances in results.items():
    rates = schedules[name](np.arange(epochs))
    print(
        f"  {name:18} rate {rates[0]:.3f} -> {rates[-1]:.5f}   mean of the last 5 epochs {distances[-5:].mean():.4f}"
    )


def draw(rates, distances):
    for name, values in results.items():
        rates.plot(schedules[name](np.arange(epochs)), label=name, drawstyle="steps-post")
        distances.semilogy(values, label=name)
    rates.set_title("Learning rate", loc="left")
    distances.set_title("Distance from the best weights", loc="left")
    distances.legend(frameon=False)
    for ax in (rates, distances):
        ax.set_xlabel("Epoch")


_picture.save("learning_rate.png", draw, panels=2)

for name in ("step decay", "exponential decay"):
    assert results[name][-5:].mean() < results["constant"][-5:].mean() / 3
