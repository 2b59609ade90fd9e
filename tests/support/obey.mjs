// Carries out orders read from standard input, one line of JSON each, and writes what came of them.
import {createInterface} from 'node:readline';

export async function obey(orders) {
    for await (const line of createInterface({input: process.stdin})) {
        const {order, ...details} = JSON.parse(line);
        let told;
        try {
            told = await orders[order](details);
        } catch (error) {
            told = {failed: String(error?.stack ?? error)};
        }
        process.stdout.write(JSON.stringify(told ?? {}) + '\n');
    }
}
