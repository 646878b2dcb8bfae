"""Plants faults in the Python side, one at a time, and counts how many the tests catch.

    python tests/planted_python_faults.py [--only saving] [--list]

Works on a copy of the tree; nothing is built. Ends with 1 below 95 % caught, with 2 where a fault cannot be planted
any more, or where tests fail without any fault.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SHARE = 0.95
BOARD = "callbacks/test_tensorboard.py"
STOPPING, RATES, CHECKPOINT, SMALL, HANDS = (
    "callbacks/test_early_stopping.py", "callbacks/test_rates.py", "callbacks/test_model_checkpoint.py",
    "callbacks/test_small_ones.py", "test_hands.py",
)  # fmt: skip
CLOCKS, RESUMING, SAVING, HOSTILE, CONFIGS = (
    "test_clocks.py", "test_resuming.py", "test_saving.py", "test_hostile_files.py", "test_configs.py",
)  # fmt: skip


class Fault(NamedTuple):
    path: str
    text: str
    wrong: str
    what: str
    tests: tuple[str, ...]


def fault(path, text, wrong, what, *tests):
    return Fault(path, text, wrong, what, tests)


ITERABLES, FIT, FOLDER, CSV = (
    "test_iterables.py",
    "test_fit_arguments.py",
    "test_load_folder.py",
    "test_load_csv.py",
)
OPTIMIZERS, REGULARIZERS, ACCUMULATION = "test_optimizers.py", "test_regularizers.py", "test_accumulation.py"
NAMES, MEANINGS, ADVICE = "test_keras_names.py", "test_keras_meanings.py", "test_advice.py"


FAULTS = [
    # Optimizers, regularizers, steps of several batches
    fault("optimizers/base.py", "self.ema > 0 and self.iterations > 0", "self.ema > 1",
          "evaluation by the weights instead of their averages", OPTIMIZERS),
    fault("optimizers/base.py", "self.ema > 0 and self.iterations > 0", "self.ema > 0",
          "averages before there are any", OPTIMIZERS),
    fault("graph/weight.py", 'self._store.set(self._index, array, "average")', "pass", "averages outlive the weights they are of", OPTIMIZERS),
    fault("graph/store.py", "store.begin_as(before)", "pass", "Adagrad's sums begin with zero where training begins later", OPTIMIZERS),
    fault("graph/specs.py", "factor *= layer.learning_rate_multiplier", "factor = layer.learning_rate_multiplier", "the layers around ignored", REGULARIZERS),
    fault("regularizers.py", "        changes.note()\n", "", "a regularizer that is changed goes unnoticed", REGULARIZERS),
    fault("training/several.py", "np.ones(samples, np.float32) if weight is None else weight for", "np.ones(samples, np.float32) for",
          "weights of joined batches dropped", ACCUMULATION),
    fault("training/fit.py", "math.ceil(samples / (batch * self.plan.accumulate))", "math.ceil(samples / batch)", "rates for batches instead of steps",
          ACCUMULATION),
    fault("training/plan.py", '            "accumulate",\n', "", "resumed with another number of batches to a step", ACCUMULATION),
    # Clocks
    fault("training/state.py", "self.epoch, self.single_steps = self.epoch + 1, 0\n", "self.epoch, self.single_steps = self.epoch, 0\n",
          "an epoch that ends is not counted", CLOCKS),
    fault("training/state.py", "self.single_steps >= self.steps_per_epoch", "self.single_steps > self.steps_per_epoch",
          "single steps make an epoch one too late", CLOCKS),
    fault("training/orders.py", "seeds.generator(self._seed, epoch)", "seeds.generator(self._seed, epoch - self._epochs.start)",
          "each call begins with the first shuffle", CLOCKS, RESUMING),
    fault("training/steps.py", "optimizer.rates(1, learner.state.epoch)[0]", "optimizer.rates(1, 0)[0]",
          "single steps at the rate of epoch 0", CLOCKS),
    fault("training/fit.py", "first, before, known = optimizer.iterations,", "first, before, known = 0,",
          "masks begin anew in each epoch", CLOCKS, RESUMING),
    # Resuming
    fault("training/fit.py", "order = np.ascontiguousarray(order[done:samples])", "order = np.ascontiguousarray(order[: len(order) - done])",
          "the first rows again instead of the rest", RESUMING),
    fault("training/fit.py", "                before.start(),\n", "                None,\n", "sums begin anew within an epoch", RESUMING),
    fault("training/fit.py", "hooks.set_states(state.callbacks, state.history)", "hooks.set_states([], state.history)",
          "callbacks begin anew", RESUMING),
    fault("training/fit.py", "hooks.set_states(state.callbacks, state.history)", "hooks.set_states(state.callbacks, [])",
          "the history before the cut is lost", RESUMING),
    fault("training/fit.py", "return range(state.epoch, origin + plan.epochs)", "return range(state.epoch, state.epoch + plan.epochs)",
          "epochs counted from the cut", RESUMING),
    fault("training/fit.py", "return range(state.epoch, origin + plan.epochs)", "return range(state.epoch, plan.epochs)",
          "epochs counted from the first epoch of all", RESUMING),
    fault("training/fit.py", "if number < done:", "if number < done - 1:", "the last batch before the cut again", RESUMING),
    fault("training/fit.py", "state.totals = so_far = before.gone_on", "so_far = before.gone_on", "the place is not kept on the way", RESUMING),
    fault("training/fit.py", 'if last["steps"]:', 'if last["steps"] < 0:', "the place is lost on Ctrl-C", RESUMING),
    fault("training/fit.py", "if not (resumed and state.totals.steps):", "if True:", "the epoch that was cut off begins anew", RESUMING),
    fault("training/fit.py", "if not samples and state.totals.steps:", "if False:", "a cut during validation trains on nothing", RESUMING),
    fault("training/resuming.py", "if name in arguments and arguments[name] != was", "if False", "another batch size is taken", RESUMING),
    fault("training/resuming.py", "if record.fingerprints.get(name) != now.get(name)", "if False", "other data are taken", RESUMING),
    fault("training/fingerprints.py", "digest.update(np.ascontiguousarray(array[row]).tobytes())", "pass",
          "a fingerprint of the shape alone", RESUMING),
    fault("training/state.py", "            self.totals = Totals()  # of an epoch that was cut off: its place is lost\n", "            pass\n",
          "single steps leave a place that is wrong", RESUMING),
    fault("training/totals.py", "Totals(self.samples + samples, self.steps + steps, loss_sum, arrays)",
          "Totals(self.samples + samples, self.steps + steps, self.loss + loss_sum, arrays)", "sums added twice", RESUMING),
    # Saving
    fault("saving/snapshot.py", "        learner.graphs.states(),\n", "        {},\n", "the optimizer's state is not kept", SAVING, RESUMING),
    fault("saving/snapshot.py", "state.drawn_seed()", "pass", "weights without values get others in a copy", SAVING),
    fault("saving/model_file.py", 'optimizer.iterations = integer("load", "iterations", about["iterations"], low=0)', "pass", "steps are not kept", SAVING, RESUMING),
    fault("graph/indexing.py", "return index % extent, 1, 1", "return 0, 1, 1", "the first column for each", "test_traced_arithmetic.py"),
    fault("graph/symbol.py", 'return self.apply("add", (a, b._scaled(-1.0)))', 'return self.apply("add", (a, b))', "a sum for a difference", "test_traced_arithmetic.py"),
    fault("ops/arithmetic.py", "return 1.0 / count if count else math.nan", "return 1.0", "a sum for a mean", "ops/test_arithmetic.py"),
    fault("losses/traced.py", "array = 2.0 * array - 1.0", "pass", "zeros are no negatives", "test_traced_losses.py"),
    fault("losses/traced.py", "again._logits = takes_logits(self.from_logits, activation)", "pass", "logits taken for probabilities", "test_traced_losses.py"),
    fault("metrics/whole.py", "ranks = (ends - (counts - 1) / 2)[places]", "ranks = ends[places]", "equal scores do not share their ranks", "test_whole_metrics.py"),
    fault("layers/normalization.py", "return np.where(deviation == 0, 1.0, deviation)", "return deviation", "a feature that never varies divided by 0", "test_arithmetic_layers.py"),
    fault("saving/model_file.py", "            weight.take(tensors[name])\n", "            pass\n", "weights are not set", SAVING),
    fault("saving/model_file.py", "setattr(layer, attribute, value)", "pass", "what was set on inner layers is lost", SAVING),
    fault("saving/model_file.py", "    if differences:\n", "    if False:\n", "a class that has changed is taken", SAVING),
    fault("saving/files.py", "target = Path(os.path.realpath(path))", "target = Path(path)", "a link is replaced", SAVING),
    fault("saving/files.py", "os.chmod(temporary, target.stat().st_mode & 0o7777)", "pass", "permissions are lost", SAVING),
    fault("saving/files.py", "            os.unlink(temporary)\n", "            pass\n", "half a file stays", SAVING),
    fault("saving/files.py", "                os.unlink(entry.path)\n", "                pass\n", "what a killed process left stays", SAVING),
    fault("saving/files.py", "parts[0] == host and", "", "temporary files of other hosts are removed", SAVING),
    fault("saving/files.py", "os.replace(temporary, target)", "target.write_bytes(temporary.read_bytes()); os.unlink(temporary)",
          "written in place", SAVING, RESUMING),
    fault("saving/container.py", 'if digest.hexdigest() != metadata.get("checksum"):', "if False:", "no checksum", HOSTILE),
    fault("saving/container.py", "if int(version) > VERSION:", "if False:", "newer files are read", HOSTILE),
    fault("saving/weights_file.py", "if strict:", "if False:", "strict means nothing", SAVING),
    fault("graph/store.py", "store.set(places[name], array.astype(store.dtype, copy=False), slot)", "pass", "state is not given back", SAVING),
    fault("graph/graphs.py", "        self._given = states\n\n", "\n", "moving loses the optimizer's state", SAVING, RESUMING),
    fault("graph/weight.py", '"value": value,', '"value": None,', "pickles without values", SAVING),
    # Callbacks
    fault("callbacks/early_stopping.py", "if self.wait >= self.patience and epoch > 0:", "if self.wait > self.patience and epoch > 0:",
          "an epoch too late", STOPPING),
    fault("callbacks/early_stopping.py", "            self.model.set_weights(self.best_weights)\n", "            pass\n", "the last weights stay", STOPPING),
    fault("callbacks/early_stopping.py", "if self.baseline is None or self.improves(value, self.baseline):", "if True:", "no baseline", STOPPING),
    fault("callbacks/early_stopping.py", '"best_weights": self.best_weights,', '"best_weights": None,', "the best weights are not kept", STOPPING),
    fault("callbacks/monitor.py", "value < best - self.min_delta", "value < best", "no min_delta", STOPPING),
    fault("callbacks/monitor.py", "value > best + self.min_delta", "value > best", "no min_delta where more is better", STOPPING),
    fault("callbacks/monitor.py", 'return self.mode == "max"', "return False", "mode means nothing", STOPPING),
    fault("callbacks/reduce_lr.py", "max(rate * self.factor, self.min_lr)", "rate * self.factor", "no min_lr", RATES),
    fault("callbacks/reduce_lr.py", "self.cooldown_counter, self.wait = self.cooldown, 0", "self.wait = 0", "no cooldown", RATES),
    fault("callbacks/model_checkpoint.py", "after_others = True", "after_others = False", "saves before others have seen the epoch", CHECKPOINT),
    fault("callbacks/model_checkpoint.py", 'return self.save_freq != "epoch"', "return True", "batches are watched for nothing", CHECKPOINT),
    fault("callbacks/model_checkpoint.py", "            self.best = value\n", "            pass\n", "every better than the first is saved", CHECKPOINT),
    fault("callbacks/csv_logger.py", "self._stream.truncate(state[\"position\"])", "pass", "epochs twice in the file", SMALL),
    fault("callbacks/callback_list.py", 'callback.set_state(found["state"])', "pass", "states are not given back", STOPPING, RATES),
    fault("callbacks/callback_list.py", 'if hook != "on_train_end":', "if True:", "one end that fails ends all", STOPPING),
    fault("callbacks/callback_list.py", "first = first or error", "first = error", "the last error instead of the first", STOPPING),
    fault("training/fit.py", "            finally:  # also where a callback cannot tell its state\n                sources.close(source, self.held_out)\n                hooks", "            finally:\n                pass\n            hooks",
          "no end where a state cannot be told", STOPPING),
    fault("callbacks/csv_logger.py", "self._position = self._stream.tell()\n        self._rows", "pass\n        self._rows", "the place before the first line", SMALL),
    fault("callbacks/csv_logger.py", "if new and not self._warned:", "if False:", "columns are left out silently", SMALL),
    fault("callbacks/model_checkpoint.py", "if not os.access(path.parent, os.W_OK):", "if False:", "an epoch trained for nothing", CHECKPOINT),
    fault("callbacks/model_checkpoint.py", "if path.is_dir():", "if False:", "a folder is found after an epoch", CHECKPOINT),
    fault("callbacks/model_checkpoint.py", "(LookupError, ValueError, TypeError, AttributeError)", "KeyError", "templates that break", CHECKPOINT),
    fault("callbacks/lr_scheduler.py", "if isinstance(function, Schedule):", "if False:", "a rate for an epoch", RATES),
    fault("callbacks/lr_scheduler.py", "len(positional) > 1", "len([p for p in positional if p.default is p.empty]) > 1", "a default hides the rate", RATES),
    fault("callbacks/terminate_on_nan.py", "if self.raise_error:", "if False:", "raise_error means nothing", SMALL),
    fault("callbacks/tensorboard.py", "    if value:\n", "    if False:\n", "what is not served is taken", BOARD),
    fault("callbacks/tensorboard.py", "if self.write_steps_per_second:", "if True:", "steps per second unasked", BOARD),
    fault("training/fit.py", "rates[steps_done:] = optimizer.rates(steps - steps_done, epoch)", "pass", "rates set at batches are ignored", RATES),
    # In hand
    fault("training/gradients.py", "    learner.state.count_step()\n", "", "applied gradients do not move the epoch", HANDS),
    fault("training/gradients.py", "program.apply(rate, optimizer.iterations, optimizer)", "program.apply(rate, 0, optimizer)", "Adam's first step for ever", HANDS),
    fault("training/gradients.py", "program.train_step(*part.fed, 0.0, optimizer.iterations)", "program.train_step(*part.fed, 0.0, 0)", "always the same masks", HANDS),
    fault("training/activations.py", "            last.pop(name, None)\n", "", "layers in order of first use", HANDS),
    fault("rate_finder.py", "trial = copy.deepcopy(model)", "trial = model", "the model itself is trained", HANDS),
    # Configs
    fault("_config/configured.py", "if getattr(self, name) != getattr(type(self), name):", "if False:", "trainable is not in the config", CONFIGS),
    fault("_config/configured.py", "return kept if given is _MISSING or (_is_plain(kept) and _is_plain(given)) else given", "return kept",
          "a layer where a number was given", CONFIGS, SAVING),
    fault("_config/encoder.py", 'return {"class_name": "same", "config": known}', "pass", "a shared layer is written twice", SAVING),
    fault("_config/encoder.py", 'return number if math.isfinite(number) else {"class_name": "float", "config": str(number)}', "return number",
          "NaN in JSON", CONFIGS),
    fault("_config/text.py", "elif not _same(value, parameter.default):", "else:", "repr shows defaults", CONFIGS),
    # Batches, and files they are made of
    fault("training/ahead.py", "return part.copy()", "return part", "batches change while they train", ITERABLES),
    fault("training/ahead.py", "            if taken != limit:\n", "            if True:\n", "one batch too many asked for", ITERABLES),
    fault("training/ahead.py", "            self._jobs.put(close)\n", "            pass\n", "what was opened is not closed", ITERABLES),
    fault("training/ahead.py", "            if taken != limit:\n                self._jobs.put(lambda: _next(iterator))\n            yield batch\n",
          "            yield batch\n            if taken != limit:\n                self._jobs.put(lambda: _next(iterator))\n", "nothing is prepared ahead", ITERABLES),
    fault("training/streams.py", "        if not self.goes_on:\n            self._iterator = None", "        self._iterator = None", "epochs of some steps begin anew", ITERABLES),
    fault("training/streams.py", "self.limit is not None and count < self.limit", "False", "an early end unnoticed", ITERABLES),
    fault("training/plan.py", "(epoch + 1) % often == 0", "epoch % often == 0", "validation an epoch late", ITERABLES),
    fault("training/plan.py", '            "steps_per_epoch",\n', "", "resumed with other epochs", ITERABLES),
    fault("training/plan.py", "return self.validation_batch_size or self.batch_size", "return self.batch_size", "validation_batch_size ignored", ITERABLES),
    fault("training/fit.py", "len(state.history) * source.limit", "0", "resumed with the first epoch's batches", ITERABLES),
    fault("training/fit.py", "state.stop_training or source.ended", "state.stop_training", "training goes on without batches", ITERABLES),
    fault("training/fit.py", "order[done:samples]", "order[done:]", "epochs of arrays too long", ITERABLES),
    fault("training/evaluate.py", "array[: steps * batch_size]", "array", "predict ignores steps", ITERABLES),
    fault("training/evaluate.py", "before = reporter.steps, reporter.samples", "before = 0, 0", "predict counts its batches from 0", ITERABLES),
    fault("training/sources.py", "return source.head(steps * batch_size)", "return source", "steps of arrays ignored", ITERABLES),
    fault("callbacks/monitor.py", "without_validation(self, logs)", "False", "an epoch without validation is an error", ITERABLES),
    fault("callbacks/monitor.py", 'not any(name.startswith("val_") for name in logs)', "True", "wrong names pass beside validation_freq", ITERABLES),
    fault("callbacks/csv_logger.py", "without_validation(self, logs)", "False", "no columns for later validation", ITERABLES),
    fault("data.py", "count is not None and label >= count", "False", "weights of classes that do not exist", FIT),
    fault("data.py", "        _warn_of_sums(array, name)\n", "", "sums other than 1 unnoticed", FIT),
    fault("datasets/dataset.py", "data.split(samples, share, classes, seed)", "data.split(samples, share, None, seed)", "classes held out as they come", FOLDER, CSV),
    fault("datasets/image_folder.py", "self.wanted, *self.how", "self.size, *self.how", "sizes that differ are made equal", FOLDER),
    fault("datasets/image_folder.py", "kept[number] = False", "pass", "a picture that was not read is kept", FOLDER),
    fault("datasets/image_folder.py", 'and not entry.name.startswith(".")', "", "hidden folders are classes", FOLDER),
    fault("datasets/pictures.py", "operations.exif_transpose(opened)", "opened", "photos lie on their side", FOLDER),
    fault("datasets/pictures.py", "values.clip(0, 65535) >> 8", "values.clip(0, 255)", "16 bits are clipped", FOLDER),
    fault("datasets/pictures.py", "target, method = (size[1], size[0])", "target, method = (size[0], size[1])", "height and width exchanged", FOLDER),
    fault("datasets/csv_file.py", "whole[rows] = False", "pass", "rows with missing values stay", CSV),
    fault("datasets/encoding.py", "in row {rows[bad[0]]}", "in row {bad[0]}", "rows counted after others were dropped", CSV),
    fault("datasets/encoding.py", "{} if like is None else dict(like.categories)", "{}", "categories of this file alone", CSV),
    fault("datasets/encoding.py", "len(other) < len(column.values) / 2", "False", "a mark for what is missing is a category", CSV),
    fault("datasets/columns.py", "str(value).strip()", "str(value)", "spaces after separators are part of values", CSV),
    fault("datasets/columns.py", "values = whole.astype(np.int64)", "pass", "gaps make labels floats", CSV),
    # Names that people bring along
    fault("_config/resolving.py", "if isinstance(rule, Same) and rule.ours in given:", "if False:", "of two names one wins silently", NAMES),
    fault("_config/resolving.py", "            kwargs, args = {**dict(", "            _ = {**dict(", "positional arguments do not count as given", NAMES),
    fault("_config/resolving.py", "            settings[name] = value\n        elif", "            pass\n        elif", "trainable=False is lost", NAMES),
    fault("_config/resolving.py", "elif isinstance(rule, Only) and not rule.takes(value):", "elif False:", "channels_first is taken", NAMES),
    fault("_config/resolving.py", "            if name in given:\n", "            if False:\n", "what cannot stand together does", NAMES, MEANINGS),
    fault("_config/resolving.py", "for name in (given, our_string(kind, given), snake_case(given)):", "for name in (given, our_string(kind, given)):",
          "classes' names are not taken", NAMES),
    fault("_config/resolving.py", "if rule is None:", "if False:", "misspelt arguments", NAMES),
    fault("_config/names.py", '"clipvalue": Same("clip_value")', '"clipvalue": Same("clip_norm")', "clipvalue clips the norm", NAMES),
    fault("_config/names.py", '"categorical_crossentropy": "cross_entropy"', '"categorical_crossentropy": "bce"', "another loss", NAMES),
    fault("_config/decoder.py", " and name not in rules_of(cls)]", "]", "configs in Keras's names are refused", NAMES),
    fault("metrics/__init__.py", "        found.name = metric\n", "        pass\n", "acc is reported as accuracy", MEANINGS),
    fault("metrics/base.py", '_settings = ("name",)', "_settings = ()", "saved metrics lose their names", MEANINGS),
    fault("optimizers/base.py", 'initial, number(where, "decay", meant["decay"]), per="step"', 'initial, number(where, "decay", meant["decay"])',
          "decay by epochs", NAMES, MEANINGS),
    fault("optimizers/base.py", 'meant.get("ema_momentum", 0.99)', "0.99", "ema_momentum is ignored", NAMES),
    fault("schedules/decays.py", "return -math.log(factor) / steps", "return math.log(factor) / steps", "a rate that grows", MEANINGS),
    fault("schedules/decays.py", 'if meant.get("staircase"):', "if False:", "no stairs", MEANINGS),
    fault("schedules/decays.py", "np.floor(t / self.every) * self.every", "np.ceil(t / self.every) * self.every", "stairs too early", MEANINGS),
    fault("schedules/decays.py", "if isinstance(per, (int, float)):", "if False:", "three numbers refused", MEANINGS),
    fault("schedules/kinds.py", 'meant["alpha"]) * initial', 'meant["alpha"])', "alpha is a rate", MEANINGS),
    fault("schedules/kinds.py", 'PiecewiseConstant(boundaries, values, per="step")', "PiecewiseConstant(boundaries, values)", "boundaries count epochs", MEANINGS),
    fault("schedules/meaning.py", "looks(args[1])", "False", "another meaning, silently", MEANINGS),
    fault("schedules/meaning.py", '"per" not in kwargs', "True", "warns of what is clear", MEANINGS),
    fault("initializers.py", "seed if self.seed is None else self.seed", "seed", "an initializer's seed is ignored", MEANINGS),
    fault("initializers.py", '"out": fan_out', '"out": fan_in', "fan_out is fan_in", MEANINGS),
    fault("sequential.py", "shape = self.input_shape or layers[0].first_shape", "shape = self.input_shape", "input_shape= builds nothing", MEANINGS),
    fault("sequential.py", "            self.layers = before\n", "            pass\n", "a layer that does not fit stays", MEANINGS),
    fault("graph/graphs.py", "self._base, self._built_for, self._store = before", "self._base, self._built_for, _ = before",
          "a layer that does not fit takes the optimizer's state with it", MEANINGS),
    fault("layers/separable.py", "drawn = _DrawnAs((*self.kernel_size, channels, self.depth_multiplier), self.kernel_initializer)",
          "drawn = self.kernel_initializer", "fans of one channel", MEANINGS),
    fault("layers/separable.py", "y = ops.conv2d(h, self.pointwise, self.bias, activation=self._fused)", "y = ops.conv2d(h, self.pointwise, self.bias)",
          "no activation", MEANINGS),
    fault("layers/rescaling.py", "ops.add(ops.multiply(x, self.scale), self.offset)", "ops.multiply(ops.add(x, self.offset), self.scale)", "the offset is scaled", MEANINGS),
    fault("layers/norm.py", "trainable=self.scale", "trainable=True", "scale=False is trained", MEANINGS),
    fault("layers/keras_calls.py", "before, trace.predicts = trace.predicts, True", "before = trace.predicts", "training=False drops", MEANINGS),
    fault("layers/keras_calls.py", 'elif hasattr(inner, "running_mean"):', "elif False:", "norms train in spite of training=False", MEANINGS),
    # Advice, and probabilities
    fault("graph/bounds.py", "a[0] >= -1e-9 and a[1] <= 1 + 1e-9", "a[1] <= 1 + 1e-9", "differences as probabilities", ADVICE),
    fault("graph/bounds.py", "return a[0] + b[0], a[1] + b[1]", "return a", "sums as probabilities", ADVICE),
    fault("graph/bounds.py", "return min(lows), max(highs)", "return ANY", "columns of probabilities as logits", ADVICE),
    fault("losses/fused.py", '"step", "probabilities")', '"step")', "what the graph shows is not looked at", ADVICE),
    fault("training/advice.py", "node in seen or node in dead_ends or node < 0", "node in seen or node < 0", "gradients through a step", ADVICE),
    fault("training/advice.py", "unused = list(_never_called(model, traced.output.trace.reached))", "unused = []", "unreached layers unsaid", ADVICE),
    fault("training/advice.py", "if model.weights and not trained:", "if False:", "all frozen, unsaid", ADVICE),
    fault("training/advice.py", "lost = _layers(store.names[index] for index in sorted(trained - used))", "lost = []", "outputs that nobody uses, unsaid", ADVICE),
    fault("training/learner.py", "if self._advised_on is traced:", "if self._advised_on is not None:", "what is frozen later is not seen", ADVICE),
    fault("training/learner.py", "if text not in self._advice:", "if True:", "says it again", ADVICE),
    fault("training/learner.py", "if data.is_turned(shape, expected):", "if False:", "turned images into dense layers", ADVICE),
    fault("training/advice.py", 'if node["kind"] == "dense" and len(node["shape"]) > 1:', "if False:", "the layer that wants a Flatten is not named", ADVICE),
    fault("data.py", "    if is_turned(got, expected):\n", "    if False:\n", "reshape instead of transpose", ADVICE),
    fault("data.py", "max(shape[1:]) <= 2 * min(shape[1:])", "True", "long signals taken for turned images", ADVICE),
    fault("data.py", "got == expected[1:] or ", "", "one sample, no advice", ADVICE),
    fault("model/building.py", "if turned and any(", "if False and any(", "turned images train", ADVICE),
    fault("graph/symbol.py", ' and not hasattr(error, "layer")', "", "layers around are named, too", ADVICE),
    fault("_checks.py", "if len(value) > 0 and value[0] is None else list(value)", "if False else list(value)", "no batch axis of None", ADVICE),
]  # fmt: skip


def run(tree, tests, show=False):
    """Whether the tests pass."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "python"), "NNX_TEST_KILLS": "2"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *(f"tests/{name}" for name in tests),
    ]
    done = subprocess.run(
        command, check=False, cwd=tree, env=environment, capture_output=True, text=True, timeout=600
    )
    if show and done.returncode:
        print(done.stdout[-3000:])
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="faults of files whose path has this in it")
    parser.add_argument("--list", action="store_true", help="only see that all can be planted")
    options = parser.parse_args()
    faults = [one for one in FAULTS if options.only in one.path]
    lost = [one for one in faults if (ROOT / "python/nnx" / one.path).read_text().count(one.text) < 1]
    for one in lost:
        print(f"cannot be planted: {one.path}: {one.what}")
    if lost:
        return 2
    print(f"{len(faults)} faults can be planted")
    if options.list:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for part in ("python", "tests", "docs", "pyproject.toml"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, tree / part)
        needed = sorted({name for one in faults for name in one.tests})
        if not run(tree, needed, show=True):
            print("tests fail without any fault")
            return 2
        caught = 0
        for one in faults:
            file = tree / "python/nnx" / one.path
            right = file.read_text()
            file.write_text(right.replace(one.text, one.wrong, 1))
            found = not run(tree, one.tests)
            file.write_text(right)
            caught += found
            print(f"{'caught' if found else 'MISSED'}: {one.path}: {one.what}", flush=True)
    print(f"{caught} of {len(faults)} caught")
    return 0 if caught >= SHARE * len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
