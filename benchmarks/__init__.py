"""Speed, as ratios of times from one run: `python -m benchmarks` measures and renews the record in the book."""

import sys
from pathlib import Path

# What the build of the book knows, such as the machine in words, is at hand here too.
sys.path.insert(0, str(Path(__file__).parents[1] / "book" / "_ext"))
