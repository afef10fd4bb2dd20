// SPDX-License-Identifier: Apache-2.0
#include "core/validate/adapted.hpp"

#include <utility>
#include <vector>

namespace onnxport {
namespace {

class Adapted final : public Runnable {
 public:
  Adapted(std::unique_ptr<Runnable> owned, Runnable& model, Adaptation adaptation)
      : owned_(std::move(owned)), model_(model), adaptation_(std::move(adaptation)) {}

  void ready() override { model_.ready(); }
  void rest() override { model_.rest(); }
  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    return yielded(adaptation_.take ? model_.run(adaptation_.take(inputs), wanted) : model_.run(inputs, wanted),
                   inputs);
  }
  std::vector<Tensors> run_all(const std::vector<const Tensors*>& sets,
                               const std::vector<std::string>& wanted) override {
    std::vector<Tensors> taken;
    std::vector<const Tensors*> given = sets;
    if (adaptation_.take) {
      taken.reserve(sets.size());
      for (const Tensors*& set : given) set = &taken.emplace_back(adaptation_.take(*set));
    }
    std::vector<Tensors> results = model_.run_all(given, wanted);
    for (size_t i = 0; i < sets.size(); ++i) results.at(i) = yielded(std::move(results.at(i)), *sets[i]);
    return results;
  }

 private:
  Tensors yielded(Tensors results, const Tensors& inputs) const {
    return adaptation_.yield ? adaptation_.yield(std::move(results), inputs) : results;
  }

  const std::unique_ptr<Runnable> owned_;
  Runnable& model_;
  const Adaptation adaptation_;
};

}  // namespace

std::unique_ptr<Runnable> adapted(std::unique_ptr<Runnable> model, Adaptation adaptation) {
  Runnable& same = *model;
  return std::make_unique<Adapted>(std::move(model), same, std::move(adaptation));
}

std::unique_ptr<Runnable> adapted(Runnable& model, Adaptation adaptation) {
  return std::make_unique<Adapted>(nullptr, model, std::move(adaptation));
}

}  // namespace onnxport
