# SPDX-License-Identifier: Apache-2.0
"""One checkpoint of each type of decoder that caches keys and values, in onnxruntime-genai, optimum and transformers.js: the tokens that
`generate()` of the original class makes, which scripts/record/tokens.py wrote to decoders.json. A text by itself, and where a client takes
one, a batch that is padded on the left.

Who has no class for a type is listed with what it says; a row's `reasons` tells what else a client cannot do, and fails where it can."""
import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import onnxruntime_genai  # noqa: E402
import optimum.onnxruntime  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

from node import Node  # noqa: E402
from program import weights  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
FEATURE = "causal-lm-with-past"


class NoClass(Exception):
    """What a client, or the program for it, says of a type that it does not run."""


@dataclasses.dataclass
class Row:
    """A line of decoders.json, its checkpoint with weights, and the command."""

    told: dict
    command: str
    checkpoint: pathlib.Path

    @property
    def count(self):
        return len(self.told["tokens"][0])

    @property
    def config(self):
        return json.loads((self.checkpoint / "config.json").read_text())

    @property
    def padded(self):
        """The texts as one batch, filled up on the left, and what is made of it."""
        texts, pad = self.told["texts"], self.config["pad_token_id"]
        width = max(map(len, texts))
        ids = torch.tensor([[pad] * (width - len(text)) + text for text in texts])
        mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts])
        return {"input_ids": ids, "attention_mask": mask}, self.told.get("padded", self.told["tokens"])

    @property
    def asked(self):
        """Inputs and the tokens behind them: of the first text, and of the batch."""
        first = torch.tensor(self.told["texts"][:1])
        alone = [({"input_ids": first, "attention_mask": torch.ones_like(first)}, self.told["tokens"][:1])]
        return alone if "never_padded" in self.told else [*alone, self.padded]


def export(row, layout, scratch):
    folder = scratch / layout
    words = ["export", "-m", row.checkpoint, "--feature", FEATURE, "--layout", layout, "--no-validate", "--json", folder]
    done = subprocess.run([row.command, *words], capture_output=True, text=True)
    if done.returncode:
        error = json.loads(done.stdout).get("error", {}).get("message", done.stderr.strip())
        raise NoClass(error) if "onnxruntime-genai" in error else AssertionError(error)
    return folder


def same(what, found, expected):
    if found != expected:
        raise AssertionError(f"{what}: tokens {found}, expected {expected}")


def by_genai(row, scratch):
    """Each text by itself: what it makes of padding is its own matter."""
    model = onnxruntime_genai.Model(str(export(row, "genai", scratch)))
    for text, tokens in zip(row.told["texts"], row.told["tokens"]):
        parameters = onnxruntime_genai.GeneratorParams(model)
        length = len(text) + row.count
        parameters.set_search_options(do_sample=False, max_length=length, min_length=length)
        generator = onnxruntime_genai.Generator(model, parameters)
        generator.append_tokens([text])
        while not generator.is_done():
            generator.generate_next_token()
        same(f"{len(text)} tokens", [int(token) for token in generator.get_sequence(0)][len(text):], tokens)


def by_optimum(row, scratch):
    kind = row.config["model_type"]
    if kind not in transformers.models.auto.configuration_auto.CONFIG_MAPPING:
        raise NoClass(f"transformers {transformers.__version__}, the newest that it works with, has no {kind}")
    folder = export(row, "optimum", scratch)
    model = optimum.onnxruntime.ORTModelForCausalLM.from_pretrained(folder)
    model.generation_config.forced_eos_token_id = None  # which not every version reads
    for inputs, tokens in row.asked:
        made = model.generate(**inputs, max_new_tokens=row.count, min_new_tokens=row.count, do_sample=False,
                              pad_token_id=row.config["pad_token_id"])
        same(f"{len(tokens)} rows", made[:, inputs["input_ids"].shape[1]:].tolist(), tokens)


node = Node()


def by_transformers_js(row, scratch):
    folder = export(row, "transformers.js", scratch)
    for inputs, tokens in row.asked:
        options = {"max_new_tokens": row.count, "min_new_tokens": row.count, "do_sample": False, "forced_eos_token_id": None}
        try:
            made = node.ask("AutoModelForCausalLM", folder, inputs, options)["tokens"]
        except Exception as error:
            said = str(error).splitlines()[0]
            raise NoClass(said) if "Unsupported model type" in said else error
        same(f"{len(tokens)} rows", [one[inputs["input_ids"].shape[1]:] for one in made], tokens)


CLIENTS = {"genai": by_genai, "optimum": by_optimum, "transformers.js": by_transformers_js}


def told(client, row, scratch):
    """One of passed, left out and FAILED, and why."""
    reason = row.told.get("reasons", {}).get(client)
    try:
        CLIENTS[client](row, scratch)
    except NoClass as error:
        return "left out", str(error)
    except Exception as error:  # what the next client does is another question
        said = (str(error).splitlines() or [type(error).__name__])[0]
        return ("left out", f"{reason} ({said})") if reason else ("FAILED", said)
    return ("FAILED", f"it does now, and its row says why not: {reason}") if reason else ("passed", "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="*")  # as all checks are called
    parser.add_argument("--only", default="", help="this type alone")
    parser.add_argument("--client", default="", help="clients whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    plugins = HERE.parents[1] / "plugins"
    counts = {client: {"passed": 0, "left out": 0, "FAILED": 0} for client in CLIENTS if arguments.client in client}
    for line in json.loads((HERE / "decoders.json").read_text()):
        if arguments.only not in ("", line["type"]):
            continue
        with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
            scratch = pathlib.Path(scratch)
            row = Row(line, arguments.command, scratch / "checkpoint")
            weights.with_weights(row.command, plugins / line["case"], row.checkpoint, line.get("drawn"))
            (row.checkpoint / "config.json").write_text(json.dumps({**row.config, **line.get("added", {})}))
            for client, count in counts.items():
                result, why = told(client, row, scratch)
                count[result] += 1
                print(f"{result}: {line['type']}: {client}{': ' if why else ''}{why}", flush=True)
    for client, count in counts.items():
        print(f"{client}: " + ", ".join(f"{number} {name}" for name, number in count.items()))
    return 1 if any(count["FAILED"] or not count["passed"] for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
