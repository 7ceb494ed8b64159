"""`python -m helpers.monitor report CHECKPOINT`: the spectra of a checkpoint, as a page."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import report


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m helpers.monitor")
    commands = parser.add_subparsers(dest="command", required=True)
    of = commands.add_parser("report", help="read the weight matrices of a checkpoint and write a page about them")
    of.add_argument("checkpoint", help="a .safetensors or torch file, an index of shards, a folder, a LoRA adapter")
    of.add_argument("--start", help="the checkpoint that it was trained from; of an adapter, its base")
    of.add_argument("--out", type=Path, default=Path("report.html"), help="the page (default: report.html)")
    of.add_argument("--only", default="*", metavar="PATTERN", help="matrices whose names match, as '*.attention.*'")
    options = parser.parse_args(arguments)
    new = not options.out.exists()
    try:
        options.out.touch()  # before the work, not after it
        found = report.read(options.checkpoint, options.start, only=options.only, progress=True)
        options.out.write_text(found.html())
    except (ValueError, ImportError, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        if new:
            options.out.unlink(missing_ok=True)
        return 2
    print(found.summary().to_string())
    print(f"{len(found.frame)} matrices, {len(found.left_out)} tensors left out: see {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
