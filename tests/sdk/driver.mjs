// A backend with the official Node SDK: `node driver.mjs ENDPOINT`. Does what it is told, as whom it is told.
import * as sdk from 'node-appwrite';
import {obey} from '../support/obey.mjs';

const [endpoint] = process.argv.slice(2);

await obey({
    async call({as, service, method, params}) {
        const client = new sdk.Client().setEndpoint(endpoint).setProject('default');
        for (const [setter, value] of Object.entries(as)) client[setter](value);
        try {
            return {answer: await new sdk[service](client)[method](...params)};
        } catch (error) {
            return {refused: {code: error.code ?? 0, type: error.type ?? error.name, message: error.message}};
        }
    },
    async has({service, method}) {
        return {answer: method in sdk[service].prototype};
    },
});
