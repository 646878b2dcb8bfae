"""The command line: `nnx train`, `nnx info`."""

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
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    train.add_argument(
        "--data",
        default="digits",
        metavar="DATA",
        help="'digits'; a folder of IDX files, such as Debian's package dataset-fashion-mnist installs in "
        "/usr/share/datasets/fashion-mnist; or a .npz file with x_train, y_train, x_test, y_test or x, y",
    )
    train.add_argument("--model", default="lenet", choices=("lenet", "mlp", "alexnet"), help="what to train")
    train.add_argument("--epochs", type=_positive_int, metavar="N", help="default: as the data need")
    train.add_argument("--batch-size", type=_positive_int, default=32, metavar="N", help="samples per step")
    train.add_argument("--lr", type=_positive_float, metavar="F", help="default: as the optimizer needs")
    train.add_argument(
        "--decay", default="cosine", choices=("none", "step", "exp", "cosine"), help="of the learning rate"
    )
    train.add_argument(
        "--optimizer", default="sgd", choices=("sgd", "adam", "adamw"), help="sgd has momentum"
    )
    train.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:1")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="for weights, shuffles and dropout")
    train.add_argument("--out", default="nnx-out", metavar="DIR", help="where results go")
    commands.add_parser("info", help="what this installation can do")
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
