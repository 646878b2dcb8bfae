"""The command line: `nnx train`, `nnx evaluate`, `nnx predict`, `nnx info`, `nnx bench`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from nnx import _core
from nnx.commands import choices


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit code: 0; 1 for training whose loss is not finite; 2 for an error of the user's; 130 for Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        command = importlib.import_module(f"nnx.commands.{options.command}")
        code: int = command.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # by `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"nnx: error: {error or type(error).__name__}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nnx", description="Train neural networks.")
    parser.add_argument("--version", action="version", version=f"nnx {_core.info()['version']}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train a classifier of images",
        description="Trains a classifier of images; without arguments, on the digits that come along.",
    )
    _add_training(train)
    evaluate = commands.add_parser(
        "evaluate",
        help="loss and metrics of a model on data",
        description="Prints loss and metrics of a model on data that it was not trained on.",
    )
    _add_model(evaluate)
    evaluate.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="as in nnx train; of a .npz file with x, y all samples, else those for tests",
    )
    evaluate.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="of nnx train, for what it held out; default: as in options.json beside the model, or 0",
    )
    predict = commands.add_parser(
        "predict",
        help="classes and probabilities of samples in files",
        description="Prints the class of each sample and its probability.",
    )
    _add_model(predict)
    predict.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help=".npy or .npz, one sample or several, with values as in training; or a picture, its values 0 to 255, "
        "which is brought to the size of the training images (needs Pillow)",
    )
    predict.add_argument(
        "--top", type=_positive_int, default=1, metavar="K", help="the K most probable classes; default: 1"
    )
    predict.add_argument("--csv", action="store_true", help="print a table in CSV")
    commands.add_parser("info", help="what this installation can do")
    bench = commands.add_parser(
        "bench",
        help="time nnx beside its peers",
        description="Times training steps and a matrix product, beside PyTorch and NumPy where they are installed.",
    )
    bench.add_argument(
        "--threads", type=_positive_int, metavar="N", help="of nnx and PyTorch; default: all CPUs"
    )
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help="a file of nnx train or Model.save: nnx-out/model.safetensors"
    )
    _add_device(parser)
    parser.add_argument(
        "--batch-size", type=_positive_int, default=256, metavar="N", help="default: %(default)s"
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda or cuda:1"
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--data",
        metavar="DATA",
        help="'digits' (default); a folder of IDX files, such as Debian's package dataset-fashion-mnist puts "
        "in /usr/share/datasets/fashion-mnist; a folder with a folder of pictures of one size for each class, or "
        "with such folders called train and test (needs Pillow); or a .npz file with x_train, y_train, x_test, y_test or x, y",
    )
    add("--model", choices=choices.MODELS, help="default: lenet")
    add("--epochs", type=_positive_int, metavar="N", help="default: by the model and the number of samples")
    add("--batch-size", type=_positive_int, metavar="N", help="default: 32")
    add("--lr", type=_positive_float, metavar="F", help="learning rate; default: 0.02 for sgd, else 0.001")
    add("--decay", choices=choices.DECAYS, help="how the learning rate falls; default: cosine")
    add("--optimizer", choices=choices.OPTIMIZERS, help="default: sgd, with momentum 0.9")
    _add_device(parser)
    add("--seed", type=int, metavar="N", help="of weights, shuffles and dropout; default: 0")
    add("--out", default="nnx-out", metavar="DIR", help="where the results go; default: %(default)s")
    add(
        "--resume",
        action="store_true",
        help="go on with the run in --out that was interrupted or killed, with its options",
    )


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return value


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value
