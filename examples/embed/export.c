/* SPDX-License-Identifier: Apache-2.0 */
/* Exports a checkpoint from a C program, tells how far it is, and stops at Ctrl-C with nothing left behind. */
#include <inttypes.h>
#include <onnxport/onnxport.h>
#include <signal.h>
#include <stdio.h>

static onnxport_token* token;

static void stop(int signal_number) {
  (void)signal_number;
  onnxport_cancel(token);
}

static void on_progress(void* user, const char* phase, uint64_t done, uint64_t total) {
  FILE* out = user;
  if (total > 0)
    fprintf(out, "%s: %" PRIu64 " of %" PRIu64 " bytes\n", phase, done, total);
  else
    fprintf(out, "%s\n", phase);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s CHECKPOINT OUTPUT\n", argv[0]);
    return 2;
  }
  if (onnxport_api_version() >> 16 != ONNXPORT_API_MAJOR) {
    fprintf(stderr, "this program was built for version %d of libonnxport's interface\n", ONNXPORT_API_MAJOR);
    return 2;
  }
  token = onnxport_token_new();
  signal(SIGINT, stop);

  onnxport_options* options = onnxport_options_new();
  onnxport_options_set(options, "opset", "17");
  onnxport_options_set(options, "no-validate", NULL);
  const onnxport_listener listener = {sizeof listener, stderr, on_progress, NULL, token};
  onnxport_outcome* outcome = onnxport_export(argv[1], argv[2], options, &listener);
  const int status = outcome == NULL ? ONNXPORT_RESULT_INTERNAL : (int)onnxport_outcome_result(outcome);
  if (status == ONNXPORT_RESULT_OK)
    printf("%s\n", onnxport_outcome_json(outcome));
  else if (outcome != NULL)
    fprintf(stderr, "error: %s\n  %s\n", onnxport_outcome_message(outcome), onnxport_outcome_hint(outcome));

  onnxport_outcome_free(outcome);
  onnxport_options_free(options);
  onnxport_token_free(token);
  return status;
}
