// On the search page an excerpt is from the text of a page, and not from what stands around it.
if (typeof Search !== "undefined") {
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(".headerlink, .cell_input, .cell_output, details.checks, script, style").forEach((e) => e.remove());
    const article = page.querySelector("article");
    return ((anchor && article?.querySelector(anchor)) || article)?.textContent ?? "";
  };
}
