// Asks every upstream by every SDK, and prints a table: SDK × upstream.
//
// Usage: node run.mjs ROUTER_ORIGIN UPSTREAM …

import { CHECKS, Unable } from "./checks.mjs";
import { clients } from "./clients.mjs";

// What an upstream's language cannot say, and what it is refused with.
const CANNOT = new Set(["anthropic embeddings", "bedrock embeddings"]);

async function cell(adapter, upstream, name) {
  const cannot = CANNOT.has(`${upstream} ${name}`);
  try {
    await CHECKS[name](adapter, upstream);
  } catch (error) {
    if (error instanceof Unable || (cannot && adapter.status(error) === 400)) return "-";
    return String(error.stack ?? error).split("\n").slice(0, 6).join("\n    ");
  }
  return cannot ? "answered, although it cannot" : "ok";
}

const [router, ...upstreams] = process.argv.slice(2);
let passed = 0;
let failed = 0;
const failures = [];
console.log("SDK".padEnd(32) + upstreams.map((upstream) => upstream.padStart(11)).join(""));
for (const { name, make } of await clients()) {
  let row = "";
  for (const upstream of upstreams) {
    const outcomes = [];
    for (const check of Object.keys(CHECKS)) outcomes.push([check, await cell(make(router), upstream, check)]);
    const right = outcomes.filter(([, outcome]) => outcome === "ok").length;
    const impossible = outcomes.filter(([, outcome]) => outcome === "-").length;
    const wrong = outcomes.filter(([, outcome]) => outcome !== "ok" && outcome !== "-");
    passed += right;
    failed += wrong.length;
    failures.push(...wrong.map(([check, outcome]) => `${name} over ${upstream}: ${check}\n    ${outcome}`));
    row += `${right}/${outcomes.length - impossible}`.padStart(11);
  }
  console.log(name.padEnd(32) + row);
}
failures.forEach((failure) => console.log(`\n${failure}`));
console.log(`node: ${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
