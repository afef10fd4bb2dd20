#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records which tokens the original decoders make of a text, greedily and with a cache: of one recorded checkpoint of each model type.

`tokens.py ONNXPORT FILE INDEX...` writes the rows of FILE (tests/clients/decoders.json), which clients of exported folders are compared
with.
Of a checkpoint that holds no weights they are drawn again (README.md). A type that has a row keeps it."""
import argparse
import json
import pathlib
import sys
import tempfile

import torch
import transformers

import models
import weights

FEATURE = "causal-lm-with-past"  # or what --path names
WITHOUT_KEYS = ("mamba", "mamba2", "falcon_mamba", "rwkv")  # which keep no keys and values
NEW_TOKENS = 20
LENGTHS = (7, 6)  # of the two texts, both beyond what longrope was trained for in the cases: generate() reads a text again that grows past it
# Between the likeliest token and the next: what sums in another order move a logit by is far less.
MARGIN = 2e-3
TRIES = 12
VARIOUS = 12  # different tokens, which will do


def tokens_to_make(config):
    """Fewer than NEW_TOKENS where a model has no more positions. XGLM makes them as it needs them."""
    names = ("max_position_embeddings", "n_positions", "max_target_positions", "max_seq_len")
    held = next((value for value in (getattr(config, name, None) for name in names) if value), None)
    return NEW_TOKENS if held is None or config.model_type == "xglm" else min(NEW_TOKENS, held - max(LENGTHS))


def plain_tokens(config):
    """Ids that mean nothing special to the model."""
    named = [value for name, value in config.to_dict().items() if name.endswith("token_id")]
    special = {token for value in named for token in (value if isinstance(value, list) else [value])}
    return torch.tensor([token for token in range(3, config.vocab_size) if token not in special])


def made(model, ids, mask, count):
    """The tokens behind ids i64[rows, length], and by how much each led before the next at its narrowest."""
    config = model.config
    # Of a decoder that is half of something it would count the other half's layers by itself.
    cache = {"past_key_values": transformers.DynamicCache()} if hasattr(config, "decoder_layers") else {}
    answer = model.generate(**cache, input_ids=ids, attention_mask=mask, max_new_tokens=count, min_new_tokens=count, do_sample=False, num_beams=1,
                            use_cache=True, pad_token_id=config.pad_token_id, return_dict_in_generate=True, output_scores=True)
    best = torch.stack(answer.scores, 1).topk(2, dim=-1).values
    return answer.sequences[:, ids.shape[1]:], (best[..., 0] - best[..., 1]).min().item()


def searched(model, seed):
    """Two texts, what is made of each alone and of both in one batch that is padded on the left, and the narrowest lead."""
    config = model.config
    count = tokens_to_make(config)
    plain = plain_tokens(config)
    generator = torch.Generator().manual_seed(seed)
    texts = [plain[torch.randint(len(plain), (length,), generator=generator)] for length in LENGTHS]
    alone = [made(model, text[None], torch.ones_like(text[None]), count) for text in texts]
    width = max(LENGTHS)
    ids = torch.stack([torch.cat([torch.full((width - len(text),), config.pad_token_id), text]) for text in texts])
    mask = torch.stack([(torch.arange(width) >= width - len(text)).long() for text in texts])
    both, lead = made(model, ids, mask, count)
    row = {"texts": [text.tolist() for text in texts], "tokens": [tokens[0].tolist() for tokens, _ in alone]}
    if both.tolist() != row["tokens"]:
        row["padded"] = both.tolist()
    return row, min([lead, *(narrow for _, narrow in alone)])


def told_apart(checkpoint):
    """Ends a text by a token, and fills up with one, that config.json names: what classes have for these where it does not differs
    among versions, and clients have others. What was added."""
    file = checkpoint / "config.json"
    config = json.loads(file.read_text())
    added = {"eos_token_id": 2} if config.get("eos_token_id") is None else {}
    if config.get("pad_token_id") is None:
        added["pad_token_id"] = 1
    file.write_text(json.dumps({**config, **added}))
    return added


def recorded(command, recording, folder):
    """The row of one checkpoint: of several texts the one whose tokens are the most various, where no two are close."""
    drawn = recording.get("weights", {}).get("synth")
    with tempfile.TemporaryDirectory(prefix="onnxport-record-") as scratch:
        checkpoint = pathlib.Path(scratch) / "checkpoint"
        weights.with_weights(command, folder, checkpoint, drawn)
        added = told_apart(checkpoint)
        model = models.load(recording["architecture"], checkpoint, ["*"])
        model.generation_config.forced_eos_token_id = None  # which not every version reads
    best = None
    for seed in range(TRIES):
        row, lead = searched(model, seed)
        variety = len({token for text in row["tokens"] for token in text})
        if lead > MARGIN and (best is None or variety > best[0]):
            best = variety, row
        if best and best[0] >= VARIOUS:
            break
    if best is None:
        raise ValueError(f"in each of {TRIES} texts two tokens are as likely")
    return {**({"added": added} if added else {}), **best[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("file", type=pathlib.Path, help="what is written")
    parser.add_argument("indexes", nargs="+", type=pathlib.Path, help="index.json of cases")
    parser.add_argument("--only", default="", help="the type of this name")
    parser.add_argument("--path", default="", help="the checkpoint in this folder below the cases, where a type has several")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    rows = {row["type"]: row for row in json.loads(options.file.read_text())} if options.file.exists() else {}
    for index in options.indexes:
        for recording in json.loads(index.read_text()):
            kind = recording["model_type"]
            unasked = options.only not in ("", kind) or options.path not in ("", recording["path"])
            if unasked or kind in rows or kind in WITHOUT_KEYS or (recording["feature"] != FEATURE and not options.path):
                continue
            folder = index.parent / recording["path"]
            try:
                row = recorded(options.command, recording, folder)
            except (Exception, SystemExit) as error:  # the next type is another question
                print(f"left out: {kind}: {str(error).splitlines()[0] if str(error) else type(error).__name__}", file=sys.stderr, flush=True)
                continue
            rows[kind] = {"type": kind, "case": f"{index.parent.parent.name}/cases/{recording['path']}",
                          **({"drawn": drawn} if (drawn := recording.get("weights", {}).get("synth")) else {}), "transformers": transformers.__version__, **row}
            print(f"recorded: {kind}", flush=True)
            lines = ",\n".join(json.dumps(rows[name]) for name in sorted(rows))
            options.file.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        main()
