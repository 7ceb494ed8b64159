// On the search page an excerpt is from the text of a page, and not from what stands around it,
// and a result leads to the section that has the words.
if (typeof Search !== "undefined") {
  const articleOf = (html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(".headerlink, .cell_input, .cell_output, details.checks, script, style").forEach((e) => e.remove());
    return page.querySelector("article");
  };

  Search.htmlToText = (html, anchor) => {
    const article = articleOf(html);
    return ((anchor && article?.querySelector(anchor)) || article)?.textContent ?? "";
  };

  // The smallest section that has all of the words, the first of them if there are several.
  const sectionWith = (html, words) => {
    let found = null;
    for (const section of articleOf(html)?.querySelectorAll("section[id]") ?? []) {
      const text = section.textContent.toLowerCase();
      const inside = !found || found.contains(section);
      if (inside && [...words].every((word) => text.includes(word))) found = section;
    }
    return found?.parentElement.closest("section") ? found.id : "";
  };

  const summarize = Search.makeSearchSummary;
  Search.makeSearchSummary = (html, words, anchor) => {
    const summary = summarize.call(Search, html, words, anchor);
    if (summary && !anchor) {
      queueMicrotask(() => (summary.parentElement.querySelector("a").hash = sectionWith(html, words)));
    }
    return summary;
  };
}
