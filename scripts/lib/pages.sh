# shellcheck shell=bash
# The tools that make the site and the picture of the README, in a Python environment of their own in the cache of dependencies.

page_tools="$ONNXPORT_DEPS/pages"

# provide_page_tools: installs them where they are not there yet.
provide_page_tools() {
  local requirements log="$ONNXPORT_DEPS/logs/pages.log" key
  requirements="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/docs/site/requirements.txt"
  key="$(sha256sum "$requirements" | cut -d ' ' -f 1)"
  if is_ready "$page_tools" "$key"; then return 0; fi
  step "the tools that make pages"
  rm -rf "$page_tools" "$log"
  logged "$log" python -m venv "$page_tools"
  logged "$log" "$page_tools/bin/python" -m pip --disable-pip-version-check install --progress-bar off -r "$requirements"
  printf '%s\n' "$key" >"$page_tools/.recipe"
}
