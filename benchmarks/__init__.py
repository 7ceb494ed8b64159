"""Speed, as ratios against what it should be measured by: `python -m benchmarks`."""
