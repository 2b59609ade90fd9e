// A person's story in a real browser: `node story.mjs PAGE ENDPOINT`. Prints what happened as JSON.
import {chromium} from '../sdk/node_modules/playwright-core/index.mjs';

const [page_url, endpoint] = process.argv.slice(2);
const {CHROMIUM, CHROMIUM_LIBRARIES} = process.env;
const quiet = ['--no-sandbox', '--no-zygote', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--no-first-run'];

const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: quiet,
    env: {...process.env, ...(CHROMIUM_LIBRARIES ? {LD_LIBRARY_PATH: CHROMIUM_LIBRARIES} : {})},
});
const context = await browser.newContext();
const page = await context.newPage();
const complaints = [];
page.on('console', (message) => ['warning', 'error'].includes(message.type()) && complaints.push(message.text()));
page.on('pageerror', (error) => complaints.push(String(error)));

const open = async () => {
    await page.goto(page_url);
    await page.evaluate((endpoint) => {
        const {Account, Client} = window.Appwrite;
        window.account = new Account(new Client().setEndpoint(endpoint).setProject('default'));
    }, endpoint);
};
// What a call answers, or how it is refused, as the SDK hands it to the page.
const call = (body) => page.evaluate(`(async () => {
    const {ID} = window.Appwrite;
    try { return {answer: await (async () => { ${body} })()}; }
    catch (error) { return {refused: {code: error.code, type: error.type, message: error.message}}; }
})()`);

const told = {};
await open();
told.guest = await call(`return account.get();`);
told.signup = await call(`return account.create({userId: ID.unique(), email: 'jane@example.com', password: 'correct horse', name: 'Jane'});`);
told.wrong = await call(`return account.createEmailPasswordSession({email: 'jane@example.com', password: 'wrong horse'});`);
told.login = await call(`return account.createEmailPasswordSession({email: 'jane@example.com', password: 'correct horse'});`);
told.fallback = await page.evaluate(`localStorage.getItem('cookieFallback')`);
told.cookies = (await context.cookies(endpoint)).map(({name, httpOnly, path}) => ({name, httpOnly, path}));
// The two snippets of the documentation's page on preferences.
told.update = await call(`return account.updatePrefs({darkTheme: true, language: 'en'});`);
told.prefs = await call(`return account.getPrefs();`);
told.name = await call(`return account.updateName({name: 'Jane Doe'});`);
await open();
told.reloaded = await call(`return account.get();`);
told.prefsReloaded = await call(`return account.getPrefs();`);
told.sessions = await call(`return account.listSessions();`);
told.session = await call(`return account.getSession({sessionId: 'current'});`);
told.logout = await call(`return account.deleteSession({sessionId: 'current'});`);
told.after = await call(`return account.get();`);
told.anonymous = await call(`return account.createAnonymousSession();`);
told.nobody = await call(`return account.get();`);
told.twice = await call(`return account.createAnonymousSession();`);
told.everywhere = await call(`return account.deleteSessions();`);
told.gone = await call(`return account.get();`);
told.complaints = complaints;
await browser.close();
console.log(JSON.stringify(told));
