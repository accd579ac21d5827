// Follows streams of server-sent events. Each `page` event replaces the content of the element that has
// data-events="ADDRESS", until an `end` event. Focus, scroll positions and input elsewhere on the page are preserved.
"use strict";

const RECONNECT_MILLISECONDS = 4000;

function replace(place, html) {
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...place.querySelectorAll(".wide")].map((wide) => wide.scrollLeft);
  place.innerHTML = html;
  place.querySelectorAll(".wide").forEach((wide, number) => { wide.scrollLeft = scrolled[number] || 0; });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function follow(place) {
  const note = document.querySelector("[data-connection]");
  const report = (text) => { if (note && note.textContent !== text) note.textContent = text; };
  let source = null;
  let ended = false;
  const open = () => {
    if (source || ended || document.hidden) return;
    source = new EventSource(place.dataset.events);
    source.addEventListener("page", (message) => { replace(place, message.data); report("Live."); });
    source.addEventListener("end", () => { source.close(); ended = true; report("Finished."); });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return; // streams end now and then, and the browser opens the next
      report("Connection lost. Reconnecting …");
      source = null;
      setTimeout(open, RECONNECT_MILLISECONDS);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    source?.close(); // a hidden page must not use up one of the limited streams
    source = null;
  });
  open();
}

document.querySelectorAll("[data-events]").forEach(follow);
