// Another service that knows nothing of ours but where its keys are: node verify.mjs KEYS ISSUER AUDIENCE TOKEN...
import { createRemoteJWKSet, jwtVerify } from "jose";

const [keys, issuer, audience, ...tokens] = process.argv.slice(2);
const found = createRemoteJWKSet(new URL(keys));
const said = [];
for (const token of tokens) {
  try {
    const { payload } = await jwtVerify(token, found, { issuer, audience, algorithms: ["ES256"], typ: "JWT" });
    said.push(payload);
  } catch (error) {
    said.push(error.code);
  }
}
console.log(JSON.stringify(said));
