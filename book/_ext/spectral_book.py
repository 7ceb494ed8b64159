"""The book's own Sphinx extension: what the pages need and Jupyter Book does not do."""

import re
from pathlib import Path

import build_record
import claims_table
import execute
import from_chapters
import front_door
import ledger
import reading_copy
import reading_order
from docutils import nodes
from notebook_cache import cache_folder
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def use_executed_chapters(app: Sphinx, config: Config) -> None:
    """Execute what is not kept for the present code, and point MyST-NB at the outputs."""
    if execute.main(report=LOGGER.info):
        raise ExtensionError("A chapter could not be executed; the lines above say why.")
    config.nb_execution_cache_path = str(cache_folder(Path(app.srcdir)))


def draw_single_page_as_pages(app: Sphinx, config: Config) -> None:
    """Let the single page know every node that a page knows: one extension that names it hides the others' from it."""
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = handlers["html"] | handlers.get("singlehtml", {})


def derive_site_address(app: Sphinx, config: Config) -> None:
    """GitHub serves the pages of github.com/OWNER/NAME at OWNER.github.io/NAME."""
    owner, name = config.html_theme_options["repository_url"].split("/")[-2:]
    config.html_baseurl = config.ogp_site_url = f"https://{owner}.github.io/{name}/"


def require_alternative_text(app: Sphinx, doctree: nodes.document) -> None:
    """Warn, and so fail the build, where an image would be read out as its file name."""
    for image in doctree.findall(nodes.image):
        text = image.get("alt", "").strip()
        if not text or text == Path(image["uri"]).name:
            LOGGER.warning("image without alternative text: %s", image["uri"], location=image)


def drop_thebe(app: Sphinx, pagename, templatename, context: dict, doctree) -> None:
    """Leave out sphinx-thebe's scripts: live code is off, and twice the same one is an error."""
    context["script_files"] = [script for script in context["script_files"] if "thebe" not in _content(script)]


def mend_roles(app: Sphinx, pagename, templatename, context: dict, doctree) -> None:
    """Make the entries of the bibliography items of the list that docutils puts them in."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def keep_punctuation_with_formulas(app: Sphinx, pagename, templatename, context: dict, doctree) -> None:
    """No line begins with the full stop that ends a formula, or ends in the bracket that opens before it."""
    if "body" in context:
        formula = r'<span class="math[^"]*">[^<]*</span>'
        marked = rf"\({formula}[.,;:!?)]*|{formula}[.,;:!?)]+"
        context["body"] = re.sub(marked, r'<span class="unbroken">\g<0></span>', context["body"])


def set_minus_signs(app: Sphinx, pagename, templatename, context: dict, doctree) -> None:
    """Numbers of the build have a minus sign; behind a hyphen a line may break, 4.4e- and 07."""
    if "body" in context:
        numbers = r'<span class="pasted-text">.*?</span>|<p>[✓✗].*?</p>|<td\b.*?</td>'
        hyphen = r"(?<![\w-])-(?=\d)|(?<=\de)-(?=\d)"
        context["body"] = re.sub(numbers, lambda found: re.sub(hyphen, "−", found[0]), context["body"], flags=re.DOTALL)


def link_within_single_page(app: Sphinx, pagename, templatename, context: dict, doctree) -> None:
    """A link to the single page itself stays in it: in print there is no other file to open."""
    if app.builder.name == "singlehtml" and "body" in context:
        body = context["body"].replace(f'href="{pagename}.html#', 'href="#')
        context["body"] = body.replace(f'href="#document-{pagename}"', 'href="#"')


def drop_old_pages(app: Sphinx, error: Exception | None) -> None:
    """A page that has left the contents is served no more."""
    if error is None and app.builder.name == "html":
        for page in Path(app.outdir, "book").glob("*.html"):
            if f"book/{page.stem}" not in app.env.found_docs:
                page.unlink()


def enlarge_figures(app: Sphinx, pagename, templatename, context: dict, doctree) -> None:
    """A figure is a link to its image: on a phone it opens as large as one likes."""
    if "body" in context and app.builder.name == "html":
        image = r'(<figure\b[^>]*>\s*(?:<div[^>]*>\s*)*)(<img\b[^>]*\bsrc="([^"]+)"[^>]*>)'
        context["body"] = re.sub(image, r'\1<a class="enlarge" href="\3">\2</a>', context["body"])


def _content(script) -> str:
    attributes = getattr(script, "attributes", {})
    return f"{getattr(script, 'filename', script)} {attributes.get('body', '')}"


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", use_executed_chapters)
    app.connect("config-inited", draw_single_page_as_pages)
    app.connect("config-inited", derive_site_address)
    app.connect("env-get-outdated", reading_order.read_again)
    app.connect("env-before-read-docs", reading_order.read_last)
    app.connect("doctree-read", require_alternative_text)
    app.connect("doctree-read", ledger.gather)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", keep_punctuation_with_formulas)
    app.connect("html-page-context", set_minus_signs)
    app.connect("html-page-context", link_within_single_page)
    app.connect("html-page-context", enlarge_figures)
    app.connect("html-page-context", reading_copy.open_copies, priority=900)
    app.connect("build-finished", front_door.write)
    app.connect("build-finished", reading_copy.write)
    app.connect("build-finished", drop_old_pages)
    app.add_role("checked", ledger.Checked())
    app.add_role("took", build_record.Took())
    app.add_directive("claims-summary", claims_table.ClaimsSummary)
    app.add_directive("claims-table", claims_table.ClaimsTable)
    app.add_directive("build-chapters", build_record.Chapters)
    app.add_directive("build-versions", build_record.Versions)
    app.add_directive("figure-of", from_chapters.FigureOf)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
