"""The peak memory of this process, for code that tests and benchmarks run in a process of its own."""

from __future__ import annotations

import re
from pathlib import Path


def peak_bytes() -> int:
    """The largest resident set so far. (`ru_maxrss` will not do: on Linux a child inherits its parent's.)"""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1))
