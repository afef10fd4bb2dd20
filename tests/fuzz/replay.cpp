// SPDX-License-Identifier: Apache-2.0
// Feeds a target the files of its corpus and mutations of them: the same ones in every run.
//
//   replay CORPUS MUTATIONS
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/targets.hpp"

namespace {

/// What hostile numbers look like.
const std::string numbers[] = {
    "0",  "-1", "1",   "9223372036854775807", "18446744073709551615", "99999999999999999999999", "1e308", "0.5", "null",
    "[]", "{}", "\"\""};

std::string mutated(std::string bytes, const std::vector<std::string>& corpus, std::mt19937_64& random) {
  const auto below = [&](size_t limit) { return limit == 0 ? 0 : static_cast<size_t>(random() % limit); };
  for (size_t i = 0, edits = 1 + below(4); i < edits; ++i) {
    const size_t at = below(bytes.size() + 1);
    switch (below(7)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.insert(at, 1, static_cast<char>(random()));
        break;
      case 3:
        bytes.erase(at, below(16));
        break;
      case 4: {  // a piece of another file
        const std::string& other = corpus[below(corpus.size())];
        const size_t from = below(other.size() + 1);
        bytes.insert(at, other, from, below(64));
        break;
      }
      case 5: {  // another number
        const size_t digit = bytes.find_first_of("0123456789", at);
        if (digit == std::string::npos) break;
        size_t end = bytes.find_first_not_of("0123456789.", digit);
        if (end == std::string::npos) end = bytes.size();
        bytes.replace(digit, end - digit, numbers[below(std::size(numbers))]);
        break;
      }
      default:  // a repeated piece
        bytes.insert(at, bytes, at, below(32));
        break;
    }
  }
  return bytes;
}

void feed(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: replay CORPUS MUTATIONS\n";
    return 2;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    std::cerr << argv[1] << " holds no files\n";
    return 1;
  }
  for (const std::string& bytes : corpus) feed(bytes);
  std::mt19937_64 random(20230501);
  const int mutations = std::atoi(argv[2]);
  for (int i = 0; i < mutations; ++i)
    feed(mutated(corpus[static_cast<size_t>(random() % corpus.size())], corpus, random));
  std::cout << corpus.size() << " files and " << mutations << " mutations of them\n";
  return 0;
}
