# SPDX-License-Identifier: Apache-2.0
"""libonnxport by ctypes: onnxport/onnxport.h says what each function does."""

import ctypes
import json
import os
import threading
from pathlib import Path

API_MAJOR = 1

_PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64)
_NOTE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


class _Listener(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("user", ctypes.c_void_p),
        ("progress", _PROGRESS),
        ("note", _NOTE),
        ("token", ctypes.c_void_p),
    ]


def _open():
    """The library of the wheel; ONNXPORT_LIBRARY names another, such as that of a package of the system."""
    own = Path(__file__).parent / "installation" / "lib" / "libonnxport.so.1"
    path = os.environ.get("ONNXPORT_LIBRARY") or (str(own) if own.exists() else "libonnxport.so.1")
    try:
        library = ctypes.CDLL(path)
    except OSError as problem:
        raise ImportError(
            f"libonnxport cannot be opened: {problem}; install onnxport, or name its library in ONNXPORT_LIBRARY"
        ) from None
    text, handle = ctypes.c_char_p, ctypes.c_void_p
    for name, result, arguments in [
        ("api_version", ctypes.c_uint32, []),
        ("version", text, []),
        ("options_new", handle, []),
        ("options_set", ctypes.c_int, [handle, text, text]),
        ("options_free", None, [handle]),
        ("token_new", handle, []),
        ("cancel", None, [handle]),
        ("token_free", None, [handle]),
        ("plugins", handle, [handle, handle]),
        ("features", handle, [text, handle, handle]),
        ("plan", handle, [text, text, handle, handle]),
        ("export", handle, [text, text, handle, handle]),
        ("validate", handle, [text, handle, handle]),
        ("inspect", handle, [text, handle, handle]),
        ("synth", handle, [text, text, handle, handle]),
        ("outcome_result", ctypes.c_int, [handle]),
        ("outcome_json", text, [handle]),
        ("outcome_message", text, [handle]),
        ("outcome_hint", text, [handle]),
        ("outcome_free", None, [handle]),
    ]:
        function = getattr(library, "onnxport_" + name)
        function.restype, function.argtypes = result, arguments
    if library.onnxport_api_version() >> 16 != API_MAJOR:
        raise ImportError(f"{path} has another major version of its interface than this package, {API_MAJOR}")
    return library


library = _open()


class OnnxportError(RuntimeError):
    """Why work did not end as it should. `status` is the command's exit status, `hint` what to do next."""

    def __init__(self, status, message, hint):
        super().__init__(message + ("\n  " + hint if hint else ""))
        self.status, self.message, self.hint = status, message, hint


class Differs(OnnxportError):
    """Validation found differences above the tolerance; `report` holds them. What was exported is kept."""

    def __init__(self, report, message, hint):
        super().__init__(1, message, hint)
        self.report = report


def _text(value):
    text = os.fsencode(value)
    if b"\0" in text:
        raise ValueError(f"{value!r} holds a zero")
    return text


def _words(options):
    """(name, value) pairs: None and False are left out, True is a flag, of a list each is given, of a dict each as key=value."""
    for key, value in options.items():
        if isinstance(value, dict):
            value = [f"{axis}={size}" for axis, size in value.items()]
        for one in value if isinstance(value, (list, tuple, set)) else [value]:
            if one is None or one is False:
                continue
            text = None if one is True else _text(one if isinstance(one, (str, os.PathLike)) else str(one))
            yield _text(key.replace("_", "-")), text


def run(function, operands, options, progress=None, note=None):
    """Runs one function of the library in a thread of its own, so that Ctrl-C stops it with nothing left behind."""
    handle = library.onnxport_options_new()
    token = library.onnxport_token_new()
    failures = []

    def guarded(call):
        def told(_user, *arguments):
            try:
                call(*[a.decode(errors="replace") if isinstance(a, bytes) else a for a in arguments])
            except BaseException as failure:  # told after the work, which ends
                failures.append(failure)
                library.onnxport_cancel(token)

        return told

    listener = _Listener(size=ctypes.sizeof(_Listener), token=token)
    if progress is not None:
        listener.progress = _PROGRESS(guarded(progress))
    if note is not None:
        listener.note = _NOTE(guarded(note))
    outcomes = []
    try:
        arguments = [operand if operand is None else _text(operand) for operand in operands]
        for name, value in _words(options):
            if library.onnxport_options_set(handle, name, value) != 0:
                raise MemoryError()
        work = threading.Thread(
            target=lambda: outcomes.append(
                getattr(library, "onnxport_" + function)(*arguments, handle, ctypes.addressof(listener))
            )
        )
        work.start()
        try:
            work.join()
        except BaseException:
            library.onnxport_cancel(token)
            work.join()
            raise
        if not outcomes or not outcomes[0]:
            raise MemoryError()
        return _read(outcomes[0], failures)
    finally:
        for outcome in outcomes:
            library.onnxport_outcome_free(outcome)
        library.onnxport_options_free(handle)
        library.onnxport_token_free(token)


def _read(outcome, failures):
    if failures:
        raise failures[0]
    status = library.onnxport_outcome_result(outcome)
    report = json.loads(library.onnxport_outcome_json(outcome))
    message = library.onnxport_outcome_message(outcome).decode(errors="replace")
    hint = library.onnxport_outcome_hint(outcome).decode(errors="replace")
    if status == 1:
        raise Differs(report, message, hint)
    if status != 0:
        raise OnnxportError(status, message, hint)
    return report
