// Beside every section's heading: a button that gives its citation.
"use strict";

{
  const facts = JSON.parse(document.getElementById("citation-facts")?.textContent ?? "null");
  const dialog = document.getElementById("cite-dialog");

  const titleOf = (heading) => {
    const copy = heading.cloneNode(true);
    for (const extra of copy.querySelectorAll(".headerlink, .section-number, button")) extra.remove();
    return copy.textContent.trim();
  };

  const citations = (heading) => {
    const section = heading.closest("section[id]");
    const url = `${facts.url}#${section.id}`;
    const title = titleOf(heading);
    const [year, month] = facts.released.split("-");
    const today = new Date().toISOString().slice(0, 10);
    const language = { en: "english", ja: "japanese" }[facts.language];
    const bibtex = [
      `@incollection{dlip${year}-${section.id}-${facts.language},`,
      `  author    = {{${facts.author}}},`,
      `  title     = {{${title}}},`,
      `  booktitle = {{${facts.book}}},`,
      `  edition   = {Version ${facts.version}},`,
      `  publisher = {${facts.author}},`,
      `  year      = {${year}},`,
      `  month     = {${Number(month)}},`,
      `  language  = {${language}},`,
      `  url       = {${url}},`,
      `  urldate   = {${today}},`,
      "}",
    ].join("\n");
    const text = `${facts.author} (${year}). ${title}. In: ${facts.book}. Version ${facts.version}, ` +
      `${facts.released}. ${facts.languageName}. ${url} (${today})`;
    return { [words.permalink]: url, BibTeX: bibtex, [words.citeText]: text };
  };

  const show = (heading) => {
    const forms = document.getElementById("cite-forms");
    forms.replaceChildren();
    for (const [name, text] of Object.entries(citations(heading))) {
      const label = document.createElement("h3");
      label.textContent = name;
      const block = document.createElement("pre");
      block.tabIndex = 0;
      block.textContent = text;
      forms.append(label, block, copyButton(() => text));
    }
    dialog.showModal();
  };

  if (facts) {
    for (const button of document.querySelectorAll(".cite-button")) {
      const heading = button.parentElement;
      button.setAttribute("aria-label", `${words.cite}: ${titleOf(heading)}`);
      button.addEventListener("click", () => show(heading));
    }
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
