"""The machine in words: nothing that names or finds it."""

import os
import platform
from pathlib import Path


def in_words() -> str:
    """Such as "2 cores, x86_64 (AMD EPYC), 25 GB of memory, Linux"."""
    cores = os.cpu_count() or 1
    kind = f" ({model})" if (model := processor()) else ""
    return f"{cores} core{'s' * (cores != 1)}, {platform.machine()}{kind}, {memory()}{platform.system()}"


def processor() -> str:
    """The processor's family as the system calls it, or nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return ""
    return f"{size / 1e9:.0f} GB of memory, "
