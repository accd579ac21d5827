// Filters the gallery during typing. Without this script the form is sent to the server, which searches the same words.
"use strict";

const search = document.querySelector(".search");
const field = document.querySelector("#q");
const cards = [...document.querySelectorAll(".card")];
const count = document.querySelector("#count");
const nothing = document.querySelector("#nothing");

const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function filter() {
  const words = folded(field.value).split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    card.hidden = !words.every((word) => card.dataset.words.includes(word));
    shown += card.hidden ? 0 : 1;
  }
  count.textContent = `${words.length ? `${shown} of ` : ""}${cards.length} resources`;
  nothing.hidden = shown > 0;
  const query = field.value.trim() ? `?${new URLSearchParams({ q: field.value.trim() })}` : "";
  history.replaceState(null, "", `${location.pathname}${query}`);
}

document.documentElement.classList.add("scripted");
field.addEventListener("input", filter);
search.addEventListener("submit", (event) => {
  event.preventDefault();
  filter();
});
