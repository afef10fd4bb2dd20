# shellcheck shell=bash
# Configures and builds the default preset.

# build_default REPOSITORY
build_default() {
  local repository="$1" log="$1/build/logs/configure.log"
  rm -f "$log"
  [ -f "$repository/build/build.ninja" ] || step "configuring"
  # Always, as the cache of dependencies may have moved since; where nothing changed this takes a moment and changes
  # nothing. In the repository, because CMake looks for presets in the current folder.
  (cd "$repository" && logged "$log" cmake --preset default "-DONNXPORT_DEPS=$ONNXPORT_DEPS")
  step "building"
  (cd "$repository" && cmake --build --preset default --parallel "$(job_count)")
}
