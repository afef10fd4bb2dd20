#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records which fields the config classes of the original have, with their defaults.

`fields.py plugins/NAME/cases TYPE...` adds what this version of transformers has to the folder's fields.json; run it with each
version that counts, the oldest first. A plugin's tests hold every field of its types to be read, or known to have no effect,
and docs/fields.md is made of it. README.md beside this file tells more.
"""
import argparse
import json
import math
import pathlib

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

PLAIN = (type(None), bool, int, float, str)


def is_json(value):
    """Whether JSON keeps the value as it is."""
    if isinstance(value, (list, tuple)):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value)  # what is no JSON within, a torch.dtype, is left out
    return isinstance(value, PLAIN)


def plain(value):
    """The value in words of JSON, which has no infinity; as transformers 5 writes it."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, (list, tuple)):
        return list(map(plain, value))
    return {key: plain(entry) for key, entry in value.items() if is_json(entry)} if isinstance(value, dict) else value


def own_fields(made):
    """The fields that the class has beside those of every config, or with another default than theirs."""
    base = getattr(transformers, "PreTrainedConfig", transformers.PretrainedConfig)().to_dict()
    stated = made.to_dict()
    hidden = {"model_type", "transformers_version", "architectures"}
    return {name: plain(value) for name, value in stated.items()
            if name not in hidden and not name.startswith("_") and is_json(value)
            and (name not in base or base[name] != value)}


def class_of(model_type, name):
    """The config class of a type, by its name where that is given; None where this version has none."""
    found = getattr(transformers, name, None) if name else None
    if found is not None and found.model_type == model_type:
        return found
    return CONFIG_MAPPING[model_type] if model_type in CONFIG_MAPPING else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=pathlib.Path, help="the plugin's folder of cases")
    parser.add_argument("types", nargs="+", metavar="TYPE[=CLASS]",
                        help="values of model_type, with the config's class where the library does not find it by that")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=JSON",
                        help="a value for a class whose defaults are no whole model")
    options = parser.parse_args()
    given = {field: json.loads(value) for field, _, value in (one.partition("=") for one in options.set)}

    file = options.cases / "fields.json"
    known = {entry["model_type"]: entry for entry in json.loads(file.read_text())} if file.exists() else {}
    for word in options.types:
        model_type, _, name = word.partition("=")
        config_class = class_of(model_type, name)
        if config_class is None:
            continue
        entry = known.setdefault(model_type, {"model_type": model_type, "versions": {}, "other_names": {}})
        entry["class"] = config_class.__name__
        fields = own_fields(config_class(**given))
        # A name that the class maps is written under its own; others are what people write.
        entry["other_names"].update({other: own for other, own in config_class.attribute_map.items()
                                     if other not in fields})
        entry["versions"][transformers.__version__] = fields
    rows = [json.dumps(known[model_type], sort_keys=True) for model_type in sorted(known)]
    file.write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
