// Follows streams of server-sent events. An element with data-events="ADDRESS" is filled anew by each `page` event of
// that stream, until an `end`. What is typed elsewhere, and where the focus is, stays.
"use strict";

const AGAIN_MILLISECONDS = 4000;

function fill(place, html) {
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...place.querySelectorAll(".wide")].map((wide) => wide.scrollLeft);
  place.innerHTML = html;
  place.querySelectorAll(".wide").forEach((wide, number) => { wide.scrollLeft = scrolled[number] || 0; });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function follow(place) {
  const note = document.querySelector("[data-connection]");
  const say = (text) => { if (note && note.textContent !== text) note.textContent = text; };
  let source = null;
  let ended = false;
  const open = () => {
    if (source || ended || document.hidden) return;
    source = new EventSource(place.dataset.events);
    source.addEventListener("page", (message) => { fill(place, message.data); say("Live."); });
    source.addEventListener("end", () => { source.close(); ended = true; say("It has ended."); });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return; // a stream ends now and then; the browser opens the next
      say("Not live: trying again.");
      source = null;
      setTimeout(open, AGAIN_MILLISECONDS);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    source?.close(); // a page that nobody sees takes nobody's place
    source = null;
  });
  open();
}

document.querySelectorAll("[data-events]").forEach(follow);
