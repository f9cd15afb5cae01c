"use strict";
// What comes over /live is the length of a JSON text in four bytes, the text, and a JPEG; each is answered once it is drawn.

const LENGTH = 600;
const REASONS = { // colours as in the window's strip (Okabe, Ito 2008)
  change: "#E69F00", score: "#E69F00", age: "#56B4E9", every: "#009E73", clock: "#009E73", budget: "#009E73", replay: "#009E73",
  cut: "#D55E00", manual: "#F0E442", jump: "#CC79A7", gap: "#CC79A7", size: "#CC79A7", first: "#999999",
};
const STATES = { playing: "good", paused: "warn", connecting: "warn", reconnecting: "warn", failed: "bad" };
const HELD_MS = 1500; // a control that was just touched is not put back by what was true before
const RETRY_MS = 2000;

const by = Object.fromEntries([...document.querySelectorAll("[id]")].map((one) => [one.id, one]));
const touched = new Map();
let socket = null, paused = false, comparing = false, view = "overlay", strip = [], waiting = [], serial = 0;

function connect() {
  const address = new URL("live", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.search = "";
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => { waiting.push(event.data); if (waiting.length === 1) drain(); };
  socket.onopen = () => ask({ view, divider: Number(by.divider.value) });
  socket.onclose = (event) => {
    waiting = [];
    by.state.textContent = event.reason || "not connected; trying again";
    by.state.className = "bad";
    setTimeout(connect, RETRY_MS);
  };
}

function ask(what) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
}

async function drain() {
  while (waiting.length) {
    const data = waiting[0], length = new DataView(data).getUint32(0), from = socket;
    tell(JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length))));
    if (data.byteLength > 4 + length) await draw(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    while (document.hidden) await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
    if (from !== socket) return;
    waiting.shift();
    ask({ got: true });
  }
}

async function draw(jpeg) {
  const picture = await createImageBitmap(jpeg);
  if (by.picture.width !== picture.width || by.picture.height !== picture.height) {
    by.picture.width = picture.width;
    by.picture.height = picture.height;
  }
  by.picture.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  by.picture.dataset.drawn = Number(by.picture.dataset.drawn || 0) + 1;
}

function put(control, value) {
  if (document.activeElement !== control && performance.now() - (touched.get(control) || -HELD_MS) >= HELD_MS) control.value = value;
}

function text(id, value) {
  by[id].textContent = value ?? "–";
}

function said(id, value) {
  by[id].textContent = value;
  by[id].hidden = !value;
}

function options(parent, found) {
  const made = JSON.stringify(found);
  if (parent.dataset.made === made) return;
  parent.dataset.made = made;
  parent.replaceChildren(...found.map(([value, label]) => Object.assign(document.createElement("option"), { value, label })));
}

function tell(told) {
  if (told.trouble) said("trouble", told.trouble);
  if (!told.status) return;
  const now = told.status;
  text("state", now.away || now.state);
  by.state.className = STATES[now.state] || "";
  text("source", now.source);
  text("headline", now.headline);
  said("note", now.note);
  if (now.trouble && now.trouble[0] !== serial) {
    serial = now.trouble[0];
    said("trouble", now.trouble[1]);
  }
  text("fps", now.fps);
  for (const name of ["p50", "p90", "p95", "p99", "max"]) text(name, now.latency_ms[name]?.toFixed(now.latency_ms[name] < 100 ? 1 : 0));
  text("keys", now.key_share === null ? "–" : `${(100 * now.key_share).toFixed(0)} %`);
  text("age", now.age_mean === null ? "–" : `${now.age_mean.toFixed(1)} frames`);
  text("dropped", now.dropped);
  text("missed", told.missed);
  text("viewers", now.viewers);
  paused = now.state === "paused";
  text("pause", paused ? "Go on" : "Pause");
  options(by.view, now.views.map((one) => [one, one]));
  by.view.value = view;
  options(by.schedules, now.schedules.map(([value, title, help]) => [value, `${title}: ${help}`]));
  put(by.schedule, now.schedule);
  put(by.opacity, now.opacity);
  comparing = now.comparison !== null;
  by.compare.setAttribute("aria-pressed", comparing);
  by.divider.hidden = !comparing;
  text("compared", compared(now));
  classes(now.classes);
  strip = now.strip;
  drawStrip();
}

function compared(now) {
  if (!comparing) return "B is the plain picture; comparing labels every frame twice.";
  const differs = now.differing === null ? "" : `, ${(100 * now.differing).toFixed(1)} % of the labels differ`;
  return `A ${now.schedule} ${now.latency_ms.p50 ?? "–"} ms, B ${now.comparison} ${now.comparison_p50_ms ?? "–"} ms${differs}`;
}

function classes(found) {
  const made = JSON.stringify(found);
  if (by.classes.dataset.made === made) return;
  by.classes.dataset.made = made;
  by.classes.replaceChildren(...found.map(([name, colour]) => {
    const row = document.createElement("li"), swatch = document.createElement("i");
    swatch.style.background = colour;
    row.append(swatch, name);
    return row;
  }));
}

function drawStrip() {
  const { width, height } = by.strip.getBoundingClientRect(), scale = devicePixelRatio;
  by.strip.width = width * scale;
  by.strip.height = height * scale;
  const pen = by.strip.getContext("2d"), step = width / LENGTH, left = width - step * strip.length;
  pen.scale(scale, scale);
  const slowest = Math.max(1, ...strip.map((one) => one[1])), oldest = Math.max(4, ...strip.map((one) => one[2]));
  line(pen, strip.map((one, at) => [left + at * step, 52 - 46 * one[1] / slowest]), "#4aa3ff");
  strip.forEach(([, , , reason], at) => {
    if (!reason) return;
    pen.fillStyle = REASONS[reason] || "#ffffff";
    pen.fillRect(left + at * step, 58, Math.max(1, step - 0.5), 12);
  });
  line(pen, strip.map((one, at) => [left + at * step, 114 - 36 * one[2] / oldest]), "#5fd38d");
  pen.fillStyle = "#9aa4b2";
  pen.font = "11px system-ui, sans-serif";
  [[`${slowest} ms`, 14], ["key frames", 68], [`age ${oldest}`, 86]].forEach(([label, y]) => pen.fillText(label, 6, y));
}

function line(pen, points, colour) {
  pen.strokeStyle = colour;
  pen.beginPath();
  points.forEach(([x, y], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

function show(what) {
  view = what;
  by.view.value = what;
  ask({ view });
}

function divide(share) {
  by.divider.value = share;
  ask({ divider: Number(by.divider.value) });
}

function toggle() {
  if (comparing) divide(Number(by.divider.value) > 0.5 ? 0 : 1);
  else show(view === "picture" ? "overlay" : "picture");
}

function touch(control, what) {
  touched.set(control, performance.now());
  said("trouble", "");
  ask(what);
}

by.pause.onclick = () => ask({ paused: !paused });
by.refresh.onclick = () => ask({ refresh: true });
by.view.onchange = () => show(by.view.value);
by.opacity.oninput = () => touch(by.opacity, { opacity: Number(by.opacity.value) });
by.scheduling.onsubmit = (event) => { event.preventDefault(); by.schedule.blur(); };
by.schedule.onchange = () => touch(by.schedule, { schedule: by.schedule.value.trim() });
by.other.onchange = () => { if (comparing) touch(by.other, { compare: by.other.value.trim() }); };
by.compare.onclick = () => ask({ compare: comparing ? "" : by.other.value.trim() || "every-frame" });
by.toggle.onclick = toggle;
by.divider.oninput = () => divide(by.divider.value);
by.strip.onmousemove = (event) => {
  const { left, width } = by.strip.getBoundingClientRect();
  const one = strip[Math.floor((event.clientX - left) * LENGTH / width) - LENGTH + strip.length];
  if (one) text("moment", `frame ${one[0]} · ${one[1]} ms · ${one[3] ? `key frame (${one[3]})` : "no key frame"} · feature age ${one[2]}`);
};
addEventListener("resize", drawStrip);
addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, button") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "b") toggle();
  if (event.key === " ") { event.preventDefault(); by.pause.click(); }
});
if (location.search) history.replaceState(null, "", location.pathname); // a token is not to be read over a shoulder
connect();
