/* SPDX-License-Identifier: Apache-2.0 */
/* libonnxport: from Hugging Face checkpoints to ONNX models, for programs. C11, and any C++.
 *
 * Each function here that does work is a command of the program onnxport, with its options by the same names and its
 * --json object as the result, so that docs/command-line.md says what they mean.
 *
 * Threads: work may go on side by side in as many threads as one likes, each with options and an outcome of its own;
 * two to the same output folder are delivered one after the other. Nothing of the process is changed: no signal
 * handlers, no limits, no output to the terminal, no working directory; but for one variable of the environment, see
 * onnxport_validate(). Plugins and back ends are opened when they are needed and stay open.
 *
 * Ownership: what a function ending in _new, or one that yields an outcome, returns is the caller's, who gives it to
 * the _free function of its type; NULL is accepted there. Texts are UTF-8, end in a zero, and live as long as the
 * object that they were asked of.
 *
 * Versions: functions and members of structs are only added within a major version, members at the end; a struct says
 * its size, so that a library newer or older than the program knows which members there are. */
#ifndef ONNXPORT_ONNXPORT_H
#define ONNXPORT_ONNXPORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header. */
#define ONNXPORT_API_MAJOR 1
#define ONNXPORT_API_MINOR 0

#if defined(__GNUC__)
#define ONNXPORT_API __attribute__((visibility("default")))
#else
#define ONNXPORT_API
#endif

/* How work ended. The numbers are the exit statuses of the command. */
typedef enum onnxport_result {
  ONNXPORT_RESULT_OK = 0,      /* done, and validated where that was asked for */
  ONNXPORT_RESULT_DIFFERS = 1, /* validation found a difference; what was exported is kept */
  ONNXPORT_RESULT_USAGE = 2,   /* an option, a type or a feature that is none; validation that is not possible here */
  ONNXPORT_RESULT_CHECKPOINT = 3, /* unreadable, or not as its config says */
  ONNXPORT_RESULT_PLUGIN = 4,     /* a plugin was refused or failed */
  ONNXPORT_RESULT_OUTPUT = 5,     /* could not be written */
  ONNXPORT_RESULT_INTERNAL = 70,  /* a defect of onnxport */
  ONNXPORT_RESULT_CANCELLED = 130 /* onnxport_cancel() was called; nothing was left behind */
} onnxport_result;

typedef struct onnxport_options onnxport_options; /* what is asked for, by name */
typedef struct onnxport_outcome onnxport_outcome; /* how work ended, and what it found */
typedef struct onnxport_token onnxport_token;     /* with which work is stopped */

/* Who is told while work goes on. Zero but for `size` is somebody who is told nothing. */
typedef struct onnxport_listener {
  size_t size; /* sizeof(onnxport_listener) */
  void* user;  /* given to the functions */
  /* What is going on, and how far in bytes; total 0: no measure. Called from several threads, one at a time. */
  void (*progress)(void* user, const char* phase, uint64_t done, uint64_t total);
  /* Something that one should know though nothing failed; also in the outcome. In the thread that asked for the work.
   */
  void (*note)(void* user, const char* text);
  const onnxport_token* token; /* NULL: cannot be stopped */
} onnxport_listener;

/* ------------------------------------------------------------------------------------------------ the library itself
 */

/* Major << 16 | minor, of the library that runs; a program wants the major of its header, and at least its minor. */
ONNXPORT_API uint32_t onnxport_api_version(void);
/* "0.1.0" */
ONNXPORT_API const char* onnxport_version(void);

/* ----------------------------------------------------------------------------------------------------------- options
 */

/* NULL where memory is out. */
ONNXPORT_API onnxport_options* onnxport_options_new(void);
/* An option of the command by its long name: ("opset", "17"), ("plugin-dir", "/srv/plugins"), ("no-validate", NULL).
 * One that may be repeated is added; another that is set twice is refused. Both texts are copied. Whether there is such
 * an option is told by the work that it is given to, which ends in ONNXPORT_RESULT_USAGE. Returns 0, or -1 where memory
 * is out. Not while work that was given the same object goes on. */
ONNXPORT_API int onnxport_options_set(onnxport_options* options, const char* name, const char* value);
ONNXPORT_API void onnxport_options_free(onnxport_options* options);

/* ---------------------------------------------------------------------------------------------------------- stopping
 */

ONNXPORT_API onnxport_token* onnxport_token_new(void);
/* Work that was given the token ends at its next step and removes what it has staged; work that ends before is not
 * touched. From any thread, or a signal handler. */
ONNXPORT_API void onnxport_cancel(onnxport_token* token);
/* After all work that was given it. */
ONNXPORT_API void onnxport_token_free(onnxport_token* token);

/* -------------------------------------------------------------------------------------------------------------- work
 */

/* Each returns an outcome, also for a failure, and NULL only where memory is out. `options` and `listener` may be NULL.
 */

/* Every plugin that was found, where, and whether it can be used. */
ONNXPORT_API onnxport_outcome* onnxport_plugins(const onnxport_options* options, const onnxport_listener* listener);
/* What can be exported: of one model type, or of all where it is NULL. */
ONNXPORT_API onnxport_outcome* onnxport_features(const char* model_type, const onnxport_options* options,
                                                 const onnxport_listener* listener);
/* What an export with these options would be: type, feature, plugin, opset, tolerance, files, their inputs and outputs
 * and the bytes of their weights. Reads config.json and no weights, and writes nothing. */
ONNXPORT_API onnxport_outcome* onnxport_plan(const char* model, const char* output, const onnxport_options* options,
                                             const onnxport_listener* listener);
/* `model` is a folder or a model id, `output` a folder or a name that ends in .onnx. The output appears whole or not at
 * all. Validates unless ("no-validate", NULL) is set. */
ONNXPORT_API onnxport_outcome* onnxport_export(const char* model, const char* output, const onnxport_options* options,
                                               const onnxport_listener* listener);
/* Compares an export with its checkpoint, ("model", FOLDER), or with recordings, ("case", FILE). Before ONNX Runtime is
 * opened for the first time, ORT_DISABLE_TELEMETRY is set in the environment: a program whose other threads read it by
 * then sets the variable itself before it starts them. */
ONNXPORT_API onnxport_outcome* onnxport_validate(const char* output, const onnxport_options* options,
                                                 const onnxport_listener* listener);
/* Inputs, outputs, operators, weights and metadata of an ONNX file. */
ONNXPORT_API onnxport_outcome* onnxport_inspect(const char* file, const onnxport_options* options,
                                                const onnxport_listener* listener);
/* A random checkpoint of a config.json. */
ONNXPORT_API onnxport_outcome* onnxport_synth(const char* config, const char* output, const onnxport_options* options,
                                              const onnxport_listener* listener);

/* ---------------------------------------------------------------------------------------------------------- outcomes
 */

ONNXPORT_API onnxport_result onnxport_outcome_result(const onnxport_outcome* outcome);
/* The object that the command prints with --json, also for a failure. */
ONNXPORT_API const char* onnxport_outcome_json(const onnxport_outcome* outcome);
/* What was found and what was expected; empty where all went well. */
ONNXPORT_API const char* onnxport_outcome_message(const onnxport_outcome* outcome);
/* What to do next; may be empty. */
ONNXPORT_API const char* onnxport_outcome_hint(const onnxport_outcome* outcome);
ONNXPORT_API void onnxport_outcome_free(onnxport_outcome* outcome);

#ifdef __cplusplus
}
#endif

#endif
