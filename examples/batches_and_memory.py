"""Epochs, batches, iterations, and the memory that a batch takes."""

import math
import re

import nnx

images, labels = nnx.datasets.load_digits()
samples, epochs = len(images), 3


class Counter(nnx.Callback):
    """Counts what `fit` reports."""

    epochs = batches = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


print(f"{samples} samples, {epochs} epochs")
print("batch size   iterations per epoch   iterations   samples in the last batch   loss")
losses = {}
for batch_size in (1, 32, 256, samples):
    model = nnx.models.mlp((8, 8, 1), 32, 10)
    model.compile(nnx.SGD(0.005), "cross_entropy", seed=0)
    counter = Counter()
    history = model.fit(images, labels, batch_size, epochs, callbacks=[counter], verbose=0)
    per_epoch = math.ceil(samples / batch_size)
    last = samples - (per_epoch - 1) * batch_size
    losses[batch_size] = history.history["loss"][-1]
    print(f"{batch_size:10} {per_epoch:22} {counter.batches:12} {last:27} {losses[batch_size]:6.3f}")
    assert counter.epochs == epochs
    assert counter.batches == model.optimizer.iterations == epochs * per_epoch
assert losses[1] < losses[256] < losses[samples], "at one learning rate, more steps learn more in an epoch"


def megabytes(text, what):
    number, unit = re.search(rf"{what} ([\d.,]+) (kB|MB)", text).groups()
    return float(number.replace(",", "")) / (1000 if unit == "kB" else 1)


print("\nTraining a LeNet on 28 x 28 pixels, MB:")
print("batch size   parameters   gradients   momentum   activations")
model = nnx.models.lenet((28, 28, 1), 10)
model.compile(nnx.SGD(0.01, momentum=0.9), "cross_entropy")
activations = {}
for batch_size in (1, 8, 64, 256):
    text = model.summary(batch_size, print_fn=None)
    parts = [megabytes(text, what) for what in ("parameters", "gradients", "optimizer", "activations")]
    activations[batch_size] = parts[-1]
    print(f"{batch_size:10} {parts[0]:12.2f} {parts[1]:11.2f} {parts[2]:10.2f} {parts[3]:13.2f}")

print("Weights take the same whatever the batch; activations grow with it.")
assert parts[0] == parts[2], "a velocity for each weight"
assert 3.5 < activations[256] / activations[64] < 4.1
