// verifyApiKey of better-auth's API-key plugin, called in process, one at a time.
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { apiKey } from "@better-auth/api-key";

const seconds = Number(process.argv[2]);
const tables = { user: [], session: [], account: [], verification: [], apikey: [] };
const auth = betterAuth({
  secret: "a secret that is long enough for this, but known",
  baseURL: "http://127.0.0.1:3000",
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  logger: { disabled: true },
  // Off, since portcullis has none here. The last use is noted all the same, within the call.
  plugins: [apiKey({ rateLimit: { enabled: false } })],
});
const { user } = await auth.api.signUpEmail({
  body: { name: "bench", email: "bench@example.com", password: "correct horse battery" },
});
// Few, since the store in memory walks through them all: 200 would cost it a tenth more.
const keys = [];
for (let n = 0; n < 16; n++) {
  const made = await auth.api.createApiKey({ body: { name: `key ${n}`, userId: user.id } });
  keys.push(made.key);
}
async function run(of, expected) {
  const begin = performance.now();
  let calls = 0, spent = 0;
  for (; spent < seconds * 1000; spent = performance.now() - begin) {
    const answer = await auth.api.verifyApiKey({ body: { key: of(calls++) } });
    if (answer.valid !== expected) throw new Error(JSON.stringify(answer));
  }
  return (calls * 1000) / spent;
}
const known = (n) => keys[n % keys.length];
const unknown = (n) => known(n).slice(0, -4) + "zzzz";
await run(known, true);
const good = await run(known, true);
await run(unknown, false);
const bad = await run(unknown, false);
const say = (line) => console.log(JSON.stringify(line));
const figure = (figure, value) =>
  say({ kind: "figure", group: "other languages", case: "better-auth 1.7.5, verifyApiKey, in memory", figure, value });
say({ kind: "tool", name: "Node.js", version: process.versions.node });
figure("good keys a second", good);
figure("unknown keys a second", bad);
