// The preview follows the form. The server says what the form means: this script holds no list of options and no rules.
"use strict";

const PAUSE = 200; // ms without a change after which the preview is asked for
const IMAGE_TRIES = 8;
const form = document.querySelector("#options");
const told = document.querySelector("#told");
const sheets = document.querySelector("#sheets");
const newNumbers = document.querySelector("#new-numbers");
let asked = new AbortController();
let timer = 0;

// What differs from the defaults, as the server spells it.
function query() {
  const pairs = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const field = form.querySelector(`[data-field="${name}"]`);
    if (!field || field.dataset.default !== value) pairs.append(name, value);
  }
  return pairs;
}

// Tell each wrong value beside its field, and take away what was mended.
function tell(errors) {
  for (const error of form.querySelectorAll("[data-error]")) {
    const name = error.dataset.error;
    const control = form.querySelector(`fieldset[data-field="${name}"], [data-field="${name}"] :is(input, select)`);
    error.textContent = errors[name] ?? "";
    error.hidden = !errors[name];
    if (errors[name]) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

function show(preview) {
  tell(preview.errors);
  document.querySelectorAll(".notice.wrong").forEach((notice) => notice.remove());
  const wrong = preview.notices.length > 0 || Object.keys(preview.errors).length > 0;
  sheets.classList.toggle("stale", wrong);
  if (wrong) {
    told.textContent = preview.notices[0] ?? "The preview waits for your correction.";
    return;
  }
  told.textContent = preview.told;
  newNumbers.hidden = !preview.varies;
  sheets.classList.toggle("solo", preview.sheets.length === 1);
  while (sheets.children.length > preview.sheets.length) sheets.lastElementChild.remove();
  preview.sheets.forEach((sheet, index) => {
    const image = sheets.children[index]?.firstElementChild ?? added();
    image.width = sheet.width;
    image.height = sheet.height;
    image.alt = `Page ${index + 1} of ${preview.sheets.length}`;
    image.loading = index < 2 ? "eager" : "lazy";
    image.dataset.tries = "0";
    if (image.getAttribute("src") !== sheet.address) image.src = sheet.address;
  });
  history.replaceState(null, "", location.pathname + (preview.query && `?${preview.query}`));
}

function added() {
  const item = document.createElement("li");
  const image = document.createElement("img");
  image.className = "sheet";
  follow(image);
  item.append(image);
  sheets.append(item);
  return image;
}

// A picture that the server was too busy for is asked for again, each time a little later.
function follow(image) {
  const again = () => {
    const tries = Number(image.dataset.tries ?? 0);
    if (tries >= IMAGE_TRIES) return;
    image.dataset.tries = String(tries + 1);
    const address = image.getAttribute("src");
    setTimeout(() => { if (image.getAttribute("src") === address) image.src = address; }, 500 * (tries + 1));
  };
  image.addEventListener("error", again);
  if (image.complete && image.src && !image.naturalWidth) again();
}

function wait(response) {
  const seconds = Number(response.headers.get("Retry-After")) || 2;
  told.textContent = `Many people are printing just now. Trying again in ${seconds} s …`;
  timer = setTimeout(update, seconds * 1000);
}

async function update() {
  clearTimeout(timer);
  asked.abort();
  asked = new AbortController();
  try {
    const response = await fetch(`${location.pathname}/preview?${query()}`,
      { signal: asked.signal, headers: { Accept: "application/json" } });
    if (response.ok) show(await response.json());
    else if (response.status === 503) wait(response);
    else told.textContent = "This could not be drawn. Please try other options.";
    if (!response.ok) sheets.classList.add("stale");
  } catch (error) {
    if (error.name === "AbortError") return;
    sheets.classList.add("stale");
    told.textContent = "The service can't be reached. Trying again in 5 s …";
    timer = setTimeout(update, 5000);
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(update, PAUSE);
}

document.documentElement.classList.add("scripted");
sheets.querySelectorAll("img").forEach(follow);
form.addEventListener("input", soon);
form.addEventListener("submit", (event) => {
  if (event.submitter?.hasAttribute("formaction")) return;
  event.preventDefault();
  if (event.submitter === newNumbers) {
    const seed = form.elements.seed ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "seed" }));
    seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
  }
  update();
});
