// SPDX-License-Identifier: Apache-2.0
// The plugins that were found by their manifests, and which of them serves a model type. Opens no library; loader.hpp
// does.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "registry/candidate.hpp"
#include "registry/loader.hpp"
#include "registry/offers.hpp"
#include "registry/places.hpp"

namespace onnxport {

/// What serves a model type.
struct Resolved {
  const Candidate* candidate = nullptr;
  /// Features and architectures of the type.
  const Manifest::Model* model = nullptr;
  /// As the plugin spells it; through an extension, the extended plugin's type. What create() is given.
  std::string model_type;
};

/// All candidates of all places. References and pointers to candidates live as long as the Registry.
class Registry {
 public:
  /// Reads the manifests. A bad one becomes a candidate with a reason; it stops no other. Throws as
  /// find_places() does.
  static Registry discover(const SearchOptions& options = {});

  Registry(Registry&&) noexcept = default;
  Registry& operator=(Registry&&) noexcept = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// In search order, then by folder name.
  const std::vector<Candidate>& candidates() const { return candidates_; }
  const std::vector<Place>& places() const { return places_.list; }
  /// What was not searched and why, for the user to read.
  const std::vector<std::string>& notes() const { return places_.notes; }

  /// The candidate for a model type; `plugin_id` picks one where several offer it. Throws Error(usage) for an
  /// unknown type or plugin, Error(plugin) where plugins conflict or the only ones are refused or broken.
  const Candidate& find(std::string_view model_type, const std::string& plugin_id = {}) const;
  /// The same with what else is known of the type.
  Resolved resolve(std::string_view model_type, const std::string& plugin_id = {}) const;
  /// Takes a candidate out that turned out not to load: the others of its types come forward. Nothing where an
  /// extension's library is meant; name that one's candidate.
  void set_aside(const Candidate& candidate, const std::string& reason, const std::string& hint);
  /// Whether some healthy candidate offers the type; of the plugin alone where one is named.
  bool offers(std::string_view model_type, const std::string& plugin_id = {}) const;
  /// Refused and broken candidates that would have come before the one that find() gives: worth a warning.
  std::vector<const Candidate*> passed_over(std::string_view model_type) const;
  /// All types that some healthy candidate offers, sorted, as the plugins spell them.
  std::vector<std::string> model_types() const;

 private:
  Registry() = default;
  void settle();
  std::vector<const Candidate*> offering(std::string_view model_type, const std::string& plugin_id) const;
  [[noreturn]] void unknown_type(std::string_view model_type) const;

  Places places_;
  std::vector<Candidate> candidates_;
  Offers offers_;
};

}  // namespace onnxport
