// The language switch lands on the section being read, and the choice is remembered.
"use strict";

for (const link of document.querySelectorAll(".language-switch")) {
  const page = link.getAttribute("href");
  const aim = () => {
    const section = currentSection();
    link.setAttribute("href", section ? `${page}#${section.id}` : page);
  };
  for (const event of ["pointerenter", "focus", "pointerdown", "click"]) link.addEventListener(event, aim);
  link.addEventListener("click", () => remember("language", link.dataset.language));
}
