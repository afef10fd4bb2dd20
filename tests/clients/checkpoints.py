# SPDX-License-Identifier: Apache-2.0
"""The recorded checkpoints, and which of them a client can run."""
import contextlib
import dataclasses
import json
import pathlib
import tempfile

from program import draw

# A recorded checkpoint of one of these types must export for each of its features below.
ENCODERS = {"albert", "bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"}
DECODERS = {"gpt2", "llama", "mistral", "qwen2", "qwen3"}
SEQ2SEQ = {"bart", "bigbird-pegasus", "blenderbot", "blenderbot-small", "encoder-decoder", "led", "longt5", "m2m-100",
           "marian", "mbart", "mt5", "mvp", "nllb-moe", "pegasus", "pegasus-x", "plbart", "prophetnet", "t5", "t5gemma",
           "umt5"}
SPEECH2SEQ = {"moonshine", "speech-to-text", "speecht5", "whisper"}
VISION2SEQ = {"pix2struct", "vision-encoder-decoder"}
VISION = {"beit", "convnext", "deit", "resnet", "vit"}

FEATURES = {
    "causal-lm-with-past": DECODERS,
    "seq2seq-lm-with-past": SEQ2SEQ,
    "speech2seq-lm-with-past": SPEECH2SEQ,
    "vision2seq-lm-with-past": VISION2SEQ,
    "vision2seq-lm": {"florence2"},
    "text-to-audio": {"musicgen"},
    "masked-lm": ENCODERS,
    "sequence-classification": ENCODERS | DECODERS,
    "token-classification": ENCODERS | DECODERS,
    "multiple-choice": ENCODERS,
    "question-answering": ENCODERS,
    "image-classification": VISION,
}
# Features whose drawn checkpoints are made and run: their clients call several graphs in turn.
GENERATES = {"seq2seq-lm-with-past", "speech2seq-lm-with-past", "vision2seq-lm-with-past"}
# What the clients' own library does not load, by type and the version that wrote it.
LEFT_OUT = {("beit", "4.30.2"): "transformers 4.57 refuses the out_indices of its config"}


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One recorded checkpoint and the feature that it was recorded for."""

    name: str
    folder: pathlib.Path
    model_type: str
    architecture: str
    feature: str
    atol: float
    version: str
    drawn: dict  # of a plugin's own case, which holds no weights: what `onnxport synth` draws them by; else empty

    @property
    def left_out(self):
        """Why no client is tried on this checkpoint, or None."""
        if self.drawn and self.feature not in GENERATES:
            return "its weights are drawn by the plugin's own test"
        return LEFT_OUT.get((self.model_type, self.version))

    @property
    def cases(self):
        """The files of its recorded inputs and answers."""
        return sorted(self.folder.glob("case-*.safetensors"))

    @contextlib.contextmanager
    def at_hand(self, command):
        """The same with its weights in the folder."""
        if not self.drawn:
            yield self
            return
        with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
            folder = pathlib.Path(scratch) / "checkpoint"
            draw(command, self.folder / "config.json", folder, self.drawn)
            for case in self.cases:
                (folder / case.name).symlink_to(case)
            yield dataclasses.replace(self, folder=folder)


def recorded(roots):
    """Every checkpoint that the index files below `roots` list and that some client can run."""
    for root in map(pathlib.Path, roots):
        seen = set()  # a model of parts has a row for each
        for row in json.loads((root / "index.json").read_text()):
            model_type, key = row["model_type"].replace("_", "-"), (row["path"], row["feature"])
            if row["path"] and model_type in FEATURES.get(row["feature"], ()) and key not in seen:
                seen.add(key)
                yield Checkpoint(f"{row['path']} {row['feature']}", (root / row["path"]).resolve(), model_type,
                                 row["architecture"], row["feature"], row["atol"], row["transformers_version"],
                                 row.get("weights", {}).get("synth", {}))
