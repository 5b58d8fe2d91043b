
(() => {
  "use strict";
  const link = document.getElementById("link");
  const button = document.getElementById("copy");
  const copied = document.getElementById("copied");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(link.textContent);
      copied.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(link);
      copied.textContent = "Press Ctrl-C to copy the marked link.";
    }
  });
})();
