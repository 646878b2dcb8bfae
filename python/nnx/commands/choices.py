"""What a run of `nnx train` was asked for, kept beside its model for `--resume`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nnx.saving import files

FILE = "options.json"
MODELS = ("lenet", "mlp", "alexnet")
DECAYS = ("none", "step", "exp", "cosine")
OPTIMIZERS = ("sgd", "adam", "adamw")
# None: settled by the model and the data.
DEFAULTS: dict[str, Any] = {
    "data": "digits",
    "model": "lenet",
    "epochs": None,
    "batch_size": 32,
    "lr": None,
    "decay": "cosine",
    "optimizer": "sgd",
    "seed": 0,
}
_CHOICES = {"model": MODELS, "decay": DECAYS, "optimizer": OPTIMIZERS}


def settle(options: argparse.Namespace) -> None:
    """Puts defaults, or what the run that is resumed had, where nothing was given."""
    if options.data not in (None, "digits") and Path(options.data).exists():
        options.data = str(Path(options.data).resolve())
    kept = _read(Path(options.out) / FILE) if options.resume else DEFAULTS
    for name, value in kept.items():
        given = getattr(options, name)
        if options.resume and given is not None and given != value:
            raise ValueError(
                f"--{name.replace('_', '-')}: expected {value}, as in the run that is resumed, got {given}"
            )
        if given is None:
            setattr(options, name, value)


def keep(options: argparse.Namespace) -> None:
    """Writes what was settled."""
    about = {name: getattr(options, name) for name in DEFAULTS}
    files.write_atomically(Path(options.out) / FILE, (json.dumps(about, indent=1) + "\n").encode())


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"--resume: {path.parent} holds no run of nnx train: there is no {path.name}")
    try:
        kept = json.loads(path.read_bytes()[: 1 << 16])
        right = isinstance(kept, dict) and kept.keys() == DEFAULTS.keys() and _fits(kept)
    except (ValueError, RecursionError):
        right = False
    if not right:
        raise ValueError(f"{path}: expected the options of a run of nnx train, and they are damaged")
    return dict(kept)


def _fits(kept: dict[str, Any]) -> bool:
    positive = all(type(kept[name]) is int and 0 < kept[name] < 1 << 31 for name in ("epochs", "batch_size"))
    rate = type(kept["lr"]) in (int, float) and 0 < kept["lr"] < 1e300
    chosen = all(kept[name] in choices for name, choices in _CHOICES.items())
    return positive and rate and chosen and isinstance(kept["data"], str) and type(kept["seed"]) is int


def seed_of(model: str) -> int:
    """The seed of the run of `nnx train` that left this model; 0 where nothing tells."""
    path = Path(model).parent / FILE
    return int(_read(path)["seed"]) if path.is_file() else int(DEFAULTS["seed"])
