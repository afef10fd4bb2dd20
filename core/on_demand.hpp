// SPDX-License-Identifier: Apache-2.0
// Libraries of this program that are opened when they are needed, so that what they link costs nothing to those who do
// not use them.
#pragma once

#include <boost/dll/shared_library.hpp>
#include <filesystem>
#include <functional>
#include <string>

namespace onnxport {

/// What is opened, and what is said where it cannot be.
struct OnDemandLibrary {
  std::string name;          // "reference": libonnxport_reference.so
  std::string what;          // "the back end 'reference'"
  std::string stamp_symbol;  // const char* STAMP_SYMBOL(void)
  std::string stamp;         // what it must return: C++ types cross the boundary, so both sides are of one version
  std::string absent_hint;   // where the library is not there
  std::string broken_hint;   // where a library that it needs is not there
};

/// Decides whether a library may be opened, and throws Error where it may not. Asked each time before one is, with its
/// name and its path.
using LibraryGate = std::function<void(const std::string& name, const std::filesystem::path& library)>;
/// [any-thread]
void set_library_gate(LibraryGate gate);
/// Throws as the gate does where a library that a back end is to open may not be. [any-thread]
void pass_library_gate(const std::string& name, const std::filesystem::path& library);

/// Where the library is looked for: ONNXPORT_BACKEND_PATH, which counts for nothing with elevated privileges, or
/// backends/ of the installation.
std::filesystem::path on_demand_path(const std::string& name);

/// Opens it, once a name. It is never unloaded: what it links may register things that outlive every object of ours.
/// Throws Error(usage). [any-thread]
const boost::dll::shared_library& open_on_demand(const OnDemandLibrary& wanted);

}  // namespace onnxport
