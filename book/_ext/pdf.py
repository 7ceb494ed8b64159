"""Print the whole book, built as a single page, to a PDF."""

import shutil
import sys
from pathlib import Path

import chromium
from playwright.sync_api import sync_playwright

BUILD = Path(__file__).parents[2] / "_build"
SINGLE, PDF = BUILD / "singlehtml", BUILD / "spectral-evolution.pdf"
NUMBER = '<div style="width: 100%; text-align: center; font-size: 8px"><span class="pageNumber"></span></div>'
MARGIN = dict(top="18mm", bottom="18mm", left="18mm", right="18mm")


def main() -> int:
    executable = chromium.find()
    if executable is None:
        print(f"No browser: install one of {', '.join(chromium.NAMES)}.")
        return 1
    # Sphinx writes the page beside its first source, with addresses that hold one folder above.
    page_file = shutil.copy(next((SINGLE / "book").glob("*.html")), SINGLE / "index.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=chromium.ARGUMENTS)
        page = browser.new_page(color_scheme="light")
        page.goto(page_file.as_uri(), wait_until="load")
        page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
        head = dict(display_header_footer=True, header_template="<span></span>", footer_template=NUMBER)
        page.pdf(path=PDF, format="A4", margin=MARGIN, outline=True, tagged=True, print_background=True, **head)
        browser.close()
    print(f"{PDF.relative_to(BUILD.parent)}: {PDF.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
