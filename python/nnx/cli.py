"""The command line: `nnx train`, `nnx info`, `nnx bench`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code: 0, 2 for an error of the user's, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "train":
            from nnx.commands import train

            return train.run(options)
        if options.command == "bench":
            from nnx.commands import bench

            return bench.run(options)
        from nnx.commands import info

        return info.run()
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"nnx: error: {error or type(error).__name__}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nnx", description="Train neural networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train a classifier of images",
        description="Trains a classifier of images; without arguments, on the digits that come along.",
    )
    add = train.add_argument
    add(
        "--data",
        default="digits",
        metavar="DATA",
        help="'digits' (default); a folder of IDX files, such as Debian's package dataset-fashion-mnist puts "
        "in /usr/share/datasets/fashion-mnist; or a .npz file with x_train, y_train, x_test, y_test or x, y",
    )
    add("--model", default="lenet", choices=("lenet", "mlp", "alexnet"), help="default: %(default)s")
    add("--epochs", type=_positive_int, metavar="N", help="default: by the model and the number of samples")
    add("--batch-size", type=_positive_int, default=32, metavar="N", help="default: %(default)s")
    add("--lr", type=_positive_float, metavar="F", help="learning rate; default: 0.02 for sgd, else 0.001")
    add(
        "--decay",
        default="cosine",
        choices=("none", "step", "exp", "cosine"),
        help="how the learning rate falls; default: %(default)s",
    )
    add(
        "--optimizer",
        default="sgd",
        choices=("sgd", "adam", "adamw"),
        help="default: %(default)s, with momentum 0.9",
    )
    add("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda or cuda:1")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of weights, shuffles and dropout; default: %(default)s",
    )
    add("--out", default="nnx-out", metavar="DIR", help="where the results go; default: %(default)s")
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
