# SPDX-License-Identifier: Apache-2.0
"""Exports recorded checkpoints with one exporter and has the recorded outputs of the original models judge its files.

Writes a table, a row a record: model type, class, the version of transformers that saved it, feature, what came of it
(right, wrong, fails, none) and why. A row that is there already is kept, so that a run can be continued.
"""

import argparse
import json
import multiprocessing
import pathlib
import re
import shutil
import sys
import tempfile

import judge
import peers

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "record"))

import weights  # noqa: E402

COLUMNS = ("model_type", "architecture", "transformers_version", "feature", "result", "detail")


def records(folders, types, features):
    """One record a model type, feature and version that saved it, of all indices."""
    seen = set()
    for folder in folders:
        for record in json.loads((folder / "index.json").read_text()):
            key = (record["model_type"], record["feature"], record["transformers_version"].split(".")[0])
            if (types and record["model_type"] not in types) or (features and record["feature"] not in features):
                continue
            if key in seen or record.get("part") or not record["cases"]:
                continue
            seen.add(key)
            yield folder, record


def tried(peer, folder, record, draws, tell):
    """In a process of its own, since exporters crash, hang and change the process that they run in."""
    checkpoint = folder / record["path"]
    cases = [checkpoint / name for name in record["cases"]]
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="compare-"))
    try:
        clean = scratch / "checkpoint"
        weights.with_weights(draws, checkpoint, clean, record.get("weights", {}).get("synth"))
        out = scratch / "out"
        out.mkdir()
        graph = peer.export(record, clean, cases, out)
        difference = judge.largest_difference(graph, cases)
        tolerance = max(record["atol"], 1e-4)
        tell.put(("right" if difference <= tolerance else "wrong", f"{difference:.1e}"))
    except peers.NotOffered as reason:
        tell.put(("none", str(reason)))
    except judge.Unfit as reason:
        tell.put(("wrong", str(reason)))
    except BaseException as error:  # noqa: BLE001: whatever an exporter raises is its answer
        tell.put(("fails", f"{type(error).__name__}: {error}"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def outcome(peer, folder, record, options):
    context = multiprocessing.get_context("fork")
    tell = context.Queue()
    process = context.Process(target=tried, args=(peer, folder, record, options.onnxport, tell))
    process.start()
    try:
        result = tell.get(timeout=options.seconds)
    except Exception:  # noqa: BLE001: queue.Empty
        result = ("fails", f"no answer within {options.seconds} s" if process.is_alive() else "the process died")
    process.kill()
    process.join()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=sorted(peers.PEERS))
    parser.add_argument("table", type=pathlib.Path, help="tab-separated; continued where it is there")
    parser.add_argument("--goldens", type=pathlib.Path, nargs="+", required=True, help="folders with an index.json")
    parser.add_argument("--program", help="the command of onnxport or of mobius")
    parser.add_argument("--onnxport", default="onnxport", help="draws the weights of checkpoints that hold none")
    parser.add_argument("--types", nargs="*", default=[], help="only these model types")
    parser.add_argument("--features", nargs="*", default=[], help="only these features")
    parser.add_argument("--seconds", type=int, default=180, help="how long an export may take (default: 180)")
    options = parser.parse_args()

    done = set()
    if options.table.exists():
        done = {tuple(line.split("\t")[:4]) for line in options.table.read_text().splitlines()[1:]}
    else:
        options.table.write_text("\t".join(COLUMNS) + "\n")
    peer = peers.PEERS[options.peer](options.program)
    for folder, record in records(options.goldens, set(options.types), set(options.features)):
        key = tuple(record[column] for column in COLUMNS[:4])
        if key in done:
            continue
        result, detail = outcome(peer, folder, record, options)
        detail = re.sub(r"\s+", " ", re.sub(r"/\S*/compare-\w+", "", detail))[:200]
        with options.table.open("a") as table:
            table.write("\t".join((*key, result, detail)) + "\n")
        print(*key, result, detail, file=sys.stderr)


if __name__ == "__main__":
    main()
