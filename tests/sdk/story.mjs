// A backend's story through the official server SDK: `node story.mjs ENDPOINT KEY`. Prints what happened as JSON.
import {Account, Client, ID, Query, Users} from 'node-appwrite';

const [endpoint, key] = process.argv.slice(2);
const client = () => new Client().setEndpoint(endpoint).setProject('default');
const told = {called: []};

// The service, noting which of its methods succeeded.
const noted = (service) => new Proxy(service, {
    get: (target, method) => async (...given) => {
        const answer = await target[method](...given);
        told.called.push([target.constructor.name, method]);
        return answer;
    },
});
const users = noted(new Users(client().setKey(key)));

async function tell(name, call) {
    try {
        told[name] = {answer: await call()};
    } catch (error) {
        told[name] = {refused: {code: error.code, type: error.type, message: error.message}};
    }
    return told[name].answer;
}

const userId = ID.unique();
await tell('create', () => users.create({userId, email: 'Ada@Example.com', phone: '+4915112345678', password: 'correct horse', name: 'Ada Lovelace'}));
await tell('duplicate', () => users.create({userId: ID.unique(), email: 'ada@example.com'}));
for (const n of [1, 2, 3]) await users.create({userId: `user${n}`, name: `Number ${n}`});
await tell('list', () => users.list());
await tell('limit', () => users.list({queries: [Query.limit(2), Query.offset(1)]}));
await tell('cursor', () => users.list({queries: [Query.cursorAfter('user1')]}));
await tell('before', () => users.list({queries: [Query.cursorBefore('user3'), Query.limit(1)]}));
await tell('search', () => users.list({search: 'love'}));
await tell('uncounted', () => users.list({total: false}));
await tell('badCursor', () => users.list({queries: [Query.cursorAfter('nobody')]}));
await tell('get', () => users.get({userId}));
await tell('missing', () => users.get({userId: 'nobody'}));
await tell('name', () => users.updateName({userId, name: 'Ada King'}));
await tell('labels', () => users.updateLabels({userId, labels: ['vip', 'vip', 'pro']}));
await tell('badLabel', () => users.updateLabels({userId, labels: ['in-valid']}));
await tell('verified', () => users.updateEmailVerification({userId, emailVerification: true}));
await tell('unverified', () => users.updateEmailVerification({userId, emailVerification: false}));
await tell('noPrefs', () => users.getPrefs({userId}));
await tell('updatePrefs', () => users.updatePrefs({userId, prefs: {theme: 'dark', n: 1}}));
await tell('prefs', () => users.getPrefs({userId}));

// A server signs somebody in and acts with the session it was given.
const session = await tell('session', () => noted(new Account(client().setKey(key))).createEmailPasswordSession({email: 'ada@example.com', password: 'correct horse'}));
const account = noted(new Account(client().setSession(session.secret)));
await tell('me', () => account.get());
await tell('myPrefs', () => account.updatePrefs({prefs: {theme: 'light'}}));
await tell('keyHasNoAccount', () => new Account(client().setKey(key)).get());
await tell('refused', () => new Account(client()).createEmailPasswordSession({email: 'ada@example.com', password: 'wrong horse'}));
await tell('myLogs', () => account.listLogs({queries: [Query.limit(2)]}));
await tell('logs', () => users.listLogs({userId}));
await tell('laterLogs', () => users.listLogs({userId, queries: [Query.limit(2), Query.offset(1)], total: false}));
await tell('sessions', () => users.listSessions({userId}));
await tell('deleteSession', () => users.deleteSession({userId, sessionId: session.$id}));
await tell('signedOut', () => account.get());
await tell('deleteSessions', () => users.deleteSessions({userId}));
await tell('noSessions', () => users.listSessions({userId}));
await tell('delete', () => users.delete({userId}));
await tell('deleted', () => users.get({userId}));
await tell('again', () => users.create({userId, email: 'ada@example.com'}));
await tell('badKey', () => new Users(client().setKey('standard_wrong')).list());
console.log(JSON.stringify(told));
