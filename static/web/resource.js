// Updates the preview when the form changes. The server interprets and checks the form: this script has no options or
// rules of its own.
"use strict";

const PAUSE = 200; // ms without a change before the preview is requested
const IMAGE_TRIES = 8;
const form = document.querySelector("#options");
const documentLength = document.querySelector("#length");
const sheets = document.querySelector("#sheets");
const newNumbers = document.querySelector("#new-numbers");
let request = new AbortController();
let timer = 0;

// Return the values that differ from the defaults, written as the server writes them.
function query() {
  const pairs = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const field = form.querySelector(`[data-field="${name}"]`);
    if (!field || field.dataset.default !== value) pairs.append(name, value);
  }
  return pairs;
}

// Show each error next to its field, and hide those that have been corrected.
function showErrors(errors) {
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
  showErrors(preview.errors);
  document.querySelectorAll(".notice.wrong").forEach((notice) => notice.remove());
  const wrong = preview.notices.length > 0 || Object.keys(preview.errors).length > 0;
  sheets.classList.toggle("stale", wrong);
  if (wrong) {
    documentLength.textContent = preview.notices[0] ?? "Please correct the options to update the preview.";
    return;
  }
  documentLength.textContent = preview.told;
  newNumbers.hidden = !preview.varies;
  sheets.classList.toggle("solo", preview.sheets.length === 1);
  while (sheets.children.length > preview.sheets.length) sheets.lastElementChild.remove();
  preview.sheets.forEach((sheet, index) => {
    const image = sheets.children[index]?.firstElementChild ?? addImage();
    image.width = sheet.width;
    image.height = sheet.height;
    image.alt = `Page ${index + 1} of ${preview.sheets.length}`;
    image.loading = index < 2 ? "eager" : "lazy";
    image.dataset.tries = "0";
    if (image.getAttribute("src") !== sheet.address) image.src = sheet.address;
  });
  history.replaceState(null, "", location.pathname + (preview.query && `?${preview.query}`));
}

function addImage() {
  const item = document.createElement("li");
  const image = document.createElement("img");
  image.className = "sheet";
  retryOnError(image);
  item.append(image);
  sheets.append(item);
  return image;
}

// If an image fails because the server is busy, request it again, each time after a longer pause.
function retryOnError(image) {
  const retry = () => {
    const tries = Number(image.dataset.tries ?? 0);
    if (tries >= IMAGE_TRIES) return;
    image.dataset.tries = String(tries + 1);
    const address = image.getAttribute("src");
    setTimeout(() => { if (image.getAttribute("src") === address) image.src = address; }, 500 * (tries + 1));
  };
  image.addEventListener("error", retry);
  if (image.complete && image.src && !image.naturalWidth) retry();
}

function retryLater(response) {
  const seconds = Number(response.headers.get("Retry-After")) || 2;
  documentLength.textContent = `Many people are printing right now. Trying again in ${seconds} s …`;
  timer = setTimeout(update, seconds * 1000);
}

async function update() {
  clearTimeout(timer);
  request.abort();
  request = new AbortController();
  try {
    const response = await fetch(`${location.pathname}/preview?${query()}`,
      { signal: request.signal, headers: { Accept: "application/json" } });
    if (response.ok) show(await response.json());
    else if (response.status === 429 || response.status === 503) retryLater(response);
    else documentLength.textContent = "This preview could not be created. Please try other options.";
    if (!response.ok) sheets.classList.add("stale");
  } catch (error) {
    if (error.name === "AbortError") return;
    sheets.classList.add("stale");
    documentLength.textContent = "The server can't be reached. Trying again in 5 s …";
    timer = setTimeout(update, 5000);
  }
}

function updateSoon() {
  clearTimeout(timer);
  timer = setTimeout(update, PAUSE);
}

document.documentElement.classList.add("scripted");
sheets.querySelectorAll("img").forEach(retryOnError);
form.addEventListener("input", updateSoon);
form.addEventListener("submit", (event) => {
  if (event.submitter?.hasAttribute("formaction")) return;
  event.preventDefault();
  if (event.submitter === newNumbers) {
    const seed = form.elements.seed ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "seed" }));
    seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
  }
  update();
});
