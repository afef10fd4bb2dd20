#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long ONNX Runtime takes for encoder-decoders as onnxport and as optimum write them: the encoder, the decoder's first
step, and a cached step; and how large the files are.

    PEERS/optimum/bin/python benchmarks/seq2seq.py --onnxport build/bin/onnxport [MODEL.json...]

Of each config a random checkpoint is made. Both files of a graph are loaded at once and run in turn; a row tells the medians
and the median of the rounds' ratios. Ends with 1 where a file of onnxport's is less than 0.97 times as fast, which is what
two loads of one file may differ by, or the folder larger.
"""

import argparse
import pathlib
import tempfile

import numpy

import in_turn

MODELS = pathlib.Path(__file__).parent / "models"
USUAL = [MODELS / f"{name}.json" for name in ("whisper-small", "bart-large", "m2m_100-418m")]
GRAPHS = {"encoder": "encoder_model.onnx", "first step": "decoder_model.onnx", "cached step": "decoder_with_past_model.onnx"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=pathlib.Path, default=USUAL, help="config.json of each model")
    in_turn.add_arguments(parser)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--source", type=int, default=128, help="tokens of the encoder's text")
    parser.add_argument("--prompt", type=int, default=4, help="tokens of the first step")
    parser.add_argument("--past", type=int, default=64, help="tokens before a cached step")
    parser.add_argument("--scratch", type=pathlib.Path, help="where checkpoints and files are made, and stay")
    return parser.parse_args()


class Model(in_turn.Checkpoint):
    """A random checkpoint, and the folders that both exporters make of it."""

    def __init__(self, path, options, scratch):
        self.hears = "num_mel_bins" in path.read_text()
        super().__init__(path, options, scratch, "speech2seq-lm-with-past" if self.hears else "seq2seq-lm-with-past")

    def folders(self):
        task = "automatic-speech-recognition-with-past" if self.hears else "text2text-generation-with-past"
        return self.exported("--layout", "split"), self.peers(task)

    def inputs(self, session, options, new):
        """Of a graph; `new`: the decoder's tokens in this step."""
        draw, config, batch = numpy.random.default_rng(0), self.config, options.batch
        source = config["max_source_positions"] if self.hears else options.source
        heads, width = config["decoder_attention_heads"], config["d_model"]
        has_past = any(entry.name.startswith("past") for entry in session.get_inputs())
        is_encoder = not any(entry.name == "encoder_hidden_states" for entry in session.get_inputs()) and not has_past

        def of(name):
            if name.startswith("past_key_values"):
                length = source if ".encoder." in name else options.past
                return draw.standard_normal((batch, heads, length, width // heads), numpy.float32)
            if name == "input_ids":
                return draw.integers(5, config["vocab_size"], (batch, source if is_encoder else new))
            if name == "input_features":
                return draw.standard_normal((batch, config["num_mel_bins"], 2 * source), numpy.float32)
            if name == "encoder_hidden_states":
                return draw.standard_normal((batch, source, width), numpy.float32)
            if name == "cache_position":
                return numpy.arange(options.past, options.past + new)
            return numpy.ones((batch, source), numpy.int64)  # a mask

        return {name: of(name) for name in sorted(entry.name for entry in session.get_inputs())}


def size_of(folder):
    return sum(file.stat().st_size for file in folder.iterdir() if ".onnx" in file.name)


def main():
    options = arguments()
    behind = 0
    print(f"{'model':14} {'graph':12} {'onnxport':>11} {'optimum':>11} {'times as fast':>14} {'apart':>8}")
    with tempfile.TemporaryDirectory(prefix="onnxport-seq2seq-") as made:
        for path in options.configs:
            model = Model(path, options, options.scratch or pathlib.Path(made))
            folders = model.folders()
            for graph, file in GRAPHS.items():
                new = options.prompt if graph == "first step" else 1
                own, other, ratio, apart = in_turn.compared([folder / file for folder in folders],
                                                            lambda session: model.inputs(session, options, new), options)
                behind += ratio < in_turn.EVEN
                print(f"{model.name:14} {graph:12} {own * 1e3:8.1f} ms {other * 1e3:8.1f} ms {ratio:14.2f} {apart:8.0e}"
                      f"{'' if ratio >= in_turn.EVEN else '  slower'}", flush=True)
            sizes = [size_of(folder) / 1e6 for folder in folders]
            behind += sizes[0] > sizes[1]
            print(f"{model.name:14} {'size':12} {sizes[0]:8.1f} MB {sizes[1]:8.1f} MB", flush=True)
    return 1 if behind else 0


if __name__ == "__main__":
    raise SystemExit(main())
