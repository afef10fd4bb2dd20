# SPDX-License-Identifier: Apache-2.0
"""sentence-transformers with backend="onnx", and FastEmbed with a custom model, on one folder: the vectors of
sentence-transformers itself."""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy  # noqa: E402
from fastembed import TextEmbedding  # noqa: E402
from fastembed.common.model_description import ModelSource, PoolingType  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

TEXTS = ["A man is eating food.", "The girl carries a baby, which is crying loudly today.", "x"]
TOLERANCE = 1e-5
SKIPPED = 77


def by_fastembed(folder, width):
    TextEmbedding.add_custom_model(model="onnxport/exported", pooling=PoolingType.MEAN, normalization=True, dim=width,
                                   sources=ModelSource(hf="onnxport/exported"), model_file="onnx/model.onnx")
    return numpy.array(list(TextEmbedding("onnxport/exported", specific_model_path=str(folder)).embed(TEXTS)))


def by_sentence_transformers(folder):
    options = {"file_name": "onnx/model.onnx", "provider": "CPUExecutionProvider"}
    return SentenceTransformer(str(folder), backend="onnx", model_kwargs=options).encode(TEXTS)


def main(command):
    checkpoint = pathlib.Path(os.environ["ONNXPORT_DEPS"]) / "all-MiniLM-L6-v2"
    if not checkpoint.is_dir():
        print(f"skipped: there is no {checkpoint}; scripts/demo fetches it")
        return SKIPPED
    expected = SentenceTransformer(str(checkpoint)).encode(TEXTS)
    failed = 0
    for feature in ("default", "sentence-embedding"):
        with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
            folder = pathlib.Path(scratch) / "all"
            words = ["export", "-m", checkpoint, "--feature", feature, "--layout", "all", "--no-validate", "--quiet"]
            subprocess.run([command, *words, folder], check=True)
            answers = {"sentence-transformers": by_sentence_transformers(folder)}
            if feature == "default":  # a custom model is registered once a process
                answers["FastEmbed"] = by_fastembed(folder, expected.shape[1])
        for client, found in answers.items():
            difference = float(numpy.abs(found - expected).max())
            passes = difference <= TOLERANCE
            failed += not passes
            print(f"{'passed' if passes else 'FAILED'}: {client}, {feature}: largest difference {difference:.1e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
