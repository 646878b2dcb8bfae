"""`nnx info`: what this installation can do."""

from __future__ import annotations

from nnx import _core


def run() -> int:
    """Prints versions, instruction sets, threads and CUDA."""
    info = _core.info()
    cpu, cuda = info["cpu"], info["cuda"]
    print(f"nnx      {info['version']}")
    print(f"cpu      {cpu['isa']} ({8 * cpu['vector_bytes']}-bit vectors), of {', '.join(cpu['isas_built'])}")
    print(f"threads  {info['threads']}")
    print(f"cuda     {'available' if cuda['available'] else 'not available: ' + cuda['reason']}")
    return 0
