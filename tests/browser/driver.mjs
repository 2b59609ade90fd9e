// People in a real browser: `node driver.mjs ENDPOINT`. Every person has a profile of their own and one page.
import {obey} from '../support/obey.mjs';
import {chromium} from '../sdk/node_modules/playwright-core/index.mjs';

const [endpoint] = process.argv.slice(2);
const {CHROMIUM, CHROMIUM_LIBRARIES} = process.env;
const quiet = ['--no-sandbox', '--no-zygote', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--no-first-run'];

const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: quiet,
    env: {...process.env, ...(CHROMIUM_LIBRARIES ? {LD_LIBRARY_PATH: CHROMIUM_LIBRARIES} : {})},
});
const people = new Map();

await obey({
    async meet({who}) {
        const context = await browser.newContext();
        const page = await context.newPage();
        const complaints = [];
        page.on('console', (message) => {
            // A provider's page may want a font from elsewhere.
            const from = URL.canParse(message.location().url) ? new URL(message.location().url) : null;
            if (from !== null && !['127.0.0.1', 'localhost'].includes(from.hostname)) return;
            if (['warning', 'error'].includes(message.type())) complaints.push(message.text());
        });
        page.on('pageerror', (error) => complaints.push(String(error)));
        people.set(who, {context, page, complaints});
    },
    async open({who, url}) {
        await people.get(who).page.goto(url);
        return {answer: people.get(who).page.url()};
    },
    // What a method of the SDK answers, or how it is refused, as the page sees it.
    call: ({who, service, method, params}) => people.get(who).page.evaluate(
        async ({endpoint, service, method, params}) => {
            const {[service]: Service, Client} = window.Appwrite;
            window.client ??= new Client().setEndpoint(endpoint).setProject('default');
            try {
                return {answer: await new Service(window.client)[method](...params)};
            } catch (error) {
                return {refused: {code: error.code ?? 0, type: error.type ?? error.name, message: error.message}};
            }
        },
        {endpoint, service, method, params},
    ),
    // A method that sends the browser away, and where it is once it arrived.
    async leave({who, service, method, params}) {
        const {page} = people.get(who);
        const arrived = page.waitForEvent('load');
        await page.evaluate(
            ({endpoint, service, method, params}) => {
                const {[service]: Service, Client} = window.Appwrite;
                const account = new Service(new Client().setEndpoint(endpoint).setProject('default'));
                setTimeout(() => account[method](...params));
            },
            {endpoint, service, method, params},
        );
        await arrived;
        return {answer: page.url()};
    },
    // Fill in a form, then click on something that leads elsewhere; where it led.
    async follow({who, selector, fields}) {
        const {page} = people.get(who);
        for (const [name, value] of Object.entries(fields)) await page.fill(`[name="${name}"]`, value);
        const arrived = page.waitForEvent('load');
        await page.click(selector);
        await arrived;
        return {answer: page.url()};
    },
    // Stand before addresses that match instead of asking for them, until they are released.
    // By the browser's own protocol: what a redirect leads to passes by Playwright's routes.
    async hold({who, pattern}) {
        const {context, page} = people.get(who);
        const session = people.get(who).session = await context.newCDPSession(page);
        session.on('Fetch.requestPaused', ({requestId}) => session.send(
            'Fetch.fulfillRequest', {requestId, responseCode: 200, body: Buffer.from('held').toString('base64')},
        ));
        await session.send('Fetch.enable', {patterns: [{urlPattern: pattern}]});
    },
    release: async ({who}) => void await people.get(who).session.detach(),
    run: async ({who, code}) => ({answer: await people.get(who).page.evaluate(code)}),
    cookies: async ({who}) => ({answer: await people.get(who).context.cookies(endpoint)}),
    complaints: ({who}) => ({answer: people.get(who).complaints}),
    async part({who}) {
        await people.get(who).context.close();
        people.delete(who);
    },
});
await browser.close();
