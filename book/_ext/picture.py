"""Take the figure of the landing page from its executed notebook, for the README."""

import base64
import sys
from pathlib import Path

from notebook_cache import cached_outputs, open_cache

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "book" / "_static" / "four-trainings.png"

if __name__ == "__main__":
    outputs = cached_outputs(open_cache(ROOT), ROOT / "book" / "index.md")
    images = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    if len(images) != 1:
        sys.exit(f"The landing page has {len(images)} figures, expected one: run `make book` first.")
    PICTURE.write_bytes(base64.b64decode(images[0]))
