"""The file that a bare address opens: it leads to the landing page, and shows in a shared link what that page is."""

import re
from pathlib import Path

from sphinx.application import Sphinx

TOLD = re.compile(r'<title>.*?</title>|<meta (?:property="og:|name="description").*?/>|<link rel="canonical".*?/>')
FRONT_DOOR = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
{told}
<meta http-equiv="refresh" content="0; url={page}" />
</head>
<body><p><a href="{page}">To the book</a></p></body>
</html>
"""


def write(app: Sphinx, error: Exception | None) -> None:
    """`index.html` beside the pages, with what the landing page tells about itself."""
    if error is None and app.builder.name == "html":
        page = f"{app.config.root_doc}.html"
        told = TOLD.findall((Path(app.outdir) / page).read_text())
        (Path(app.outdir) / "index.html").write_text(FRONT_DOOR.format(told="\n".join(told), page=page))
