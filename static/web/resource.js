// Updates the preview when the form changes. The server interprets and checks the form: this script has no options or
// rules of its own.
"use strict";

const PAUSE = 200; // ms without a change before the preview is requested
const IMAGE_TRIES = 8;
const PRINT_PATIENCE = 15000; // ms until the page is printed, even if not all pictures for paper have arrived
const form = document.querySelector("#options");
const documentLength = document.querySelector("#length");
const sheets = document.querySelector("#sheets");
const newNumbers = document.querySelector("#new-numbers");
const dockLength = document.querySelector("#dock-length");
const thumb = document.querySelector("#thumb");
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
    const appears = error.hidden && errors[name];
    error.textContent = errors[name] ?? "";
    error.hidden = !errors[name];
    if (appears && error.parentElement.contains(document.activeElement)) error.scrollIntoView({ block: "nearest" });
    if (errors[name]) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

// Show a text in both places; `stale`: the pages belong to other options.
function report(text, stale) {
  documentLength.textContent = text;
  dockLength.textContent = text;
  sheets.classList.toggle("stale", stale);
  thumb.classList.toggle("stale", stale);
}

function show(preview) {
  showErrors(preview.errors);
  document.querySelectorAll(".notice.wrong").forEach((notice) => notice.remove());
  const wrong = preview.notices.length > 0 || Object.keys(preview.errors).length > 0;
  if (wrong) return report(preview.notices[0] ?? "Please correct the options to update the preview.", true);
  report(preview.told, false);
  newNumbers.hidden = !preview.varies;
  sheets.classList.toggle("solo", preview.sheets.length === 1);
  sheets.dataset.paper = preview.paper;
  while (sheets.children.length > preview.sheets.length) sheets.lastElementChild.remove();
  preview.sheets.forEach((sheet, index) => {
    const page = sheets.children[index] ?? sheets.appendChild(document.createElement("li"));
    const image = page.querySelector(".sheet") ?? addImage(page, "sheet");
    image.alt = `Page ${index + 1} of ${preview.sheets.length}`;
    image.loading = index < 2 ? "eager" : "lazy";
    load(image, sheet.address, sheet);
    if (index === 0) load(thumb, sheet.address, sheet);
    page.dataset.full = sheet.full;
    page.querySelector(".full")?.remove();
  });
  history.replaceState(null, "", location.pathname + (preview.query && `?${preview.query}`));
}

function load(image, address, size) {
  image.width = size.width;
  image.height = size.height;
  image.dataset.tries = "0";
  if (image.getAttribute("src") !== address) image.src = address;
}

function addImage(page, kind) {
  const image = document.createElement("img");
  image.className = kind;
  image.alt = "";
  retryOnError(image);
  page.append(image);
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
  report(`Many people are printing right now. Trying again in ${seconds} s …`, true);
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
    else report("This preview could not be created. Please try other options.", true);
  } catch (error) {
    if (error.name === "AbortError") return;
    report("The server can't be reached. Trying again in 5 s …", true);
    timer = setTimeout(update, 5000);
  }
}

function updateSoon() {
  clearTimeout(timer);
  timer = setTimeout(update, PAUSE);
}

// Printing the page itself prints its sheets (see resource.css), with pictures that are sharp enough for paper: over each
// preview, so that it shows where a browser doesn't wait for the larger picture.
function addFullImages() {
  return [...sheets.children].map((page) => {
    const image = page.querySelector(".full") ?? addImage(page, "full");
    if (!image.src) image.src = page.dataset.full;
    return image;
  });
}

// Load those pictures first: not every browser waits for them once its print dialog is open.
async function printSheets() {
  const loaded = Promise.allSettled(addFullImages().map((image) => image.decode()));
  await Promise.race([loaded, new Promise((resolve) => { setTimeout(resolve, PRINT_PATIENCE); })]);
  print();
}

document.documentElement.classList.add("scripted");
sheets.querySelectorAll("img").forEach(retryOnError);
retryOnError(thumb);
addEventListener("beforeprint", addFullImages);
addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "p" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  event.preventDefault();
  printSheets();
});
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
