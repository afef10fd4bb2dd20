# shellcheck shell=bash
# Configures and builds the default preset.

# build_default REPOSITORY
build_default() {
  local repository="$1" log="$1/build/logs/configure.log"
  local -a first=()
  rm -f "$log"
  if [ ! -f "$repository/build/build.ninja" ]; then
    step "configuring"
    # From nothing it takes two thirds of the time so. A folder that was configured otherwise stays as it is.
    first=("-DONNXPORT_UNITY=${ONNXPORT_UNITY:-ON}")
  fi
  # Always, as the cache of dependencies may have moved since; where nothing changed this takes a moment and changes
  # nothing. In the repository, because CMake looks for presets in the current folder.
  (cd "$repository" && logged "$log" cmake --preset default "-DONNXPORT_DEPS=$ONNXPORT_DEPS" "${first[@]}")
  step "building"
  (cd "$repository" && cmake --build --preset default --parallel "$(job_count)")
}
