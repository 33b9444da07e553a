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
  // Off, as in portcullis: it would write on each request.
  plugins: [apiKey({ rateLimit: { enabled: false } })],
});
const { user } = await auth.api.signUpEmail({
  body: { name: "bench", email: "bench@example.com", password: "correct horse battery" },
});
const keys = [];
for (let n = 0; n < 200; n++) {
  const made = await auth.api.createApiKey({ body: { name: `key ${n}`, userId: user.id } });
  keys.push(made.key);
}
async function run(of, expected) {
  const end = performance.now() + seconds * 1000;
  let calls = 0;
  while (performance.now() < end) {
    const answer = await auth.api.verifyApiKey({ body: { key: of(calls++) } });
    if (answer.valid !== expected) throw new Error(JSON.stringify(answer));
  }
  return calls / seconds;
}
await run((n) => keys[n % keys.length], true);
const good = await run((n) => keys[n % keys.length], true);
const bad = await run((n) => keys[n % keys.length].slice(0, -4) + "zzzz", false);
const say = (figure, value) =>
  console.log(JSON.stringify({ kind: "figure", group: "other languages", case: "better-auth 1.7.5, verifyApiKey, in memory", figure, value }));
say("good keys a second", good);
say("unknown keys a second", bad);
