// SPDX-License-Identifier: Apache-2.0
// A fuzz target is libFuzzer's function. Each is built twice: with libFuzzer, which searches (preset fuzz), and with
// replay.cpp, which feeds the corpus and thousands of mutations of it in every test run.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
