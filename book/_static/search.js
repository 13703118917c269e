// Search in the page's own language. Nothing is loaded until the reader asks.
"use strict";

{
  const dialog = document.getElementById("search-dialog");
  const input = document.getElementById("search-input");
  const status = document.getElementById("search-status");
  const list = document.getElementById("search-results");
  const shown = 10;
  let engine = null;
  let latest = 0;

  const load = async () => {
    const bundle = new URL(dialog.dataset.bundle, location.href);
    const pagefind = await import(new URL("pagefind.js", bundle));
    await pagefind.options({ baseUrl: new URL("..", bundle).pathname, excerptLength: 24 });
    await pagefind.init();
    return pagefind;
  };

  const entry = (result) => {
    // Pagefind's excerpts are plain text and <mark>; parse them without running anything.
    const excerpt = new DOMParser().parseFromString(result.excerpt, "text/html").body;
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = result.url;
    link.textContent = result.title;
    const text = document.createElement("p");
    text.append(...excerpt.childNodes);
    item.append(link, text);
    return item;
  };

  const sections = (page) => {
    const found = page.sub_results.filter((part) => part.url.includes("#")).slice(0, 3);
    return found.length
      ? found.map((part) => ({
          url: part.url,
          title: part.title === page.meta.title ? part.title : `${page.meta.title} › ${part.title}`,
          excerpt: part.excerpt,
        }))
      : [{ url: page.url, title: page.meta.title, excerpt: page.excerpt }];
  };

  // Pagefind answers an unknown word with pages that share its first letter: leave those out.
  // (Japanese words are cut into pieces in the index, so there the rule would not hold.)
  const meant = (excerpt, query) => {
    if (/[^\u0000-\u024f]/.test(query)) return true;
    const words = query.toLowerCase().split(/\s+/);
    const marked = [...excerpt.matchAll(/<mark>(.*?)<\/mark>/g)].map((m) => m[1].toLowerCase());
    return marked.some((mark) => words.some(
      (word) => mark.includes(word) || mark.startsWith(word.slice(0, 3)) || (mark.length > 1 && word.includes(mark)),
    ));
  };

  const search = async () => {
    const turn = ++latest;
    const query = input.value.trim();
    if (!query) { list.replaceChildren(); status.textContent = ""; return; }
    status.textContent = words.searchBusy;
    try {
      engine ??= load();
      const answer = await (await engine).search(query);
      const pages = await Promise.all(answer.results.slice(0, shown).map((r) => r.data()));
      if (turn !== latest) return;
      const entries = pages.flatMap(sections).filter((e) => meant(e.excerpt, query));
      list.replaceChildren(...entries.map(entry));
      status.textContent = !entries.length ? words.searchNone.replace("{query}", query)
        : entries.length === 1 ? words.searchOne
        : words.searchMany.replace("{count}", entries.length);
    } catch {
      engine = null;
      if (turn === latest) status.textContent = words.searchFailed;
    }
  };

  const open = () => { dialog.showModal(); input.select(); };
  document.getElementById("open-search").addEventListener("click", open);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      open();
    }
  });
  let timer;
  input.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(search, 150);
  });
  input.addEventListener("compositionend", search);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); search(); }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
