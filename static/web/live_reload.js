// Reload the page when the process behind it has been replaced: each process sends a token of its own.
const source = new EventSource(document.currentScript.dataset.address);
let token = null;
source.addEventListener("process", (message) => {
  if (token !== null && token !== message.data) {
    location.reload();
  }
  token = message.data;
});
