"""Keeping models: save, load, weights alone, pickle, deepcopy, joblib."""

import copy
import hashlib
import json
import os
import pickle
import stat
import subprocess
import sys

import nnx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file


def data(samples=48, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, 6, 6, 1)).astype(np.float32), rng.integers(0, 3, samples)


def network():
    return nnx.Sequential(
        nnx.Normalize(0.1, 1.5),
        nnx.Conv2D(4, 3, padding="same", activation="relu"),
        nnx.BatchNorm(),
        nnx.MaxPool2D(),
        nnx.Flatten(),
        nnx.Dropout(0.3),
        nnx.Dense(3, kernel_initializer=nnx.initializers.normal(0.0, 0.2)),
    )


def trained(optimizer=None, epochs=2, **options):
    x, y = data()
    model = network()
    optimizer = optimizer or nnx.Adam(nnx.schedules.StepDecay(0.01, every=2))
    model.compile(optimizer, "cross_entropy", ["accuracy", nnx.metrics.TopK(2)], seed=3, **options)
    model.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
    return model


def same_bits(a, b):
    return len(a) == len(b) and all(
        u.dtype == v.dtype and u.shape == v.shape and u.tobytes() == v.tobytes()
        for u, v in zip(a, b, strict=True)
    )


def saved(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    return nnx.load(tmp_path / "m.safetensors")


def pickled(model, tmp_path):
    return pickle.loads(pickle.dumps(model))


def copied(model, tmp_path):
    return copy.deepcopy(model)


def dumped(model, tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(model, tmp_path / "m.joblib")
    return joblib.load(tmp_path / "m.joblib")


WAYS = [saved, pickled, copied, dumped]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: nnx.SGD(0.05),
        lambda: nnx.SGD(0.05, momentum=0.9, nesterov=True),
        lambda: nnx.Adam(nnx.schedules.StepDecay(0.01, every=2)),
        lambda: nnx.AdamW(nnx.schedules.Warmup(0.01, 5), clip_norm=1.0),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_trains_on_as_the_one_that_was_kept(way, optimizer, precision, tmp_path):
    x, y = data()
    model = trained(optimizer(), precision=precision)
    other = way(model, tmp_path)
    assert other is not model
    assert same_bits(model.get_weights(), other.get_weights())
    assert (other.epoch, other.optimizer.iterations, other.seed) == (2, 6, 3)
    assert (other.precision, other.device) == (model.precision, model.device)
    assert np.array_equal(model.predict(x), other.predict(x))
    histories = [m.fit(x, y, batch_size=16, epochs=2, verbose=0).history for m in (model, other)]
    assert histories[0] == histories[1]
    assert same_bits(model.get_weights(), other.get_weights())
    assert (other.epoch, other.optimizer.iterations) == (4, 12)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_on_its_own(way, tmp_path):
    x, y = data()
    model = trained()
    weights = model.get_weights()
    way(model, tmp_path).fit(x, y, verbose=0)
    assert same_bits(model.get_weights(), weights)
    assert (model.epoch, model.optimizer.iterations) == (2, 6)


@pytest.mark.parametrize("way", WAYS)
def test_models_that_are_not_compiled_or_not_built(way, tmp_path):
    x, _ = data()
    bare = way(network(), tmp_path)
    assert bare.input_shape is None
    bare.build((6, 6, 1))
    built = network()
    built.build((6, 6, 1))
    again = way(built, tmp_path)
    assert again.optimizer is None
    assert np.array_equal(again.predict(x), built.predict(x))


def test_everything_that_was_compiled_is_there(tmp_path):
    model = trained()
    other = saved(model, tmp_path)
    assert repr(other.optimizer) == repr(model.optimizer)
    assert repr(other.loss) == repr(model.loss)
    assert [repr(metric) for metric in other.metrics] == ["Accuracy()", "TopK(k=2)"]
    assert repr(other.layers) == repr(model.layers)
    assert other.steps_per_epoch == 3
    x, y = data(seed=1)
    assert other.evaluate(x, y) == model.evaluate(x, y)


def test_what_was_set_on_layers_is_kept(tmp_path):
    model = trained()
    model.layers[1].trainable = False
    model.layers[5].rate = 0.1
    other = saved(model, tmp_path)
    assert other.layers[1].trainable is False
    assert other.layers[5].rate == 0.1
    x, y = data()
    for m in (model, other):
        m.fit(x, y, batch_size=16, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


class Residual(nnx.Model):
    def __init__(self, units, activation=nnx.ops.relu, *, depth=2):
        super().__init__()
        self.first = nnx.Dense(units, activation)
        self.inner = [nnx.Dense(units, "tanh") for _ in range(depth)]
        self.last = nnx.Dense(1)

    def forward(self, x):
        x = self.first(x)
        for layer in self.inner:
            x = x + layer(x)
        return self.last(x)


@pytest.mark.parametrize("known", ["classes", "register"])
def test_classes_of_ones_own_come_by_name(known, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 5)), rng.normal(size=20)
    model = Residual(4, depth=3)
    model.compile("adam", "mse", seed=1)
    model.fit(x, y, verbose=0)
    model.inner[1].trainable = False
    path = tmp_path / "r.safetensors"
    model.save(path)
    with pytest.raises(
        ValueError, match=r"r\.safetensors: needs the class Residual \(of module .*pass classes="
    ):
        nnx.load(path)
    if known == "register":
        monkeypatch.setitem(nnx._config.registry.registered, "Residual", None)  # undone in the end
        assert nnx.register(Residual) is Residual
        other = nnx.load(path)
    else:
        other = nnx.load(path, classes=[Residual])
    assert type(other) is Residual
    assert len(other.inner) == 3
    assert other.inner[1].trainable is False
    for m in (model, other):
        m.fit(x, y, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_a_class_that_has_changed_is_told_by_layer(tmp_path):
    model = Residual(4, depth=3)
    model.build((5,))
    path = tmp_path / "r.safetensors"
    model.save(path)

    class Changed(nnx.Model):
        def __init__(self, units, activation=None, *, depth=2):
            super().__init__()
            self.first = nnx.Dense(units + 1)
            self.last = nnx.Dropout(0.5)

        def forward(self, x):
            return self.last(self.first(x))

    Changed.__name__ = "Residual"
    with pytest.raises(ValueError, match=r"missing: inner\.0; .*last expected Dense, got Dropout"):
        nnx.load(path, classes=[Changed])


def test_a_layer_that_is_there_twice_stays_one(tmp_path):
    shared = nnx.Dense(4, "tanh")
    model = nnx.Sequential(shared, nnx.Sequential(shared, nnx.Dense(2)), shared_output := nnx.Dense(2))
    model.build((4,))
    other = saved(model, tmp_path)
    assert other.layers[0] is other.layers[1].layers[0]
    assert len(other.get_weights()) == 6
    x = np.ones((2, 4), np.float32)
    assert np.array_equal(other.predict(x), model.predict(x))
    assert shared_output.units == 2


def test_the_same_model_makes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        trained().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_of_a_lambda_is_written(tmp_path):
    model = nnx.Sequential(nnx.Dense(3, lambda x: nnx.ops.relu(x)))
    with pytest.raises(TypeError, match=r"Dense\.activation: cannot be saved, since it is a lambda"):
        model.save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_large_initial_values_lie_among_the_arrays(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(50, 40))
    model = nnx.Sequential(nnx.Dense(40, kernel_initializer=kernel))
    other = saved(model, tmp_path)  # not built: the values are in the config alone
    other.compile(precision="float64")
    other.build((50,))
    assert np.array_equal(other.get_weights()[0], kernel)
    assert (tmp_path / "m.safetensors").stat().st_size < 50 * 40 * 8 + 8000


def test_layers_optimizers_and_histories_can_be_pickled():
    x, y = data()
    model = network()
    model.compile("adam", "cross_entropy", seed=1)
    history = model.fit(x, y, verbose=0)
    for clone in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history)):
        assert clone.history == history.history
        assert clone.epoch == [0]
    layer = model.layers[1]
    for clone in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert np.array_equal(clone(x), layer(x))
    for item in (model.optimizer, nnx.schedules.Warmup(0.1, 3), model.loss, nnx.metrics.F1("micro")):
        assert repr(pickle.loads(pickle.dumps(item))) == repr(item)


def test_weights_alone(tmp_path):
    x, _ = data()
    model, other = trained(), network()
    model.save_weights(tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors").keys() == model.state_dict().keys()
    with pytest.raises(ValueError, match="the model has no weights yet: call build"):
        other.load_weights(tmp_path / "w.safetensors")
    other.build((6, 6, 1))
    assert other.load_weights(tmp_path / "w.safetensors") == ([], [])
    np.testing.assert_allclose(
        other.predict(x), model.predict(x), rtol=1e-5, atol=1e-6
    )  # maybe on another device
    model.save(tmp_path / "m.safetensors")
    third = network()
    third.build((6, 6, 1))
    third.load_weights(tmp_path / "m.safetensors")  # of a whole model
    assert same_bits(third.get_weights(), model.get_weights())
    save_file(model.state_dict(), tmp_path / "foreign.safetensors")
    third.load_weights(tmp_path / "foreign.safetensors")


def test_weights_of_another_architecture_are_told_by_name(tmp_path):
    model = trained()
    path = tmp_path / "w.safetensors"
    model.save_weights(path)
    other = nnx.Sequential(nnx.Conv2D(4, 3, padding="same"), nnx.Flatten(), nnx.Dense(5), nnx.Dense(3))
    other.build((6, 6, 1))
    before = other.get_weights()
    with pytest.raises(
        ValueError, match=r"w\.safetensors: weights missing: dense_1\.kernel, dense_1\.bias; "
    ):
        other.load_weights(path)
    with pytest.raises(
        ValueError, match=r"of another shape: dense\.kernel expected \(144, 5\), got \(36, 3\)"
    ):
        other.load_weights(path, strict=False)
    assert same_bits(other.get_weights(), before)
    fits = nnx.Sequential(nnx.Conv2D(4, 3, padding="same"), nnx.Flatten(), nnx.Dense(5, name="head"))
    fits.build((6, 6, 1))
    missing, unexpected = fits.load_weights(path, strict=False)
    assert missing == ["head.kernel", "head.bias"]
    assert "dense.kernel" in unexpected
    assert np.array_equal(fits.layers[0].kernel, model.layers[1].kernel)
    with pytest.raises(ValueError, match=r"expected a model, got weights alone: .*load_weights"):
        nnx.load(path)


def test_a_model_that_moves_goes_on(tmp_path):
    model = trained()
    assert model.to("cpu") is model
    assert (model.epoch, model.optimizer.iterations) == (2, 6)
    with pytest.raises(ValueError, match="argument 'device'"):
        model.to("tpu")


def rewritten(path, change):
    """A file of ours whose JSON is changed, and its checksum with it."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header["__metadata__"]
    about = json.loads(metadata["nnx"])
    change(about, metadata)
    metadata |= {"nnx": json.dumps(about), "checksum": "0" * 64}
    text = json.dumps(header, separators=(",", ":")).encode()
    content = len(text).to_bytes(8, "little") + text + content[8 + length :]
    digest = hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(content.replace(b'"checksum":"' + b"0" * 64, b'"checksum":"' + digest))


def test_a_device_that_is_not_there_gives_way(tmp_path):
    x, _ = data()
    model = trained()
    path = tmp_path / "m.safetensors"
    model.save(path)
    rewritten(path, lambda about, _: about["compiled"].update(device="cuda:99", precision="bfloat16"))
    with pytest.warns(UserWarning, match="the model") as said:
        other = nnx.load(path)
    assert "the model was on 'cuda:99' and is on the CPU now" in str(said[0].message)
    assert "the model computes in float32 now" in str(said[1].message)
    assert (other.device, other.precision) == ("cpu", "float32")
    np.testing.assert_allclose(other.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"m\.safetensors: argument 'device'"):
        nnx.load(path, device="cuda:99")


# Files


def test_a_link_leads_where_it_did_and_permissions_stay(tmp_path):
    model = trained()
    there = tmp_path / "there"
    there.mkdir()
    real, link = there / "real.safetensors", tmp_path / "link.safetensors"
    model.save(real)
    real.chmod(0o640)
    link.symlink_to(real)
    model.save_weights(link)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert load_file(real).keys() == model.state_dict().keys()
    assert list(tmp_path.iterdir()) == [there, link] or set(tmp_path.iterdir()) == {there, link}


def test_a_new_file_has_the_permissions_that_open_gives(tmp_path):
    model = network()
    before = os.umask(0o027)
    try:
        model.save(tmp_path / "m.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.safetensors").stat().st_mode) == 0o640


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    script = (
        "import os, signal, sys, nnx\n"
        "nnx.saving.files.os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "nnx.Sequential(nnx.Dense(2)).save(sys.argv[1])\n"
    )
    path = tmp_path / "m.safetensors"
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1  # half a file under a hidden name
    others = {
        tmp_path / ".m.safetensors.someone-else.tmp",
        tmp_path / ".m.safetensors.00000000-999999-0a.tmp",
    }
    for other in others:
        other.write_text("of another program, or another host")
    network().save(path)
    assert set(tmp_path.iterdir()) == {path, *others}
    inode = path.stat().st_ino
    network().save(path)
    assert path.stat().st_ino != inode  # another file was put in its place


def test_paths_that_cannot_be_written(tmp_path):
    model = network()
    with pytest.raises(FileNotFoundError, match=r"missing.*does not exist"):
        model.save(tmp_path / "missing" / "m.safetensors")
    with pytest.raises(IsADirectoryError, match="expected a file, and it is a folder"):
        model.save(tmp_path)
    if os.geteuid() == 0:
        return  # may write everywhere
    path = tmp_path / "m.safetensors"
    model.save(path)
    path.chmod(0o440)
    with pytest.raises(PermissionError, match=r"m\.safetensors: the file is write-protected"):
        model.save(path)
    path.chmod(0o640)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="write-protected"):
            model.save(tmp_path / "new.safetensors")
    finally:
        tmp_path.chmod(0o700)


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path, monkeypatch):
    model = trained()
    path = tmp_path / "m.safetensors"
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(
        nnx.saving.files.os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
