// The page Try it: its inputs → a request, shown as it is, sent with fetch, and copied as a command for curl.
"use strict";

const form = document.getElementById("try");
const bodyInput = document.getElementById("body");
const SHOWN_HEADERS = ["content-type", "content-length", "preference-applied", "retry-after", "allow", "www-authenticate"];
const KEPT = { project: "project", projectsId: "project", taskqueue: "queue", queuesId: "queue", task: "task", tasksId: "task",
  locationsId: "location" };
let waiting = null;

function remembered() {
  try { return JSON.parse(sessionStorage.getItem("try-it")) || {}; } catch { return {}; }
}

function remember(values) {
  try { sessionStorage.setItem("try-it", JSON.stringify({ ...remembered(), ...values })); } catch { /* not available */ }
}

function inputs(place) {
  return [...form.querySelectorAll(`[data-in="${place}"]`)];
}

// Percent-encode also what encodeURIComponent leaves: curl and shells treat some of these characters in their own way.
function encoded(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function described() {
  let path = form.dataset.path;
  for (const input of inputs("path")) {
    path = path.replace(`{${input.dataset.name}}`, input.value ? encoded(input.value) : `{${input.dataset.name}}`);
  }
  const pairs = inputs("query").filter((input) => input.value !== "")
    .map((input) => `${encoded(input.dataset.name)}=${encoded(input.value)}`);
  const headers = {};
  if (bodyInput) headers["Content-Type"] = "application/json";
  const wait = document.getElementById("wait");
  if (wait && wait.value.trim()) headers.Prefer = `wait=${wait.value.trim()}`;
  const url = location.origin + path + (pairs.length ? `?${pairs.join("&")}` : "");
  return { verb: form.dataset.verb, url, headers, body: bodyInput ? bodyInput.value : null };
}

// In single quotes, bash changes nothing; a single quote itself is written outside of them.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl({ verb, url, headers, body }) {
  const parts = ["curl", "--globoff"];
  if (verb !== "GET") parts.push("-X", verb);
  parts.push(quoted(url));
  for (const [name, value] of Object.entries(headers)) parts.push("-H", quoted(`${name}: ${value}`));
  if (document.getElementById("token").value) parts.push("-H", '"Authorization: Bearer $TOKEN"');
  if (body !== null) parts.push("--data-raw", quoted(body));
  return parts.join(" ");
}

function show() {
  const request = described();
  const lines = [`${request.verb} ${request.url}`, ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`)];
  if (document.getElementById("token").value) lines.push("Authorization: Bearer …");
  document.getElementById("request").textContent = lines.join("\n") + (request.body === null ? "" : `\n\n${request.body}`);
  document.getElementById("curl").textContent = curl(request);
  if (bodyInput) {
    let problem = "";
    try { JSON.parse(bodyInput.value); } catch (error) { problem = `This is not JSON: ${error.message}`; }
    document.getElementById("body-problem").textContent = problem;
  }
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function decoded(text) {
  try {
    const standard = text.replaceAll("-", "+").replaceAll("_", "/");
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(atob(standard), (sign) => sign.charCodeAt(0)));
  } catch {
    return null;
  }
}

// Put a value into the JSON of the body, at a path such as task.pullMessage.payload.
function fill(path, value) {
  let whole;
  try { whole = JSON.parse(bodyInput.value); } catch { return; }
  const names = path.split(".");
  const last = names.pop();
  let place = whole;
  for (const name of names) {
    if (typeof place[name] !== "object" || place[name] === null) place[name] = {};
    place = place[name];
  }
  place[last] = value;
  bodyInput.value = JSON.stringify(whole, null, 2);
}

// Fill in what earlier requests used or returned: the queue's names, and the lease of the last task.
function prefill() {
  const values = remembered();
  for (const input of inputs("path")) {
    const known = values[KEPT[input.dataset.name]];
    if (!input.value && known) input.value = known;
  }
  if (!bodyInput) return;
  const wanted = JSON.parse(bodyInput.value);
  if ("leaseTimestamp" in wanted && values.leaseTimestamp && form.dataset.path.includes("{task}")) {
    fill("leaseTimestamp", values.leaseTimestamp);
    fill("queueName", inputs("path").find((input) => input.dataset.name === "taskqueue").value);
  }
  if ("scheduleTime" in wanted && values.scheduleTime) fill("scheduleTime", values.scheduleTime);
}

function rememberReply(value) {
  const task = (value.items || value.tasks || [value])[0];
  if (!task || typeof task !== "object") return;
  const id = task.id || (typeof task.name === "string" && task.name.includes("/tasks/") ? task.name.split("/").pop() : undefined);
  const found = { task: id, leaseTimestamp: task.leaseTimestamp, scheduleTime: task.scheduleTime };
  remember(Object.fromEntries(Object.entries(found).filter(([, one]) => typeof one === "string")));
}

// Payloads are shown decoded below the reply, always as text.
function showPayloads(value) {
  const list = document.getElementById("payloads");
  list.replaceChildren();
  for (const task of value.items || value.tasks || (value.payloadBase64 || value.pullMessage ? [value] : [])) {
    const payload = task.payloadBase64 || (task.pullMessage && task.pullMessage.payload);
    const text = typeof payload === "string" ? decoded(payload) : null;
    if (!text) continue;
    const heading = document.createElement("h4");
    heading.textContent = `Payload of ${task.id || String(task.name).split("/").pop()}`;
    const content = document.createElement("pre");
    content.tabIndex = 0;
    content.textContent = text;
    list.append(heading, content);
  }
}

async function send(event) {
  event.preventDefault();
  const { verb, url, headers, body } = described();
  for (const input of inputs("path")) remember({ [KEPT[input.dataset.name]]: input.value });
  const token = document.getElementById("token").value;
  if (token) headers.Authorization = `Bearer ${token}`;
  const status = document.getElementById("status");
  const stop = document.getElementById("stop");
  waiting = new AbortController();
  stop.hidden = false;
  status.textContent = "Waiting for the reply …";
  const begun = performance.now();
  let text = "";
  try {
    const reply = await fetch(url, { method: verb, headers, body, signal: waiting.signal, cache: "no-store" });
    text = await reply.text();
    const milliseconds = Math.round(performance.now() - begun);
    status.textContent = `${reply.status} ${reply.statusText} after ${milliseconds} ms`;
    status.className = reply.ok ? "state due" : "state dead";
    showText("reply-headers", SHOWN_HEADERS.filter((name) => reply.headers.has(name))
      .map((name) => `${name}: ${reply.headers.get(name)}`).join("\n"));
  } catch (error) {
    status.textContent = error.name === "AbortError" ? "Stopped before the reply arrived." : `No reply: ${error.message}`;
    status.className = "state dead";
    showText("reply-headers", "");
  }
  stop.hidden = true;
  document.getElementById("payloads").replaceChildren();
  let value = null;
  try { value = JSON.parse(text); } catch { /* shown as it is */ }
  showText("reply", value === null ? text : JSON.stringify(value, null, 2));
  if (value !== null && typeof value === "object") {
    rememberReply(value);
    showPayloads(value);
  }
  const confirmation = form.querySelector(".confirm input");
  if (confirmation) confirmation.checked = false;
}

function showText(id, text) {
  const place = document.getElementById(id);
  place.textContent = text;
  place.hidden = text === "";
}

async function copy() {
  const text = curl(described());
  const copied = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(text);
    copied.textContent = "Copied";
  } catch {
    // Without a secure context there is no clipboard: select the command, so that Ctrl-C copies it.
    getSelection().selectAllChildren(document.getElementById("curl"));
    copied.textContent = "Selected: press Ctrl-C";
  }
}

document.querySelector(".methods").open = matchMedia("(min-width: 46.01rem)").matches;
for (const hidden of document.querySelectorAll(".scripted")) hidden.hidden = false;
prefill();
for (const input of form.querySelectorAll("[data-bytes]")) {
  input.addEventListener("input", () => fill(input.dataset.bytes, base64(input.value)));
}
form.addEventListener("input", show);
form.addEventListener("submit", send);
document.getElementById("copy").addEventListener("click", copy);
document.getElementById("stop").addEventListener("click", () => waiting && waiting.abort());
show();
