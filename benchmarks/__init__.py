"""Speed, as ratios of times from one run: `python -m benchmarks` measures and renews the record in the book."""
