#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long ONNX Runtime takes for image models as onnxport and as optimum write them, and how large the files are.

    PEERS/optimum/bin/python benchmarks/images.py --onnxport build/bin/onnxport [MODEL.json...]

Of each config a random checkpoint is made. Both files of a model are loaded at once and run in turn, each round the other
way about, so that a machine's drift meets both alike; a row tells the medians and the median of the rounds' ratios. Ends
with 1 where a file of onnxport's is larger, or slower by more than such a run's spread.
"""

import argparse
import collections
import dataclasses
import gc
import json
import pathlib
import tempfile

import numpy
import onnx

import in_turn

MODELS = pathlib.Path(__file__).parent / "models"
NAMES = ("swin-tiny", "segformer-b0", "detr-resnet-50", "dpt-hybrid", "depth-anything-small", "dinov2-base")
USUAL = [MODELS / f"{name}.json" for name in NAMES]


@dataclasses.dataclass
class Kind:
    """How a type of model is compared: onnxport's feature, optimum's task, and the size that its processor makes of an image."""

    feature: str
    task: str
    size: tuple[int, int]
    like: str | None = None  # the type as which optimum exports it, of one that it does not know


KINDS = {
    "swin": Kind("image-classification", "image-classification", (224, 224)),
    "segformer": Kind("semantic-segmentation", "semantic-segmentation", (512, 512)),
    "detr": Kind("object-detection", "object-detection", (800, 1066)),
    "dpt": Kind("depth-estimation", "depth-estimation", (384, 384)),
    "depth_anything": Kind("depth-estimation", "depth-estimation", (518, 518), like="dpt"),
    "dinov2": Kind("default", "feature-extraction", (224, 224)),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=pathlib.Path, default=USUAL, help="config.json of each model")
    in_turn.add_arguments(parser)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--scratch", type=pathlib.Path, help="where checkpoints and files are made, and stay")
    return parser.parse_args()


class Model(in_turn.Checkpoint):
    """A random checkpoint, and the files that both exporters make of it."""

    kinds = KINDS

    def __init__(self, path, options, scratch):
        self.kind = self.kinds[json.loads(path.read_text())["model_type"]]
        is_new = not (scratch / path.stem).exists()
        super().__init__(path, options, scratch, self.kind.feature)
        if is_new:
            self.redraw()

    def redraw(self):
        """As the model's class draws its weights, since numbers of one spread grow without bound through dozens of
        convolutions; and none at 0 or 1 alone, of which optimum writes one for all."""
        import torch
        import transformers

        torch.manual_seed(0)
        original = getattr(transformers, self.config["architectures"][0])
        model = original(original.config_class(**self.config))
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if tensor.is_floating_point() and not name.endswith("running_var"):
                    tensor += 0.02 * torch.randn(tensor.shape)
        model.save_pretrained(self.checkpoint)
        # Where there is none, optimum makes no images.
        processor = {"image_processor_type": "ViTImageProcessor", "size": self.sizes}
        (self.checkpoint / "preprocessor_config.json").write_text(json.dumps(processor))

    @property
    def sizes(self):
        return dict(zip(("height", "width"), self.kind.size))

    def files(self):
        """Those of both, optimum's made with images of the size that is compared."""
        return [self.exported() / "model.onnx", self.peers(self.kind.task, **self.sizes, **self.row()) / "model.onnx"]

    def row(self):
        """What tells optimum of a type that it does not know."""
        if not self.kind.like:
            return {}
        import optimum.exporters.onnx.model_configs  # noqa: F401, which fills the table
        from optimum.exporters.tasks import TasksManager
        from transformers import AutoConfig

        row = TasksManager.get_exporter_config_constructor("onnx", model_type=self.kind.like, task=self.kind.task,
                                                           library_name="transformers")
        return {"custom_onnx_configs": {"model": row(AutoConfig.from_pretrained(self.checkpoint), task=self.kind.task)}}

    def inputs(self, session, batch):
        """A random image for each row, of which every pixel counts."""
        draw = numpy.random.default_rng(0)
        given = {"pixel_values": draw.standard_normal((batch, 3, *self.kind.size), numpy.float32),
                 "pixel_mask": numpy.ones((batch, *self.kind.size), numpy.int64)}
        return {entry.name: given[entry.name] for entry in session.get_inputs()}


def megabytes(file):
    return sum(part.stat().st_size for part in file.parent.glob("*.onnx*")) / 1e6


def nodes(file):
    """How many, and of which of them a shape is made."""
    made = collections.Counter(node.op_type for node in onnx.load(file, load_external_data=False).graph.node)
    return made.total(), made["Shape"]


def main():
    options = arguments()
    missed = 0
    print("of two figures the first is onnxport's")
    print(f"{'model':20} {'size':>9} {'ms':>14} {'times as fast':>14} {'apart':>7} {'MB':>15} {'nodes':>11} {'Shape':>7}")
    with tempfile.TemporaryDirectory(prefix="onnxport-images-") as made:
        for path in options.configs:
            model = Model(path, options, options.scratch or pathlib.Path(made))
            files = model.files()
            own, other, ratio, apart = in_turn.compared(files, lambda session: model.inputs(session, options.batch), options)
            sizes, counts = [megabytes(file) for file in files], [nodes(file) for file in files]
            worse = [word for word, holds in (("slower", ratio < in_turn.EVEN), ("larger", sizes[0] > sizes[1])) if holds]
            missed += bool(worse)
            print(f"{model.name:20} {'x'.join(map(str, model.kind.size)):>9} {own * 1e3:6.0f} {other * 1e3:7.0f} {ratio:14.2f}"
                  f" {apart:7.0e} {sizes[0]:7.1f} {sizes[1]:7.1f} {counts[0][0]:5} {counts[1][0]:5} {counts[0][1]:3}"
                  f" {counts[1][1]:3}{'  ' + ' and '.join(worse) if worse else ''}", flush=True)
            gc.collect()
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
