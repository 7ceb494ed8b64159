"""The same random numbers in every run; a headless Chromium and a server of the built pages, started once."""

import functools
import http.server
import sys
import threading

import pytest
import torch
from project import BUILD, ROOT

# Extension code is imported by the tests as Sphinx imports it.
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import chromium

# Whatever a page asks of another machine fails at once.
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"

torch.manual_seed(0)  # for networks that are made while the tests are collected


@pytest.fixture(autouse=True)
def _same_draws():
    """Layers of torch start from the global state: the same in every test, whatever ran before."""
    torch.manual_seed(0)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site():
    """Address of the built pages."""
    if not (BUILD / "index.html").exists():
        pytest.fail("There are no built pages: run `make book` first.", pytrace=False)
    handler = functools.partial(QuietHandler, directory=BUILD)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    executable = chromium.find()
    if executable is None:
        pytest.fail(f"No browser: install one of {', '.join(chromium.NAMES)}.", pytrace=False)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=[*chromium.ARGUMENTS, ALONE])
        yield started
        started.close()


@pytest.fixture(scope="session")
def tab(browser):
    """The one tab that most tests share: to open another takes Chromium longer than to show a page in it."""
    return browser.new_page()


def cleared(tab):
    """The tab as if it were new: an empty page on a desk, in light, that moves nothing, with nothing remembered."""
    tab.evaluate("() => { if (location.protocol !== 'about:') { localStorage.clear(); sessionStorage.clear(); } }")
    tab.goto("about:blank")
    tab.set_viewport_size({"width": 1280, "height": 720})
    # A color that still changes would be measured as one of low contrast.
    tab.emulate_media(media="screen", color_scheme="light", reduced_motion="reduce")
    tab.mouse.move(0, 0)
    return tab


@pytest.fixture
def page(tab):
    """An empty page."""
    return cleared(tab)
