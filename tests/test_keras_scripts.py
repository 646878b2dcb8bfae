"""Scripts in the manner of Keras's guides: written for Keras, with the import changed and what docs/keras.md lists.

Each is what somebody would bring along; each checks that it learned, not only that it ran.
"""

import nnx as keras
import numpy as np
import pytest
from nnx import layers

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def digits():
    x, y = keras.datasets.load_digits()
    x = x.astype("float32")
    x = x / x.max()
    x = x.reshape(-1, 8, 8, 1)
    return (x[:1200], y[:1200]), (x[1200:], y[1200:])


def test_convolutional_digits_with_augmentation(digits):
    (x_train, y_train), (x_test, y_test) = digits
    y_train, y_test = keras.utils.to_categorical(y_train, 10), keras.utils.to_categorical(y_test, 10)
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input(shape=(8, 8, 1)),
            keras.augment.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
            layers.Conv2D(16, kernel_size=(3, 3), activation="relu", padding="same"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=32, epochs=8, validation_split=0.1, verbose=0)
    score = model.evaluate(x_test, y_test, verbose=0, return_dict=False)
    assert score[1] > 0.85
    assert history.history["val_accuracy"][-1] > 0.85


def test_images_with_a_dense_network(digits):
    (x_train, y_train), (x_test, y_test) = digits
    model = keras.Sequential(
        [layers.Flatten(input_shape=(8, 8, 1)), layers.Dense(64, activation="relu"), layers.Dense(10)]
    )
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        seed=0,
    )
    model.fit(x_train, y_train, epochs=10, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)["accuracy"] > 0.85
    probability_model = keras.Sequential([model, layers.Softmax()])
    predictions = probability_model.predict(x_test[:5])
    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-5)


def test_regression_with_normalization_and_early_stopping():
    rng = np.random.default_rng(0)
    features = (rng.standard_normal((400, 5)) * [1, 10, 100, 0.1, 5] + [0, 50, 1000, 1, -5]).astype("float32")
    target = ((features[:, 0] * 3 + features[:, 2] / 50 - features[:, 4]) / 5).astype("float32")
    normalizer = layers.Normalization(axis=-1)
    normalizer.adapt(features[:300])
    model = keras.Sequential([normalizer, layers.Dense(32, activation="relu"), layers.Dense(1)])
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.Adam(learning_rate=0.01), seed=0)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=10, restore_best_weights=True)
    history = model.fit(
        features[:300], target[:300], validation_split=0.2, epochs=60, verbose=0, callbacks=[stop]
    )
    assert min(history.history["val_loss"]) < 0.3
    assert model.evaluate(features[300:], target[300:], verbose=0)["loss"] < 0.4


def bags_of_words(rng, samples=600, words=200):
    y = rng.integers(0, 2, samples)
    rates = np.where(np.arange(words) < words // 2, 1.0, 2.0)
    x = rng.poisson(0.05 * np.where(y[:, None] == 1, rates, rates[::-1]), (samples, words)) > 0
    return x.astype("float32"), y


def test_binary_classification_of_bags_of_words():
    x, y = bags_of_words(np.random.default_rng(1))
    model = keras.Sequential(
        [
            layers.Dense(16, activation="relu", input_shape=(200,)),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()], seed=0
    )
    history = model.fit(
        x[:400], y[:400], epochs=12, batch_size=64, validation_data=(x[400:], y[400:]), verbose=0
    )
    assert history.history["val_accuracy"][-1] > 0.65
    assert history.history["val_auc"][-1] > 0.7


def test_overfitting_with_dropout_and_l2():
    x, y = bags_of_words(np.random.default_rng(2), 300)
    l2 = keras.regularizers.L2(0.003)
    models = {
        "plain": [layers.Dense(64, activation="elu"), layers.Dense(64, activation="elu")],
        "l2": [layers.Dense(64, activation="elu", kernel_regularizer=l2) for _ in range(2)],
        "dropout": [layers.Dense(64, activation="elu"), layers.Dropout(0.5), layers.Dense(64, activation="elu"), layers.Dropout(0.5)],
    }  # fmt: skip
    gaps = {}
    for name, hidden in models.items():
        model = keras.Sequential([*hidden, layers.Dense(1)])
        model.compile(
            optimizer=keras.optimizers.Adam(0.003),
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            metrics=["accuracy"],
            seed=0,
        )
        history = model.fit(
            x[:200], y[:200], epochs=25, validation_data=(x[200:], y[200:]), verbose=0
        ).history
        gaps[name] = history["val_loss"][-1] - history["loss"][-1]
    assert gaps["l2"] < gaps["plain"]
    assert gaps["dropout"] < gaps["plain"]


def test_save_and_load(digits, tmp_path):
    (x_train, y_train), (x_test, _) = digits

    def create_model():
        model = keras.Sequential([layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(10)])
        model.compile(
            optimizer="adam",
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            seed=0,
        )
        return model

    model = create_model()
    path = str(tmp_path / "cp-{epoch:02d}.safetensors")
    checkpoint = keras.callbacks.ModelCheckpoint(filepath=path, save_weights_only=True, verbose=0)
    model.fit(x_train, y_train, epochs=2, callbacks=[checkpoint], verbose=0)
    fresh = create_model()
    fresh.build((None, 8, 8, 1))
    fresh.load_weights(str(tmp_path / "cp-02.safetensors"))
    np.testing.assert_array_equal(fresh.predict(x_test), model.predict(x_test))
    model.save(tmp_path / "my_model.safetensors")
    again = keras.models.load_model(tmp_path / "my_model.safetensors")
    np.testing.assert_array_equal(again.predict(x_test), model.predict(x_test))


def test_every_callback(digits, tmp_path):
    (x_train, y_train), _ = digits
    pytest.importorskip("tensorboardX")
    seen = []

    class Notes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, sorted(logs)))

    def schedule(epoch, lr):
        return lr if epoch < 2 else lr * 0.5

    model = keras.Sequential([layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        seed=0,
    )
    callbacks = [
        keras.callbacks.EarlyStopping(patience=5),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "best.safetensors"), save_best_only=True),
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1),
        keras.callbacks.LearningRateScheduler(schedule),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        keras.callbacks.TensorBoard(str(tmp_path / "logs")),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None),
        Notes(),
    ]
    model.fit(x_train, y_train, epochs=4, validation_split=0.2, callbacks=callbacks, verbose=0)
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3]
    assert (tmp_path / "best.safetensors").exists()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5


def test_a_functional_model_of_two_inputs_and_two_outputs():
    rng = np.random.default_rng(0)
    images, table = (
        rng.standard_normal((300, 8, 8, 1)).astype("float32"),
        rng.standard_normal((300, 4)).astype("float32"),
    )
    price = (table[:, :1] + images.mean(axis=(1, 2, 3)).reshape(-1, 1) * 5).astype("float32")
    kind = (table[:, 1] > 0).astype("int64")
    image_input = keras.Input(shape=(8, 8, 1), name="image")
    table_input = keras.Input(shape=(4,), name="table")
    h = layers.Conv2D(8, 3, activation="relu")(image_input)
    h = layers.GlobalAveragePooling2D()(h)
    x = layers.Concatenate()([h, layers.Dense(16, activation="relu")(table_input)])
    price_output = layers.Dense(1, name="price")(x)
    kind_output = layers.Dense(2, activation="softmax", name="kind")(x)
    model = keras.Model(inputs=[image_input, table_input], outputs=[price_output, kind_output])
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss={"price": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"price": 1.0, "kind": 0.5},
        metrics={"kind": ["accuracy"]},
        seed=0,
    )
    history = model.fit(
        {"image": images, "table": table}, {"price": price, "kind": kind}, epochs=15, batch_size=32, verbose=0
    )
    assert history.history["kind_accuracy"][-1] > 0.9
    assert history.history["price_loss"][-1] < history.history["price_loss"][0] / 3
    a, b = model.predict({"image": images, "table": table})
    assert a.shape == (300, 1)
    assert b.shape == (300, 2)


def test_a_loop_of_ones_own(digits):
    (x_train, y_train), (x_test, y_test) = digits
    model = keras.Sequential([layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(10)])
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.1),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        seed=0,
    )
    order = np.random.default_rng(0)
    for _ in range(8):
        places = order.permutation(len(x_train))
        for i in range(0, len(x_train), 64):
            batch = places[i : i + 64]
            _, gradients = model.gradients(x_train[batch], y_train[batch])
            model.apply_gradients(gradients)
    assert model.evaluate(x_test, y_test)["accuracy"] > 0.8


def test_transfer_with_frozen_layers_then_thawed(digits):
    (x_train, y_train), (x_test, y_test) = digits
    low, high = y_train < 5, y_train >= 5
    base = keras.Sequential(
        [
            layers.Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1)),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ]
    )
    first = keras.Sequential([base, layers.Dense(5)])
    first.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"], seed=0)
    first.fit(x_train[low], y_train[low], epochs=6, verbose=0)
    base.trainable = False
    before = [w.copy() for w in base.get_weights()]
    model = keras.Sequential([base, layers.Dense(5)])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"], seed=0)
    model.fit(x_train[high], y_train[high] - 5, epochs=6, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True))
    base.trainable = True
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        seed=0,
    )
    model.fit(x_train[high], y_train[high] - 5, epochs=4, verbose=0)
    assert not np.array_equal(before[0], base.get_weights()[0])
    late = y_test >= 5
    assert model.evaluate(x_test[late], y_test[late] - 5)["accuracy"] > 0.8


def test_intermediate_activations_and_get_layer(digits):
    (x_train, _), _ = digits
    inputs = keras.Input((8, 8, 1))
    h = layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    h = layers.MaxPooling2D(name="pool")(h)
    outputs = layers.Dense(10, name="last")(layers.Flatten()(h))
    model = keras.Model(inputs, outputs)
    maps = model.activations(x_train[:3], layers=["first", "pool"])
    assert maps["first"].shape == (3, 6, 6, 4)
    assert maps["pool"].shape == (3, 3, 3, 4)
    weights, biases = model.get_layer("first").get_weights()
    assert weights.shape == (3, 3, 1, 4)
    assert biases.shape == (4,)
    assert [layer.name for layer in model.layers][-1] == "last"
    part = keras.Model(inputs, h)
    np.testing.assert_allclose(part.predict(x_train[:3]), maps["pool"], rtol=1e-6)


def test_learning_rate_schedules_and_a_search(digits):
    (x_train, y_train), (x_test, y_test) = digits
    schedules = {
        "exponential": keras.optimizers.schedules.ExponentialDecay(
            initial_learning_rate=0.2, decay_steps=50, decay_rate=0.9, staircase=True
        ),
        "cosine": keras.optimizers.schedules.CosineDecay(initial_learning_rate=0.2, decay_steps=190),
        "constant": 0.05,
    }
    accuracy = {}
    for name, rate in schedules.items():
        model = keras.Sequential([layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(10)])
        model.compile(
            optimizer=keras.optimizers.SGD(rate, momentum=0.9),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            seed=0,
        )
        model.fit(x_train, y_train, epochs=5, verbose=0)
        accuracy[name] = model.evaluate(x_test, y_test, verbose=0)["accuracy"]
    assert max(accuracy.values()) > 0.85
