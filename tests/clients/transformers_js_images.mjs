// SPDX-License-Identifier: Apache-2.0
// Answers requests, one JSON object a line, with what a class of transformers.js makes of an exported folder:
//   {class, folder, subfolder, inputs: {name: {type, shape, data}}, options} -> {name: {shape, data}} | {tokens} | {error}
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.ONNXPORT_CLIENTS_NODE}/`);
const library = await import(pathToFileURL(require.resolve('@huggingface/transformers')));
library.env.allowRemoteModels = false;
library.env.localModelPath = '/';

function tensor({ type, shape, data }) {
  return new library.Tensor(type, type === 'int64' ? BigInt64Array.from(data, BigInt) : Float32Array.from(data), shape);
}

async function answer({ class: name, folder, subfolder, inputs, options }) {
  const place = { dtype: 'fp32', device: 'cpu', subfolder, local_files_only: true };
  const model = await library[name].from_pretrained(folder, place);
  try {
    const given = Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, tensor(value)]));
    if (options) {
      const tokens = await model.generate({ ...given, ...options });
      return { tokens: tokens.tolist().map((row) => row.map(Number)) };
    }
    const found = await model(given);
    const tensors = Object.entries(found).filter(([, value]) => value instanceof library.Tensor);
    return Object.fromEntries(
      tensors.map(([key, { dims, data }]) => [key, { shape: dims, data: Array.from(data, Number) }]),
    );
  } finally {
    await model.dispose();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await answer(JSON.parse(line)).catch((error) => ({ error: error.stack }));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
