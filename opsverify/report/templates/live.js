"use strict";
const run = location.pathname.split("/").pop();
const [place, away, login, note, leave, stale] =
  ["run", "away", "login", "note", "leave", "stale"].map(id => document.getElementById(id));
const EVERY_MS = 2000, SLOWEST_MS = 16000, PATIENCE_MS = 15000;
const clock = at => at.toLocaleTimeString(document.documentElement.lang, {hour12: false});
let wait = EVERY_MS, shown = "", since = null;

const problem = async answer => {
  const body = await answer.json();
  note.textContent = document.documentElement.lang === "ko" ? body.detail_ko : body.detail;
  note.hidden = false;
};

const lost = () => {
  since ??= new Date();
  away.querySelector(".since").textContent = clock(since);
  away.hidden = false;
  wait = Math.min(2 * wait, SLOWEST_MS);
  setTimeout(ask, wait);
};

const ask = async () => {
  let answer, text;
  try {
    answer = await fetch(`${run}/now${location.search}`, {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
    const ours = answer.headers.has("Opsverify-Run-State")
      || (answer.headers.get("content-type") ?? "").startsWith("application/problem+json");
    if (!ours || answer.status >= 500) return lost();
    text = answer.ok ? await answer.text() : "";
  } catch {
    return lost();
  }
  [away.hidden, note.hidden, since, wait] = [true, true, null, EVERY_MS];
  login.hidden = answer.status !== 401;
  leave.hidden = !answer.ok;
  place.hidden = stale.hidden = !answer.ok;
  if (answer.status === 401) return login.elements.token.focus();
  if (!answer.ok) return problem(answer);
  stale.querySelector("time").textContent = clock(new Date());
  if (text !== shown) place.innerHTML = shown = text;
  if (answer.headers.get("Opsverify-Run-State") !== "finished") setTimeout(ask, wait);
};

login.addEventListener("submit", async event => {
  event.preventDefault();
  const token = login.elements.token.value.trim();
  login.elements.token.value = "";
  try {
    const answer = await fetch("login", {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({token}),
    });
    return answer.ok ? ask() : await problem(answer);
  } catch {
    return lost();
  }
});

leave.addEventListener("click", async () => {
  try {
    await fetch("logout", {method: "POST"});
  } finally {
    location.reload();
  }
});

ask();
