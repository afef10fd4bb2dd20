# SPDX-License-Identifier: Apache-2.0
"""The recorded checkpoints, and which of them a client can run."""
import dataclasses
import json
import pathlib

# A recorded checkpoint of one of these types must export for each of its features below.
ENCODERS = {"albert", "bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"}
DECODERS = {"gpt2", "llama", "mistral", "qwen2", "qwen3"}
SEQ2SEQ = {"bart", "marian", "mbart", "mt5", "t5"}
VISION = {"beit", "convnext", "deit", "resnet", "vit"}

FEATURES = {
    "causal-lm-with-past": DECODERS,
    "seq2seq-lm-with-past": SEQ2SEQ,
    "masked-lm": ENCODERS,
    "sequence-classification": ENCODERS | DECODERS,
    "token-classification": ENCODERS | DECODERS,
    "multiple-choice": ENCODERS,
    "question-answering": ENCODERS,
    "image-classification": VISION,
}
# What the clients' own library does not load, by type and the version that wrote it.
LEFT_OUT = {("beit", "4.30.2"): "transformers 4.57 refuses the out_indices of its config"}


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One recorded checkpoint and the feature that it was recorded for."""

    folder: pathlib.Path
    model_type: str
    architecture: str
    feature: str
    atol: float
    version: str
    drawn: bool

    @property
    def name(self):
        return f"{self.folder.parent.name}/{self.folder.name} {self.feature}"

    @property
    def left_out(self):
        """Why no client is tried on this checkpoint, or None."""
        if self.drawn:
            return "its weights are drawn by the plugin's own test"
        return LEFT_OUT.get((self.model_type, self.version))


def recorded(roots):
    """Every checkpoint that the index files below `roots` list and that some client can run."""
    for root in map(pathlib.Path, roots):
        for row in json.loads((root / "index.json").read_text()):
            model_type = row["model_type"].replace("_", "-")
            if row["path"] and model_type in FEATURES.get(row["feature"], ()):
                yield Checkpoint(root / row["path"], model_type, row["architecture"], row["feature"], row["atol"],
                                 row["transformers_version"], "weights" in row)
