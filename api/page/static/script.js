// Keeps the page fresh: sections come by server-sent events and replace what they were.
// Without this script the page is whole, and reloads itself.
"use strict";
(() => {
  const address = document.body.dataset.live;
  const connection = document.getElementById("connection");
  const said = document.getElementById("said");
  if (!address || !connection || !window.EventSource) return;
  let source = null;
  let closed = 0;
  let spoken = document.querySelector("[data-say]")?.dataset.say;

  const tell = (text, bad) => {
    connection.textContent = text;
    connection.className = bad ? "warn" : "faint";
  };

  // Where the focus was, it is again: by id, by data-key, or by the region that scrolls.
  const mark = (element) =>
    element.id ? `#${CSS.escape(element.id)}`
      : element.dataset.key ? `[data-key="${CSS.escape(element.dataset.key)}"]`
      : element.classList.contains("scroll") ? ".scroll" : "";

  const replace = (name, html) => {
    const place = document.getElementById(`live-${name}`);
    if (!place) return;
    const active = place.contains(document.activeElement) ? mark(document.activeElement) : "";
    const scrolled = [...place.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    const made = document.createElement("template");
    made.innerHTML = html;
    place.replaceChildren(made.content);
    [...place.querySelectorAll(".scroll")].forEach((one, n) => { one.scrollLeft = scrolled[n] ?? 0; });
    if (active) (place.querySelector(active) ?? place.closest("section")?.querySelector("h2"))?.focus({ preventScroll: true });
  };

  const connect = () => {
    source = new EventSource(address);
    source.addEventListener("open", () => { closed = 0; });
    source.addEventListener("sections", (event) => {
      for (const [name, html] of Object.entries(JSON.parse(event.data))) replace(name, html);
      tell(`live · ${new Date().toISOString().slice(11, 19)}`, false);
      const now = document.querySelector("[data-say]")?.dataset.say;
      if (said && now !== spoken) { spoken = now; said.textContent = now ?? ""; }
    });
    source.addEventListener("over", () => { source.close(); location.reload(); });
    source.addEventListener("error", () => {
      tell("not connected: what you see may be old; trying again", true);
      if (source.readyState !== EventSource.CLOSED) return;
      closed += 1;
      if (closed > 3) location.reload();
      else setTimeout(connect, 3000);
    });
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; }
    else if (!source) connect();
  });
  tell("connecting", false);
  connect();
})();
