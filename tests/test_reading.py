"""A reader finds the way: search, previous and next, a page on paper, a link that others share."""

import re
from html.parser import HTMLParser

import pytest
from project import BUILD, CONFIG, ROOT, pages

CHAPTER = "book/linear_width"
OWNER, NAME = CONFIG["repository"]["url"].split("/")[-2:]
ADDRESS = f"https://{OWNER}.github.io/{NAME}/"


class Head(HTMLParser):
    """The meta tags and the links of a page's head."""

    def __init__(self, name: str):
        super().__init__()
        self.meta, self.links = {}, {}
        self.feed((BUILD / f"{name}.html").read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "meta" and "content" in attributes:
            self.meta[attributes.get("property") or attributes.get("name")] = attributes["content"]
        if tag == "link" and "rel" in attributes:
            self.links[attributes["rel"]] = attributes["href"]


@pytest.mark.parametrize("word, found", [("catapult", "large_learning_rates"), ("Stieltjes", "random_matrix_laws")])
def test_search_finds_a_word_offline(page, site, word, found):
    page.goto(f"{site}/{CHAPTER}.html")
    page.keyboard.press("Control+k")
    page.keyboard.type(word)
    page.keyboard.press("Enter")
    page.locator("#search-results li").first.wait_for()
    links = [link.get_attribute("href") for link in page.locator("#search-results li > a").all()]
    assert any(f"book/{found}.html" in link for link in links)
    page.locator(f"#search-results a[href*='{found}']").first.click()
    page.wait_for_url(f"**/{found}.html*")


def test_search_says_when_nothing_is_found(page, site):
    page.goto(f"{site}/search.html?q=xylophone")
    page.get_by_text("did not match any documents").wait_for()


def test_previous_and_next_follow_the_contents():
    order = pages()
    for before, here, after in zip([None, *order], order, [*order[1:], None], strict=False):
        links = Head(here).links
        assert links.get("prev") == (before and f"{before.removeprefix('book/')}.html")
        assert links.get("next") == (after and f"{after.removeprefix('book/')}.html")


@pytest.mark.parametrize("name", pages())
def test_shared_link_has_title_description_and_picture(name):
    meta = Head(name).meta
    assert meta["og:site_name"] == CONFIG["title"]
    assert meta["og:url"] == f"{ADDRESS}{name}.html"
    assert len(meta["og:title"]) > 5 and len(meta["og:image:alt"]) > 50
    assert meta["og:description"] == meta["description"] and len(meta["description"]) > 50
    picture = meta["og:image"].removeprefix(ADDRESS)
    assert (BUILD / picture).read_bytes() == (ROOT / "book" / picture).read_bytes()


def test_bare_address_tells_of_the_landing_page_and_leads_to_it(page, site):
    told = {name: content for name, content in Head("index").meta.items() if name}
    assert told and told.items() <= Head(pages()[0]).meta.items()
    assert {"description", "og:title", "og:description", "og:image", "og:image:alt", "og:url"} <= set(told)
    page.goto(f"{site}/")
    page.wait_for_url(f"**/{pages()[0]}.html")
    assert page.title()


def test_every_page_is_described_by_its_own_words():
    descriptions = [Head(name).meta["description"] for name in pages()]
    assert len(set(descriptions)) == len(descriptions)


def test_printed_page_is_the_text_alone(page, site):
    page.goto(f"{site}/{CHAPTER}.html")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for screen_only in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", ".prev-next-footer"):
        assert not page.locator(screen_only).first.is_visible(), screen_only
    assert not [cell for cell in page.locator("details.above-input").all() if cell.is_visible()]
    assert all(solution.is_visible() for solution in page.locator(".solution p").all())
    article, paper = page.locator(".bd-article").bounding_box(), page.viewport_size
    assert article["width"] > 0.9 * paper["width"]
    kept = page.locator("figure").evaluate_all("all => all.map((e) => getComputedStyle(e).breakInside)")
    assert kept and set(kept) == {"avoid"}


def test_numbers_of_the_build_have_minus_signs(site, page):
    """Behind a hyphen a line may break."""
    page.goto(f"{site}/book/large_learning_rates.html")
    told = page.locator(".checked, .checks :is(td, summary)").all_text_contents()
    assert any(re.search(r"−\d", text) for text in told) and any(re.search(r"\de−\d", text) for text in told)
    assert not [text for text in told if re.search(r"(?<![\w-])-\d|\de-\d", text)]
