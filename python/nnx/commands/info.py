"""`nnx info`: what this installation can do."""

from __future__ import annotations

import argparse

from nnx import _core


def run(_: argparse.Namespace) -> int:
    """Prints versions, instruction sets, threads and CUDA."""
    info = _core.info()
    cpu, cuda = info["cpu"], info["cuda"]
    print(f"nnx      {info['version']}")
    print(f"cpu      {cpu['isa']} ({8 * cpu['vector_bytes']}-bit vectors), of {', '.join(cpu['isas_built'])}")
    print(f"threads  {info['threads']}")
    if not cuda["available"]:
        print(f"cuda     not available: {cuda['reason']}")
        return 0
    what = "emulated" if cuda["emulated"] else f"{cuda['runtime']}, driver {cuda['driver']}"
    print(f"cuda     {what}, built for {cuda['architectures']}")
    for index, device in enumerate(cuda["devices"]):
        print(f"cuda:{index}   {device['reason'] or device['text']}")
    return 0
