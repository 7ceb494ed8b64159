// Rest the pointer on a reference, or reach it with the keyboard, and what it points to is shown beside it.
(() => {
  const LINKS = ".bd-article a.reference.internal:not(.sd-stretched-link)";
  const pages = new Map();  // address -> the page as a document, read at most once
  const tip = Object.assign(document.createElement("div"), { id: "preview", hidden: true });
  tip.setAttribute("role", "tooltip");
  let link = null;  // the one that is previewed
  let title = null;  // its own tooltip, put aside meanwhile
  let opening, closing;

  function page(address) {
    if (address === location.href.split("#")[0]) return document;
    if (!pages.has(address)) {
      pages.set(address, fetch(address).then(async (answer) =>
        new DOMParser().parseFromString(await answer.text(), "text/html")));
    }
    return pages.get(address);
  }

  // A term with its definition, the start of a section, or the whole figure, equation, theorem or source.
  function parts(target) {
    if (target.matches("section")) return [target.querySelector("h1, h2, h3"), target.querySelector("p")];
    let last = target;
    while (last?.matches("dt")) last = last.nextElementSibling;
    return last === target ? [target] : [target, last];
  }

  function fill(target, address) {
    const copies = parts(target).filter(Boolean).map((part) => document.importNode(part, true));
    copies.forEach((copy) => copy.removeAttribute("role"));  // of a list that stays behind
    const holder = document.createElement(target.matches("dt") ? "dl" : "div");
    holder.append(...copies);
    tip.replaceChildren(holder);
    tip.querySelectorAll(".headerlink").forEach((element) => element.remove());
    tip.querySelectorAll("[id]").forEach((element) => element.removeAttribute("id"));
    tip.querySelectorAll("a").forEach((a) => a.replaceWith(...a.childNodes));
    tip.querySelectorAll("img").forEach((image) => (image.src = new URL(image.getAttribute("src"), address)));
  }

  async function show(wanted) {
    const [address, id] = wanted.href.split("#");
    const source = await Promise.resolve(page(address)).catch(() => null);  // a file may not read another file
    const target = id ? source?.getElementById(decodeURIComponent(id)) : source?.querySelector(".bd-article section");
    if (!target || wanted !== link) return;
    fill(target, address);
    await window.MathJax?.typesetPromise?.([tip]);
    if (wanted !== link) return;
    title = link.getAttribute("title");
    link.removeAttribute("title");
    link.setAttribute("aria-describedby", tip.id);
    tip.hidden = false;
    const box = link.getBoundingClientRect();
    const above = box.bottom + tip.offsetHeight > innerHeight && box.top > tip.offsetHeight;
    const origin = tip.offsetParent.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, document.body.clientWidth - tip.offsetWidth - 8));
    tip.style.left = `${left - origin.left}px`;
    tip.style.top = `${(above ? box.top - tip.offsetHeight : box.bottom) - origin.top}px`;
  }

  function hide() {
    clearTimeout(opening);
    clearTimeout(closing);
    if (title !== null) link.setAttribute("title", title);
    link?.removeAttribute("aria-describedby");
    link = title = null;
    tip.hidden = true;
  }

  function enter(event) {
    const wanted = event.target.closest(LINKS);
    if (tip.contains(event.target) || (wanted && wanted === link)) clearTimeout(closing);
    else if (wanted && event.pointerType !== "touch") {
      hide();
      link = wanted;
      opening = setTimeout(show, 200, wanted);
    }
  }

  document.querySelector("main").append(tip);
  document.addEventListener("pointerover", enter);
  document.addEventListener("pointerout", () => {
    clearTimeout(closing);
    closing = setTimeout(hide, 300);  // time to move onto the preview
  });
  document.addEventListener("focusin", enter);
  for (const leaving of ["focusout", "click"]) document.addEventListener(leaving, hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
