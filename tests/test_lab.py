"""The way of a reader on their own machine: a chapter in Jupyter Lab, as `make notebook` opens it."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from project import ROOT

pytestmark = pytest.mark.weekly

GUIDE = (ROOT / "book" / "run_it_yourself.md").read_text()
SIZES, WIDER = re.findall(r"`(n, d, h = [\d, ]+)`", GUIDE)
PATIENCE = 120_000  # milliseconds


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A chapter, and the settings that its pair needs."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "book").mkdir()
    for name in ("pyproject.toml", "book/linear_width.md", "book/linear_width.ipynb"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def lab(clone):
    """The address of what the recipe of `make notebook` starts there."""
    recipe = subprocess.run(
        ["make", "-n", "--no-print-directory", "notebook", "FOLDER=book"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    _, *arguments = shlex.split(recipe.splitlines()[-1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments += ["--no-browser", f"--ServerApp.port={port}", "--IdentityProvider.token="]
    folders = {f"JUPYTER_{kind}_DIR": str(clone / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    server = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=clone,
        env=os.environ | folders,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api").close()
                break
            except urllib.error.URLError:
                time.sleep(0.5)
        else:
            pytest.fail(f"Jupyter Lab did not start: {shlex.join(arguments)}")
        yield address
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def page(browser, lab):
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    opened.set_default_timeout(PATIENCE)
    opened.goto(f"{lab}/lab/tree/book/linear_width.ipynb")
    opened.locator(".jp-MarkdownCell").first.wait_for()
    yield opened
    opened.close()


def test_boxes_and_terms_are_drawn(page):
    """What is MyST in a chapter is not shown as code."""
    first = page.locator(".jp-MarkdownCell").first.inner_text()
    assert len(first.split()) > 30 and "{" not in first and "```" not in first
    box = page.locator(".jp-MarkdownCell aside", has_text="About this chapter")
    turn_until(page, box.is_visible)
    assert "```" not in box.inner_text()


def test_a_figure_of_ones_own_as_the_guide_says(page, clone):
    """A wider network changes the figure, misses a claim made for the width of the book, and changes one line."""
    kept = (clone / "book/linear_width.md").read_text()
    cell = page.locator(".jp-CodeCell .cm-content", has_text=SIZES).first
    turn_until(page, cell.is_visible)
    source = cell.inner_text()
    cell.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(source.replace(SIZES, WIDER))
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).first.click()
    picture = page.locator(".jp-OutputArea-output img").first
    turn_until(page, picture.is_visible)
    told = re.compile(r"CK at the start: top eigenvalue, tanh: observed [\d.]+, ")
    warning = page.locator(".jp-OutputArea-output", has_text=told).first
    turn_until(page, warning.is_visible, 5 * PATIENCE)
    page.keyboard.press("Control+s")
    page.wait_for_timeout(2000)
    assert (clone / "book/linear_width.md").read_text() == kept.replace(SIZES, WIDER)


def turn_until(page, found, patience=PATIENCE) -> None:
    """Turn the wheel over the notebook until something is there; from the top again where it ends."""
    page.mouse.move(700, 500)
    for step in range(patience // 500):
        if found():
            return
        page.mouse.wheel(0, 400 if step % 40 < 30 else -3000)
        page.wait_for_timeout(500)
    pytest.fail("not found in the notebook")
