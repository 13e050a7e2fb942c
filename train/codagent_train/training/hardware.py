"""Measures what this machine has for a run: free memory, free disk, speed."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from codagent.errors import UsageError

# the memory limit of a container, by version 2 and 1 of cgroup
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_MEASURED_S = 0.3  # how long the speed is measured, in seconds
_WIDTH = {"cpu": 2048, "cuda": 8192}  # of the matrix, which is larger than most caches
_AT_ONCE = {"cpu": 1, "cuda": 20}  # products that are asked for before one waits: to wait for a GPU takes longer than a product


def free_memory(device: str) -> int:
    """Return the bytes that a process could allocate on the device. Raises UsageError for "cuda" when there is no GPU."""
    if device == "cpu":
        return min([_available(), *(int(text) for text in map(_read, _LIMITS) if text.strip().isdigit())])
    import torch

    if not torch.cuda.is_available():
        raise UsageError('the device "cuda" is asked for, and torch finds no GPU here; take "cpu"')
    return int(torch.cuda.mem_get_info()[0])


def free_disk(out: Path) -> int:
    """Return the free bytes on the disk of a folder, which need not exist yet."""
    nearest = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    return shutil.disk_usage(nearest).free


def measure_speed(device: str, dtype: str, threads: int, rows: int) -> float:
    """Measure the operations per second of a matrix product with `rows` rows. Takes `_MEASURED_S` seconds or a little more.

    With few rows, the speed is limited by reading the matrix from memory.
    """
    import torch

    torch.set_num_threads(threads)
    width, at_once = _WIDTH[device], _AT_ONCE[device]
    left, right = (torch.randn(count, width, device=device, dtype=getattr(torch, dtype)) for count in (rows, width))
    times: list[float] = []
    end = time.monotonic() + _MEASURED_S
    while not times or time.monotonic() < end:
        began = time.perf_counter()
        products = [left @ right for _ in range(at_once)]
        products[-1][0, 0].item()  # reading a value waits for the results
        times.append((time.perf_counter() - began) / at_once)
    return 2 * rows * width * width / sorted(times)[len(times) // 2]


def _available() -> int:
    """Return the available memory by /proc/meminfo, which counts caches that can be freed; without that file, all memory."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read(path: str) -> str:
    """Return the text of a file; "" when it cannot be read."""
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
