// Unpack the Chromium that an npm package carries into a folder: `node unpack-chromium.mjs FOLDER`.
// Its libraries come along as on the platform it is made for, because a bare machine lacks them too.
const [folder] = process.argv.slice(2);
process.env.TMPDIR = folder;
process.env.AWS_EXECUTION_ENV = 'AWS_Lambda_nodejs20.x';
const {default: chromium} = await import('@sparticuz/chromium');
console.log(await chromium.executablePath());
