// A certified OpenID provider (npm: oidc-provider) on a port of its own, with one client and anybody as a person.
// Prints its issuer, then serves until its standard input ends. Who signs in is told by the login: "name" has the
// verified address name@idp.example, "name+unverified" the same without the verification.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [redirectUri, codeSeconds] = process.argv.slice(2);
const server = createServer((request, response) => provider.callback()(request, response));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

// It warns about what is not fit for production; nobody reads that here.
console.info = console.warn = () => {};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "accounts",
      client_secret: "a secret between the two",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  ttl: { AuthorizationCode: Number(codeSeconds ?? 60), AccessToken: 3600, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 3600, IdToken: 3600 },
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => {
      const [name, how] = id.split("+");
      return { sub: id, email: `${name}@idp.example`, email_verified: how !== "unverified", name: `Name of ${name}` };
    },
  }),
  cookies: { keys: ["only for tests"] },
});
process.stdout.write(`${issuer}\n`);
process.stdin.on("end", () => process.exit(0)).resume();
