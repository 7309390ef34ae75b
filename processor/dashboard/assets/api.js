// Asking the named questions of the query API (see /api/query). Two at a time: the server answers
// three of one user, and another tab may ask, too. A question that is under way is not cancelled,
// because the server answers it to the end all the same.

export class Fault extends Error {
  constructor({ message, hint, code }) {
    super(message);
    Object.assign(this, { hint, code });
  }
}

export const server = { skew: 0 }; // how far the server's clock is ahead, in milliseconds
export const now = () => Date.now() + server.skew;

const waiting = [];
let free = 2;

async function turn() {
  if (free > 0) free--;
  else await new Promise((go) => waiting.push(go));
}

function done() {
  const next = waiting.shift();
  if (next) next();
  else free++;
}

export const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

const patience = 100e3; // milliseconds: longer than the server takes for any question

// send returns the status, the date and the text of an answer. Whatever keeps the answer from being
// read to its end, a network that is gone without a word among it, is the same fault.
async function send(path, { body, signal } = {}) {
  try {
    const answer = await fetch(path, {
      method: body ? "POST" : "GET",
      body,
      headers: { Accept: "application/json" },
      signal: AbortSignal.any([AbortSignal.timeout(patience), ...(signal ? [signal] : [])]),
    });
    return { ok: answer.ok, status: answer.status, date: answer.headers.get("Date"), text: await answer.text() };
  } catch {
    throw new Fault({
      code: "unreachable",
      message: "The dashboard does not answer.",
      hint: "Check that the program that serves this page still runs. The page goes on by itself; the figures below are the last ones it had.",
    });
  }
}

// get returns what an answer says; one that has not changed since is served by the browser's
// cache after a 304. With a body it posts.
async function get(path, options) {
  for (let attempt = 1; ; attempt++) {
    const answer = await send(path, options);
    if (answer.status === 401) {
      // the login has expired
      location.assign("login?" + new URLSearchParams({ next: location.pathname + location.search }));
      await new Promise(() => {}); // the browser leaves this page
    }
    server.skew = Date.parse(answer.date) - Date.now() || 0;
    const said = read(answer.text); // undefined in a proxy's own page
    if (answer.ok && said) return said;
    if (answer.status === 429 && attempt < 8) {
      await pause(250 * attempt);
      continue;
    }
    throw new Fault(said?.error?.message ? said.error : unreadable);
  }
}

// read returns what a text of JSON says, undefined if it is none.
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const unreadable = {
  code: "internal",
  message: "The answer cannot be read.",
  hint: "The reason is in the program's log, or something between it and the browser answers in its place.",
};

export async function session() {
  return get("api/session");
}

// tablesState returns a text that is another one whenever any figure may be another, undefined if
// it is not known. Given the one that is known it waits for another, some seconds at most. What stands
// behind the point in it is of the ledger: given from there, only the ledger's is waited for.
export async function tablesState(known, signal) {
  try {
    const path = known ? "api/state?" + new URLSearchParams({ after: known }) : "api/state";
    return (await get(path, { signal })).state || undefined;
  } catch {
    return undefined;
  }
}

// ask returns the rows of a named question, or throws what the signal says when nobody wants them
// any more. Filters are objects of lists.
export async function ask(name, parameters, signal) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    query.set(key, typeof value === "object" ? JSON.stringify(value) : value);
  }
  await turn();
  try {
    signal.throwIfAborted();
    const { data } = await get(`api/query/${name}?${query}`);
    signal.throwIfAborted();
    return data;
  } finally {
    done();
  }
}

// makeView returns a link that shows one affiliate its own figures.
export async function makeView(workspace, affiliate) {
  return (await get("api/views", { body: new URLSearchParams({ workspace: workspace ?? "", affiliate }) })).url;
}
