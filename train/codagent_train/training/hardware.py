"""What this machine has for a run: memory, room on its disk, speed."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from codagent.errors import UsageError

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of the container, where there is one
_MEASURED_S = 0.3
_WIDTH = 2048  # of the matrix: 16 MB, more than most caches hold


def free_memory(device: str) -> int:
    """Bytes that a process could take. UsageError when there is no such device."""
    if device == "cpu":
        return min([_available(), *(int(text) for text in map(_read, _LIMITS) if text.strip().isdigit())])
    import torch

    if not torch.cuda.is_available():
        raise UsageError('the recipe asks for device = "cuda", and torch finds no GPU here; take device = "cpu"')
    return int(torch.cuda.mem_get_info()[0])


def free_disk(out: Path) -> int:
    """Bytes that a folder, there or not, could take."""
    nearest = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    return shutil.disk_usage(nearest).free


def measure_speed(device: str, threads: int, rows: int) -> float:
    """Operations a second of a matrix product with so many rows: few of them wait for the matrix to be read. Takes a moment."""
    import torch

    torch.set_num_threads(threads)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    left, right = (torch.randn(count, _WIDTH, device=device, dtype=dtype) for count in (rows, _WIDTH))
    times: list[float] = []
    end = time.monotonic() + _MEASURED_S
    while not times or time.monotonic() < end:
        began = time.perf_counter()
        (left @ right)[0, 0].item()  # waits for it
        times.append(time.perf_counter() - began)
    return 2 * rows * _WIDTH * _WIDTH / sorted(times)[len(times) // 2]


def _available() -> int:
    """As Linux counts it, what it holds only for later included; elsewhere all there is."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
