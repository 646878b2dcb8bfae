import nnx

images, labels = nnx.datasets.load_digits()  # 1,797 images (8, 8, 1) of handwritten digits

model = nnx.Sequential(
    nnx.Normalize(images.mean(), images.std()),
    nnx.Conv2D(32, 3, padding="same", activation="relu"),
    nnx.MaxPool2D(2),
    nnx.Conv2D(64, 3, padding="same", activation="relu"),
    nnx.Flatten(),
    nnx.Dense(128, activation="relu"),
    nnx.Dropout(0.5),
    nnx.Dense(10),
)
rate = nnx.schedules.CosineDecay(0.02, length=10)
model.compile(nnx.SGD(rate, momentum=0.9), "cross_entropy", ["accuracy"], seed=1)
history = model.fit(images, labels, batch_size=32, epochs=10, validation_split=0.2)

model.summary(batch_size=32)
print(f"held-out accuracy: {history.history['val_accuracy'][-1]:.1%}")
