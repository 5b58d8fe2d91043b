
(() => {
  "use strict";
  const step = document.getElementById("step");
  const start = document.getElementById("start");
  const said = document.getElementById("said");
  const options = JSON.parse(new TextDecoder().decode(
    Uint8Array.from(atob(step.dataset.options), c => c.charCodeAt(0))));
  const ask = async () => {
    if (step.dataset.what === "create") {
      return navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)});
    }
    return navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)});
  };
  start.addEventListener("click", async () => {
    start.disabled = true;
    said.textContent = "Touch your key.";
    try {
      const credential = await ask();
      const answer = await fetch(location.href, {
        method: "POST",
        headers: {"content-type": "application/json"},
        body: JSON.stringify(credential.toJSON()),
      });
      said.textContent = answer.ok ? "Done. You can close this window." : "The Client does not wait any more.";
    } catch (error) {
      said.textContent = "That did not work: " + error.message;
      start.disabled = false;
    }
  });
})();
