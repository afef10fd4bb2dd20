# SPDX-License-Identifier: Apache-2.0
"""tokenizer.json as packages/tokenizers makes it of a vocabulary: the tokens of the same text, and of pairs of texts, are those of
transformers' own fast tokenizer of that class."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import transformers
from tokenizers import Tokenizer
from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

TEXTS = ["the quickly a, b! héllo 中文 A  b", "ab abc a  abc! <mask> x [MASK] the", " ab", "", "a<s>b [SEP] ab"]
BRACKETS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ANGLES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>", "[UNK]"]
CONFIG = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 300,
          "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16}

# Class, its tokens in brackets, and what it is made with.
WORDS = [("BertTokenizer", BRACKETS, {}), ("BertTokenizer", BRACKETS, {"do_lower_case": False}),
         ("BertTokenizer", BRACKETS, {"strip_accents": False, "tokenize_chinese_chars": False}),
         ("BertTokenizer", [*BRACKETS, "[X]"], {"cls_token": "[X]"}), ("MPNetTokenizer", ANGLES, {}),
         *((name + "Tokenizer", BRACKETS, {}) for name in ("ConvBert", "DistilBert", "DPRReader", "DPRContextEncoder",
                                                           "DPRQuestionEncoder", "Electra", "LayoutLM", "Lxmert",
                                                           "MobileBert", "SqueezeBert"))]
PAIRS = [*((name + "Tokenizer", ANGLES, {}) for name in ("Bart", "CodeGen", "GPT2", "LED", "Longformer", "Mvp", "Roberta")),
         ("RobertaTokenizer", ANGLES, {"add_prefix_space": True, "cls_token": "[UNK]"}),
         ("GPT2Tokenizer", ANGLES, {"add_bos_token": True, "bos_token": "</s>"})]


def write_words(folder, special):
    words = ["the", "quick", "##ly", "a", "##b", ",", "!", "h", "##e", "##l", "##o", "中", "A", "b"]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]) + "\n")
    return [folder / "vocab.txt"]


def write_pairs(folder, special):
    tokens = [*special, *sorted(bytes_to_unicode().values()), "ab", "Ġa", "abc", "Ġab"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\nĠ a\nab c\nĠa b\n")
    return [folder / "vocab.json", folder / "merges.txt"]


def differences(name, folder, made):
    """Where the two give other tokens."""
    original = getattr(transformers, name + "Fast").from_pretrained(folder)
    for text in TEXTS:
        for other in (None, "ab the"):
            expected = original(text, other)["input_ids"]
            found = made.encode(text, other).ids
            if found != expected:
                yield f"{text!r} and {other!r}: {found}, expected {expected}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="*")  # as all checks are called
    command = parser.parse_args().command
    failed = 0
    with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "config.json").write_text(json.dumps(CONFIG))
        subprocess.run([command, "synth", scratch / "config.json", scratch / "model", "--quiet"], check=True)
        files = list((scratch / "model").iterdir())
        for number, (write, (name, special, options)) in enumerate(
                [(write_words, row) for row in WORDS] + [(write_pairs, row) for row in PAIRS]):
            folder, output = scratch / f"model-{number}", scratch / f"out-{number}"
            folder.mkdir()
            for file in files:
                (folder / file.name).symlink_to(file)
            getattr(transformers, name)(*map(str, write(folder, special)), **options).save_pretrained(folder)
            subprocess.run([command, "export", "-m", folder, "--layout", "all", "--no-validate", "--quiet", output], check=True)
            found = list(differences(name, folder, Tokenizer.from_file(str(output / "tokenizer.json"))))
            failed += bool(found)
            print(f"{'FAILED' if found else 'passed'}: {name} {options or ''} {'; '.join(found)}".rstrip(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
