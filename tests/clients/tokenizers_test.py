# SPDX-License-Identifier: Apache-2.0
"""tokenizer.json as packages/tokenizers makes it of a vocabulary: the tokens of the same text, and of pairs of texts, are those of
transformers' own fast tokenizer of that class, or of its slow one where it has no other. Models of sentencepiece are trained here."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import sentencepiece
import transformers
from tokenizers import Tokenizer
from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

TEXTS = ["the quickly a, b! héllo 中文 A  b", "ab abc a  abc! <mask> x [MASK] the", " ab", "", "a<s>b [SEP] ab"]
BRACKETS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ANGLES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>", "[UNK]"]
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
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

# Class, how its model of sentencepiece is trained, and what it is made with. Numbers of control symbols are those of published ones.
UNIGRAM = {"model_type": "unigram", "vocab_size": 600, "unk_id": 0, "bos_id": 1, "eos_id": 2}
ALBERT = {**UNIGRAM, "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "user_defined_symbols": "[CLS],[SEP],[MASK]"}
PIECES = [
    ("T5Tokenizer", "spiece.model", {**UNIGRAM, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, {}),
    ("T5Tokenizer", "spiece.model", {**UNIGRAM, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, {"extra_ids": 7, "legacy": False}),
    ("XLMRobertaTokenizer", "sentencepiece.bpe.model", UNIGRAM, {}),
    ("CamembertTokenizer", "sentencepiece.bpe.model", UNIGRAM, {}),
    ("AlbertTokenizer", "spiece.model", ALBERT, {}),
    ("AlbertTokenizer", "spiece.model", ALBERT, {"do_lower_case": False, "keep_accents": True}),
    ("BigBirdTokenizer", "spiece.model", {**UNIGRAM, "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3,
                                          "control_symbols": "[CLS],[SEP],[MASK]"}, {}),
    ("LlamaTokenizer", "tokenizer.model", {**UNIGRAM, "model_type": "bpe", "byte_fallback": True,
                                           "normalization_rule_name": "identity", "remove_extra_whitespaces": False}, {}),
    ("LlamaTokenizer", "tokenizer.model", {**UNIGRAM, "model_type": "bpe", "byte_fallback": True,
                                           "normalization_rule_name": "identity", "remove_extra_whitespaces": False},
     {"legacy": False, "add_eos_token": True}),
    ("SpeechT5Tokenizer", "spm_char.model", {"model_type": "char", "vocab_size": 90, "bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3}, {}),
    ("MarianTokenizer", "source.spm", UNIGRAM, {}),
]
# Class, and the tokens of its vocabulary.
LETTERS = [("EsmTokenizer", ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO", ".", "-", "<null_1>", "<mask>"], {}),
           ("Wav2Vec2CTCTokenizer", ["<pad>", "<s>", "</s>", "<unk>", "|", *"etaonihsrdlumwcfgypbvk'xjqz"], {}),
           ("VitsTokenizer", ["_", " ", *"abcdefghijklmnopqrstuvwxyz'-é", "<unk>"], {"pad_token": "_", "phonemize": False}),
           ("VitsTokenizer", ["_", " ", *"abcdefghijklmnopqrstuvwxyz'-é", "<unk>"],
            {"pad_token": "_", "phonemize": False, "add_blank": False})]
LETTER_TEXTS = ["MKTAYIAKQR", "MK TA<mask>YI", "hello world it's", "one  two", "LAGX1Z", "", "Hello, Wörld é!"]


def sample(seed, count):
    """Lines of the documentation, some of them changed: other letters, digits, spaces, special tokens in their midst."""
    drawn = random.Random(seed)
    lines = [line.strip() for file in sorted((REPOSITORY / "docs").glob("*.md")) for line in file.read_text().splitlines() if line.strip()]
    chosen = [drawn.choice(lines) for _ in range(count)]
    extras = ["  two  spaces ", " ends ", "ﬁne Ⅳ ½ ﾃｽﾄ", "naïve ÉCOLE", "日本語 text", "1,000, 2,", "a\tb\nc", "</s>", "<mask>", "[SEP]", "😀", "``q''", "Ж"]
    return [line if drawn.random() < 0.5 else f"{line[:20]}{drawn.choice(extras)}{line[20:50]}" for line in chosen] + extras + ["", " "]


def write_pieces(folder, row):
    """The file of the model; Marian's vocabulary has its own numbers, and tokens of another language."""
    name, file, training, options = row
    lines = [line for line in sample(1, 4000) if line.strip()]
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(lines))
    sentencepiece.SentencePieceTrainer.train(input=str(corpus), model_prefix=str(folder / "trained"), minloglevel=2,
                                             hard_vocab_limit=False, **training)
    corpus.unlink()
    (folder / "trained.vocab").unlink()
    (folder / "trained.model").rename(folder / file)
    if name != "MarianTokenizer":
        return getattr(transformers, name)(str(folder / file), **options)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / file))
    tokens = [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())]
    tokens = ["</s>", "<unk>", *(token for token in tokens if token not in ("</s>", "<unk>", "<s>")), "▁fremd", ">>de<<", "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "target.spm").write_bytes((folder / file).read_bytes())
    return transformers.MarianTokenizer(str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"))


def write_letters(folder, row):
    name, tokens, options = row
    file = folder / ("vocab.txt" if name == "EsmTokenizer" else "vocab.json")
    file.write_text("\n".join(tokens) if name == "EsmTokenizer" else json.dumps({token: number for number, token in enumerate(tokens)}))
    return getattr(transformers, name)(str(file), **options)


def write_words(folder, special):
    words = ["the", "quick", "##ly", "a", "##b", ",", "!", "h", "##e", "##l", "##o", "中", "A", "b"]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]) + "\n")
    return [folder / "vocab.txt"]


def write_pairs(folder, special):
    tokens = [*special, *sorted(bytes_to_unicode().values()), "ab", "Ġa", "abc", "Ġab"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\nĠ a\nab c\nĠa b\n")
    return [folder / "vocab.json", folder / "merges.txt"]


def differences(name, folder, made, texts):
    """Where the two give other tokens."""
    original = getattr(transformers, name + "Fast", None) or getattr(transformers, name)
    original = original.from_pretrained(folder)
    for text in texts:
        for other in (None, "ab the") if name not in ("VitsTokenizer", "Wav2Vec2CTCTokenizer") else (None,):
            expected = original(text, other)["input_ids"] if other else original(text)["input_ids"]
            found = made.encode(text, other).ids
            if found != expected:
                yield f"{text!r} and {other!r}: {found}, expected {expected}"


def checked():
    """Of each row: the class, what it is made with, a function that writes its files into a folder, and texts."""
    for write, rows in ((write_words, WORDS), (write_pairs, PAIRS)):
        for name, special, options in rows:
            yield name, options, lambda folder, n=name, w=write, s=special, o=options: getattr(transformers, n)(
                *map(str, w(folder, s)), **o), TEXTS
    for row in PIECES:
        yield row[0], row[3], lambda folder, r=row: write_pieces(folder, r), [*TEXTS, *sample(2, 400)]
    for row in LETTERS:
        yield row[0], row[2], lambda folder, r=row: write_letters(folder, r), LETTER_TEXTS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="*")  # as all checks are called
    parser.add_argument("--only", default="", help="classes whose name contains this")
    arguments = parser.parse_args()
    command, failed = arguments.command, 0
    with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "config.json").write_text(json.dumps(CONFIG))
        subprocess.run([command, "synth", scratch / "config.json", scratch / "model", "--quiet"], check=True)
        files = list((scratch / "model").iterdir())
        for number, (name, options, write, texts) in enumerate(checked()):
            if arguments.only not in name:
                continue
            folder, output = scratch / f"model-{number}", scratch / f"out-{number}"
            folder.mkdir()
            for file in files:
                (folder / file.name).symlink_to(file)
            write(folder).save_pretrained(folder)
            subprocess.run([command, "export", "-m", folder, "--layout", "all", "--no-validate", "--quiet", output], check=True)
            found = list(differences(name, folder, Tokenizer.from_file(str(output / "tokenizer.json")), texts))
            failed += bool(found)
            told = f"FAILED: {name} {options or ''} {len(found)} of {len(texts)}: {'; '.join(found[:3])}"
            print(told if found else f"passed: {name} {options or ''} {len(texts)} texts", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
