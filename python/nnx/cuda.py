"""The CUDA devices this process can use."""

from __future__ import annotations

from nnx import _core


def is_available() -> bool:
    """Whether device="cuda" works here; `nnx.info()` says why not."""
    return _core.cuda_is_available()


def device_count() -> int:
    """The number of CUDA devices, 0 where there are none."""
    return _core.cuda_device_count()


def is_emulated() -> bool:
    """Whether the CUDA kernels run on the CPU emulator, as only test builds do."""
    return _core.cuda_is_emulated()


def memory_stats(index: int = 0) -> dict[str, int]:
    """Bytes of a device's memory by use.

    Raises:
        ValueError: where there is no such device.
    """
    return _core.cuda_memory_stats(index)


def empty_cache() -> None:
    """Gives cached device memory back to the driver."""
    _core.cuda_empty_cache()
