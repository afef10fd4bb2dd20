// SPDX-License-Identifier: Apache-2.0
#include "host/commands.hpp"
#include "host/process/descendants.hpp"
#include "host/process/interrupt.hpp"
#include "host/process/memory.hpp"

int main(int argc, char** argv) {
  onnxport::own_descendants();
  onnxport::catch_interrupts();
  onnxport::heed_process_limits();
  return onnxport::run_command_line(argc, argv);
}
