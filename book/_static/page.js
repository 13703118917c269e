// The page's frame: colours, the list of chapters on small screens, the mark on the
// section being read. Everything here is an addition: the page reads without it.
"use strict";

const words = JSON.parse(document.getElementById("interface-words").textContent);

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* storage is off: forget */ }
}

// Colours: as the device, light, dark.
{
  const root = document.documentElement;
  const button = document.getElementById("switch-colours");
  const device = matchMedia("(prefers-color-scheme: dark)");
  const labels = { auto: words.themeAuto, light: words.themeLight, dark: words.themeDark };
  const apply = (mode) => {
    root.dataset.mode = mode;
    root.dataset.theme = mode === "dark" || (mode === "auto" && device.matches) ? "dark" : "light";
    button.title = labels[mode];
    button.setAttribute("aria-label", labels[mode]);
  };
  apply(root.dataset.mode);
  device.addEventListener("change", () => apply(root.dataset.mode));
  button.addEventListener("click", () => {
    const order = device.matches ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
    const next = order[(order.indexOf(root.dataset.mode) + 1) % order.length];
    apply(next);
    remember("mode", next);
  });
}

// The list of chapters: beside the text where there is room, else in a dialog.
{
  const opener = document.getElementById("open-contents");
  const dialog = document.getElementById("pst-primary-sidebar-modal");
  const sidebar = document.getElementById("pst-primary-sidebar");
  opener.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.append(...sidebar.childNodes);
    dialog.showModal();
  });
  opener.addEventListener("keydown", (event) => {
    if (event.key === " ") { event.preventDefault(); opener.click(); }
  });
  dialog.addEventListener("close", () => {
    sidebar.append(...dialog.childNodes);
    opener.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

// The section being read: the last heading that has passed the top of the window.
function currentSection() {
  const line = innerHeight * 0.3;
  let current = null;
  for (const section of document.querySelectorAll("article section[id]")) {
    const heading = section.querySelector(":scope > h1, :scope > h2, :scope > h3, :scope > h4");
    if (heading && heading.getBoundingClientRect().top <= line) current = section;
  }
  return current && current.querySelector(":scope > h1") ? null : current;
}

{
  const links = [...document.querySelectorAll(".page-contents a[href^='#']")];
  let waiting = false;
  const mark = () => {
    waiting = false;
    const section = currentSection();
    for (const link of links) {
      const here = section !== null && link.hash === `#${section.id}`;
      link.classList.toggle("active", here);
      if (here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", () => {
    if (!waiting) { waiting = true; requestAnimationFrame(mark); }
  }, { passive: true });
  mark();
}

// A wide block that scrolls can be reached and scrolled with the keyboard.
for (const block of document.querySelectorAll("article pre, article .pst-scrollable-table-container, article div.math")) {
  if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
  else block.removeAttribute("tabindex");
}
