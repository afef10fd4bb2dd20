# SPDX-License-Identifier: Apache-2.0
"""onnxruntime-genai loads the folder of every recorded decoder with a cache, of whatever type, also of those that read images, and its logits are those that
were recorded of the original. Needs no torch: `genai_types_test.py ONNXPORT GOLDENS... [--only NAME]`.

A type that genai cannot run is one that onnxport refuses, with the reason: it is listed and counted apart."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnxruntime_genai

from program import draw

FEATURE = "causal-lm-with-past"
OTHER = "of another feature"  # a type that is recorded as something else: its config alone is taken, and weights are drawn
SEES = "vision2seq-lm"  # recorded as one graph; genai runs its parts, with a cache


def tensors_in(path):
    """The tensors of a safetensors file of f32 and i64."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    kinds = {"F32": numpy.float32, "I64": numpy.int64, "I32": numpy.int32, "BOOL": numpy.bool_}
    found = {}
    for name, row in json.loads(raw[8:8 + length]).items():
        if name != "__metadata__" and row["dtype"] in kinds:
            begin, end = row["data_offsets"]
            found[name] = numpy.frombuffer(raw[8 + length + begin:8 + length + end], kinds[row["dtype"]]).reshape(row["shape"])
    return found


def recorded_logits(folder):
    """Ids i64[sequence] of a recorded row without padding and without a past, and its logits f32[sequence, vocabulary]."""
    for case in sorted(folder.glob("case-causal-lm-*.safetensors")):
        tensors = tensors_in(case)
        if "in/input_ids" not in tensors or "out/logits" not in tensors:
            continue
        ids, logits = tensors["in/input_ids"], tensors["out/logits"]
        mask = tensors.get("in/attention_mask", numpy.ones_like(ids))
        given = {name.removeprefix("in/") for name in tensors if name.startswith("in/")}
        if logits.shape[:2] != ids.shape or given - {"input_ids", "attention_mask", "position_ids"}:
            continue
        for row in range(ids.shape[0]):
            if mask.shape == ids.shape and mask[row].all():
                return ids[row], logits[row]
    return None


def recorded_image(folder, config):
    """What is given of a text with an image, and its logits f32[1, sequence, vocabulary]."""
    tensors = tensors_in(folder / "case-vision2seq-lm-0.safetensors")
    ids = tensors.pop("in/input_ids")
    image = config.get("image_token_id", config.get("image_token_index"))
    given = {name.removeprefix("in/"): value for name, value in tensors.items()
             if name.startswith("in/") and name not in ("in/attention_mask", "in/position_ids")}
    given = {"input_ids": ids.astype(numpy.int32), "num_image_tokens": numpy.array([(ids == image).sum()]), **given}
    return given, tensors.get("in/position_ids"), tensors["out/logits"]


def difference_with_image(loaded, folder):
    given, positions, expected = recorded_image(folder, json.loads((folder / "config.json").read_text()))
    parameters = onnxruntime_genai.GeneratorParams(loaded)
    length = expected.shape[1] + 3
    parameters.set_search_options(do_sample=False, max_length=length, min_length=length)
    generator = onnxruntime_genai.Generator(loaded, parameters)
    tensors = onnxruntime_genai.NamedTensors()
    for name, value in given.items():
        tensors[name] = value
    generator.set_inputs(tensors)
    found = generator.get_output("logits")
    counted = None if positions is None else generator.get_input("position_ids")
    while not generator.is_done():
        generator.generate_next_token()
    if positions is not None and not numpy.array_equal(positions, counted):
        return numpy.nan, "it counts other positions than were recorded: generated, and not compared"
    return float(numpy.abs(found[0] - expected[0, -found.shape[1]:]).max()), ""


def check(command, row, folder):
    """The largest difference, or why there is none: (difference, reason)."""
    with tempfile.TemporaryDirectory(prefix="onnxport-genai-") as scratch:
        scratch = pathlib.Path(scratch)
        drawn = row.get("weights", {}).get("synth")
        model = folder
        if row["feature"] == OTHER:
            drawn = {"feature": FEATURE}
        if drawn:
            model = scratch / "model"
            draw(command, folder / "config.json", model, drawn)
        feature = SEES + "-with-past" if row["feature"] == SEES else FEATURE
        words = ["export", "-m", model, "--feature", feature, "--layout", "genai", "--no-validate", "--json"]
        done = subprocess.run([command, *words, scratch / "out"], capture_output=True, text=True)
        if done.returncode:
            error = json.loads(done.stdout).get("error", {})
            return None, f"status {done.returncode}: {error.get('message', done.stderr.strip())}"
        loaded = onnxruntime_genai.Model(str(scratch / "out"))
        if row["feature"] == SEES:
            return difference_with_image(loaded, folder)
        case = recorded_logits(folder) if row["feature"] == FEATURE else None
        parameters = onnxruntime_genai.GeneratorParams(loaded)
        ids = case[0] if case else numpy.array([3, 4, 5])
        written = json.loads((scratch / "out/genai_config.json").read_text())
        length = min(len(ids) + 3, written["model"]["context_length"])
        parameters.set_search_options(do_sample=False, max_length=length, min_length=length)
        generator = onnxruntime_genai.Generator(loaded, parameters)
        generator.append_tokens([ids.tolist()])
        found = generator.get_output("logits")
        while not generator.is_done():
            generator.generate_next_token()
        if case is None:
            return numpy.nan, "no row is recorded without a past: generated, and not compared"
        return float(numpy.abs(found[0] - case[1][-found.shape[1]:]).max()), ""


def rows_of(command, roots):
    """A row and its folder for each recorded checkpoint that generates, and for each type that can and is not among them."""
    missing = {name.replace("_", "-") for name, features in
               json.loads(subprocess.run([command, "features", "--json"], check=True, capture_output=True, text=True).stdout)["model_types"].items()
               if FEATURE in features}
    others = {}
    for root in map(pathlib.Path, roots):
        seen = set()
        for row in json.loads((root / "index.json").read_text()):
            name = row["model_type"].replace("_", "-")
            if not row["path"] or row["path"] in seen:
                continue
            if row["feature"] == FEATURE or (row["feature"] == SEES and not row.get("part")):
                seen.add(row["path"])
                missing -= {name} if row["feature"] == FEATURE else set()
                yield row, root / row["path"]
            elif name not in others or row["feature"] == "causal-lm":
                others[name] = {**row, "feature": OTHER}, root / row["path"]
    for name in sorted(missing):
        yield others[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="+", help="folders with an index.json")
    parser.add_argument("--only", default="", help="checkpoints whose path contains this")
    parser.add_argument("--others", action="store_true", help="only types that are recorded as something else")
    arguments = parser.parse_args()
    counts = {"passed": 0, "generated": 0, "refused": 0, "FAILED": 0}
    for row, folder in rows_of(arguments.command, arguments.goldens):
        if arguments.only not in row["path"] or (arguments.others and row["feature"] != OTHER):
            continue
        try:
            difference, reason = check(arguments.command, row, folder)
            if difference is None:
                result = "refused" if "onnxruntime-genai" in reason else "FAILED"
            elif numpy.isnan(difference) and reason:
                result = "generated"
            else:
                result = "passed" if difference <= row["atol"] else "FAILED"
        except Exception as error:  # what the next one does is another question
            difference, reason, result = None, str(error).splitlines()[0], "FAILED"
        counts[result] += 1
        told = "" if difference is None or reason else f" largest difference {difference:.1e}"
        print(f"{result}: {row['path']}:{told} {reason}".rstrip(), flush=True)
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    return 1 if counts["FAILED"] or not counts["passed"] + counts["generated"] else 0


if __name__ == "__main__":
    sys.exit(main())
