// SPDX-License-Identifier: Apache-2.0
// browser.mjs ONNXPORT SCREENSHOTS: the pages that the command writes, and a model of it in transformers.js, in a
// browser without a window. ONNXPORT_CLIENTS_NODE has the packages, ONNXPORT_CLIENTS_BROWSER is the browser.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [command, screenshots] = process.argv.slice(2).map((name) => path.resolve(name));
const packages = process.env.ONNXPORT_CLIENTS_NODE;
const require = createRequire(`${packages}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve('puppeteer-core')));

const plugins = fileURLToPath(new URL('../../plugins/', import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), 'onnxport-browser-'));
mkdirSync(screenshots, { recursive: true });
// Its own sandbox wants rights that containers do not give; nothing but our own pages is opened.
const executablePath = process.env.ONNXPORT_CLIENTS_BROWSER;
const browser = await puppeteer.launch({ executablePath, args: ['--no-sandbox'] });
test.after(async () => {
  await browser.close();
  rmSync(scratch, { recursive: true });
});

function run(status, ...words) {
  const done = spawnSync(command, [...words, '--quiet'], { cwd: scratch, encoding: 'utf8' });
  assert.equal(done.status, status, `onnxport ${words.join(' ')}: ${done.stderr}`);
}

/// Opens a page, which may ask for nothing beyond `allowed` and must have nothing to complain about.
async function opened(address, allowed, use) {
  const page = await browser.newPage();
  const faults = [];
  page.on('console', (message) => faults.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`script: ${error}`));
  page.on('request', (request) => allowed(request.url()) || faults.push(`asks for ${request.url()}`));
  page.on('requestfailed', (request) => faults.push(`does not get ${request.url()}`));
  try {
    await page.goto(address);
    return await use(page);
  } finally {
    await page.close();
    assert.deepEqual(faults, [], address);
  }
}

/// A page that stands alone, as it is shown on a screen and on a telephone, closed and with all of it open.
function shown(name, use) {
  const address = String(pathToFileURL(path.join(scratch, name)));
  const alone = (url) => url.split('#')[0] === address;
  return opened(address, alone, async (page) => {
    await use(page);
    for (const open of [false, true]) {
      const folded = 'details details, details:not(.module)';
      await page.$$eval(folded, (all, to) => all.forEach((one) => (one.open = to)), open);
      for (const width of [1280, 390]) {
        await page.setViewport({ width, height: 800 });
        const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(excess <= 0, `${name} is ${excess} pixels too wide for ${width}`);
        const file = `${name.replace('.html', '')}-${width}${open ? '-open' : ''}.png`;
        await page.screenshot({ path: path.join(screenshots, file), fullPage: true });
      }
    }
  });
}

const textOf = (page) => page.$eval('body', (body) => body.innerText);

function has(text, ...facts) {
  for (const fact of facts) assert.ok(text.includes(fact), `"${fact}" is not in: ${text}`);
}

/// Bars or points of the plots, and how many of them tell of a difference too large.
async function marks(page, kind) {
  const seen = await page.$$eval(`svg.plot ${kind}`, (all) =>
    all.map((one) => ({ color: getComputedStyle(one).fill, size: one.getBoundingClientRect().width })),
  );
  assert.ok(seen.every(({ size }) => size > 0), `a ${kind} without a size`);
  return { count: seen.length, bad: seen.filter(({ color }) => color === 'rgb(221, 51, 51)').length };
}

const bert = path.join(plugins, 'bert/cases/bert/BertForSequenceClassification');

const hash = () => createHash('sha256').update(readFileSync(path.join(scratch, 'good/model.onnx'))).digest('hex');

test('the report of a validated export', async () => {
  run(0, 'export', '-m', bert, '--trace-values', '--report', 'good.html', 'good');
  await shown('good.html', async (page) => {
    const text = await textOf(page);
    has(text, 'bert, sequence-classification', 'org.onnxport.bert', 'onnxport export -m', 'passed', '0.0001', hash());
    has(text, 'input_ids', '0: batch, 1: sequence', 'libtorch', 'ONNX Runtime', 'agrees');
    const all = await page.$eval('pre', (pre) => JSON.parse(pre.textContent));
    has(text, all.onnxport.version, all.written_at, ...all.validation.runs.map(({ label }) => label));
    assert.deepEqual(await marks(page, 'rect'), { count: all.validation.runs.length, bad: 0 });
    assert.deepEqual(await marks(page, 'circle'), { count: all.validation.steps.length, bad: 0 });
    assert.ok(!text.includes('intermediate_size'), 'the fields of the config are not folded away');
    await (await page.$('::-p-xpath(//summary[contains(., "fields")])')).click();
    has(await textOf(page), 'intermediate_size');
  });
});

test('the report of a file that differs', async () => {
  run(0, 'synth', path.join(bert, 'config.json'), 'other', '--seed', '5');
  run(1, 'validate', 'good', '-m', 'other', '--trace-values', '--report', 'differs.html');
  await shown('differs.html', async (page) => {
    has(await textOf(page), 'bert, sequence-classification', 'org.onnxport.bert', hash());
    has(await textOf(page), 'differs', 'What went wrong', 'first departure', 'bert.embeddings.word_embeddings');
    const bars = await marks(page, 'rect');
    assert.ok(bars.count > 0 && bars.bad === bars.count, `${bars.bad} of ${bars.count} bars are red`);
    assert.ok((await marks(page, 'circle')).bad > 0);
  });
});

test('the report of a refusal', async () => {
  run(2, 'export', '-m', bert, '--opset', '3', '--report', 'refused.html', 'refused');
  await shown('refused.html', async (page) => has(await textOf(page), 'error', 'opset 3 is out of range', '--opset'));
});

const hasGraphviz = spawnSync('dot', ['-V']).status === 0;
const noPicture = !hasGraphviz && 'there is no Graphviz (apt-get install graphviz)';

test('the graph opens by modules', { skip: noPicture }, async () => {
  run(0, 'inspect', 'good/model.onnx', '--graph', 'graph.html');
  await shown('graph.html', async (page) => {
    // A module's own line, and its picture with what is in it.
    const line = (module) => page.waitForSelector(`::-p-xpath(//summary[.="${module}"])`);
    const picture = async (module) => (await line(module)).evaluateHandle((one) => one.nextElementSibling);
    const sees = async (module) => (await picture(module)).evaluate((one) => one.checkVisibility());
    has(await textOf(page), 'input_ids', 'logits', '79 nodes');
    assert.equal(await sees('bert'), false);
    await (await line('bert')).click();
    assert.equal(await sees('bert'), true);
    assert.equal(await sees('bert.encoder'), false);
    const box = await (await picture('bert')).$('::-p-xpath(.//*[local-name()="a"][.//*[.="encoder"]])');
    await box.click();
    assert.equal(await sees('bert.encoder'), true);
    assert.equal(await sees('bert.pooler'), false);
    const colors = await page.$$eval('.picture text', (all) =>
      Object.fromEntries(all.map((one) => [one.textContent, getComputedStyle(one).fill])),
    );
    assert.notEqual(colors.input_ids, colors.bert);
    assert.notEqual(colors.logits, colors.bert);
  });
});

/// Tensors of a safetensors file as {name: {type, shape, data}}.
function tensorsOf(file) {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const described = Object.entries(JSON.parse(bytes.subarray(8, start)));
  return Object.fromEntries(
    described.map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
      const data = bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to);
      const [type, array] = dtype === 'I64' ? ['int64', BigInt64Array] : ['float32', Float32Array];
      return [name, { type, shape, data: Array.from(new array(data), Number) }];
    }),
  );
}

/// What transformers.js makes of a decoder; runs in Node and, given as text, in the browser.
async function answer(library, device, folder, inputs) {
  const place = { dtype: 'fp32', device, local_files_only: true };
  const model = await library.AutoModelForCausalLM.from_pretrained(folder, place);
  const tensor = ({ shape, data }) => new library.Tensor('int64', BigInt64Array.from(data, BigInt), shape);
  const tensors = Object.fromEntries(inputs.map(([name, value]) => [name, tensor(value)]));
  const { logits } = await model(tensors);
  const tokens = await model.generate({ ...tensors, max_new_tokens: 16, min_new_tokens: 16, do_sample: false });
  return { logits: Array.from(logits.data), tokens: tokens.tolist().map((row) => row.map(Number)) };
}

/// Serves the packages and the exported folder below one address.
async function served() {
  const types = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
  const page = '<!DOCTYPE html><link rel=icon href=data:,>';
  const server = createServer((request, response) => {
    const name = path.normalize(decodeURI(request.url.split('?')[0]));
    if (name === '/') return response.setHeader('content-type', 'text/html').end(page);
    const file = path.join(name.startsWith('/node_modules/') ? packages : scratch, name);
    response.setHeader('content-type', types[path.extname(file)] ?? 'application/octet-stream');
    return createReadStream(file).on('error', () => response.writeHead(404).end()).pipe(response);
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return { address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

test('a decoder in transformers.js by WASM', async () => {
  const folder = path.join(plugins, 'llama/cases/qwen3/Qwen3ForCausalLM');
  const layout = ['--feature', 'causal-lm-with-past', '--layout', 'transformers.js'];
  run(0, 'export', '-m', folder, ...layout, '--no-validate', 'decoder');
  const recorded = tensorsOf(path.join(folder, 'case-causal-lm-0.safetensors'));
  const given = Object.entries(recorded).filter(([name]) => name.startsWith('in/'));
  const inputs = given.map(([name, value]) => [name.slice(3), value]);

  const library = await import(pathToFileURL(require.resolve('@huggingface/transformers')));
  library.env.allowRemoteModels = false;
  library.env.localModelPath = '/';
  const inNode = await answer(library, 'cpu', path.join(scratch, 'decoder'), inputs);

  const server = await served();
  try {
    const allowed = (url) => url.startsWith(server.address) || url.startsWith('data:');
    const inBrowser = await opened(server.address, allowed, (page) =>
      page.evaluate(
        async (text, given) => {
          const web = await import('/node_modules/@huggingface/transformers/dist/transformers.min.js');
          web.env.allowRemoteModels = false;
          web.env.allowLocalModels = true;
          web.env.localModelPath = '/';
          web.env.backends.onnx.wasm.wasmPaths = `${location.origin}/node_modules/onnxruntime-web/dist/`;
          return new Function(`return ${text}`)()(web, 'wasm', 'decoder', given);
        },
        answer.toString(),
        inputs,
      ),
    );
    const expected = recorded['out/logits'].data;
    assert.equal(inBrowser.logits.length, expected.length);
    const difference = Math.max(...inBrowser.logits.map((value, i) => Math.abs(value - expected[i])));
    assert.ok(difference <= 1e-4, `logits differ by ${difference} from those of the original model`);
    assert.equal(inBrowser.tokens[0].length, inputs[0][1].shape[1] + 16);
    assert.deepEqual(inBrowser.tokens, inNode.tokens);
  } finally {
    server.close();
  }
});
