// SPDX-License-Identifier: Apache-2.0
// Answers requests, one JSON object a line, with what transformers.js makes of an exported folder:
//   {type, task, folder, subfolder, inputs: {name: {type, shape, data}}, options} -> {tokens} | {shape, data} | {error}
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.ONNXPORT_CLIENTS_NODE}/`);
const library = await import(pathToFileURL(require.resolve('@huggingface/transformers')));
library.env.allowRemoteModels = false;
library.env.localModelPath = '/';

const classes = {
  'causal-lm-with-past': library.AutoModelForCausalLM,
  'seq2seq-lm-with-past': library.AutoModelForSeq2SeqLM,
  'speech2seq-lm-with-past': library.AutoModelForSpeechSeq2Seq,
  'vision2seq-lm-with-past': library.AutoModelForVision2Seq,
  'sequence-classification': library.AutoModelForSequenceClassification,
  'image-classification': library.AutoModelForImageClassification,
};

// Types of which no class above knows.
const classesOfTypes = {
  florence2: library.Florence2ForConditionalGeneration,
  musicgen: library.MusicgenForConditionalGeneration,
};

function tensor({ type, shape, data }) {
  return new library.Tensor(type, type === 'int64' ? BigInt64Array.from(data, BigInt) : Float32Array.from(data), shape);
}

async function answer({ type, task, folder, subfolder, inputs, options }) {
  const place = { dtype: 'fp32', device: 'cpu', subfolder, local_files_only: true };
  const model = await (classesOfTypes[type] ?? classes[task]).from_pretrained(folder, place);
  const tensors = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, tensor(value)]));
  try {
    if (options) {
      const made = await model.generate({ ...tensors, ...options });
      if (made.type !== 'int64') return { shape: made.dims, data: Array.from(made.data) };
      return { tokens: made.tolist().map((row) => row.map(Number)) };
    }
    const { logits } = await model(tensors);
    return { shape: logits.dims, data: Array.from(logits.data) };
  } finally {
    await model.dispose();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await answer(JSON.parse(line)).catch((error) => ({ error: error.stack }));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
