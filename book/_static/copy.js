// A copy button on every code cell.
"use strict";

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = words.copied;
  } catch {
    button.textContent = words.copyFailed;
  }
  setTimeout(() => { button.textContent = words.copy; }, 2000);
}

function copyButton(text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy-button tool";
  button.textContent = words.copy;
  button.addEventListener("click", () => copyText(text(), button));
  return button;
}

for (const block of document.querySelectorAll("div.cell_input div.highlight, div.copy div.highlight")) {
  block.append(copyButton(() => block.querySelector("pre").textContent.trimEnd()));
}
