# shellcheck shell=bash
# ONNX Runtime: the library from the Python registry, the C API's headers from Debian.

ONNXRUNTIME_VERSION=1.32.0
ONNXRUNTIME_SHA256_x86_64=5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d
ONNXRUNTIME_SHA256_aarch64=2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c

# The first Debian release that packages the headers. Any later library offers their version of the C API too.
ONNXRUNTIME_HEADER_SUITE=trixie
ONNXRUNTIME_HEADER_API=21

# The machine's own Debian sources, with the release's name replaced. Entries of other vendors drop out, as their
# suites are hardly ever named like a Debian release; where one is, apt finds nothing new there and goes on.
header_sources() {
  local codename="$1" to="$2" file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$file" ] || continue
    awk -v from="$codename" -v to="$ONNXRUNTIME_HEADER_SUITE" '
      $1 == "deb" {
        i = 2
        if ($i ~ /^\[/) { while ($i !~ /\]$/ && i < NF) i++; i++ }
        if ($(i + 1) != from) next
        found = 0
        for (j = i + 2; j <= NF; j++) if ($j == "main") found = 1
        if (!found) next
        line = ""
        for (j = 1; j <= i; j++) line = line $j " "
        print line to " main"
      }' "$file"
  done >"$to/debian.list"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    # The extra newline keeps the last paragraph of one file apart from the first of the next.
    grep -v '^#' "$file" || true
    printf '\n'
  done | awk -v from="$codename" -v to="$ONNXRUNTIME_HEADER_SUITE" '
      BEGIN { RS = ""; FS = "\n" }
      {
        deb = suite = main = 0; enabled = 1; out = ""
        for (i = 1; i <= NF; i++) {
          name = tolower($i); sub(/:.*/, "", name)
          value = $i; sub(/^[^:]*:[ \t]*/, "", value)
          count = split(value, words, /[ \t]+/)
          if (name == "types") for (j = 1; j <= count; j++) if (words[j] == "deb") deb = 1
          if (name == "suites") for (j = 1; j <= count; j++) if (words[j] == from) suite = 1
          if (name == "components") for (j = 1; j <= count; j++) if (words[j] == "main") main = 1
          if (name == "enabled" && tolower(value) ~ /^(no|false|0|off)/) enabled = 0
          if (name == "types" || name == "suites" || name == "components" || name == "enabled") continue
          out = out $i "\n"
        }
        if (deb && suite && main && enabled) print "Types: deb\nSuites: " to "\nComponents: main\n" out
      }' >"$to/debian.sources"
  [ -s "$to/debian.list" ] || [ -s "$to/debian.sources" ]
}

fetch_onnxruntime_headers() {
  local work="$1" stage="$2" log="$3" codename="" found=""
  codename="$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null | tr -d '"')" || true
  # A private state folder: the system's own lists, sources and packages stay as they are.
  mkdir -p "$work/apt/parts" "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial" "$work/headers"
  local -a options=(
    -o "Dir::Etc::sourcelist=$work/apt/none"
    -o "Dir::Etc::sourceparts=$work/apt/parts"
    -o "Dir::State=$work/apt/state"
    -o "Dir::Cache=$work/apt/cache"
    -o "Acquire::Languages=none"
    -o "APT::Sandbox::User="
  )
  if ! header_sources "${codename:-none}" "$work/apt/parts"; then
    die "found no Debian source for '${codename:-this system}' from which to take the headers of ONNX Runtime." \
      "Set ONNXRUNTIME_ROOT to an unpacked ONNX Runtime (it has include/ and lib/)."
  fi
  step "downloading the C API headers of ONNX Runtime"
  # An update also fails for a source that has no such suite; what counts is whether the package is found after it.
  apt-get "${options[@]}" update >>"$log" 2>&1 </dev/null || true
  (cd "$work/headers" && logged "$log" apt-get "${options[@]}" download libonnxruntime-dev)
  logged "$log" dpkg -x "$work"/headers/libonnxruntime-dev_*.deb "$work/headers/root"
  found="$(find "$work/headers/root/usr/include" -name onnxruntime_c_api.h -printf '%h\n' -quit)"
  [ -n "$found" ] || die "the package libonnxruntime-dev holds no onnxruntime_c_api.h." "The whole log: $log"
  # Debian may rebuild its package at any time, so no sum is pinned here: apt has verified the archive's signature,
  # and what matters to the build is the API's version.
  grep -q "^#define ORT_API_VERSION $ONNXRUNTIME_HEADER_API\$" "$found/onnxruntime_c_api.h" ||
    die "the headers of ONNX Runtime are not of API version $ONNXRUNTIME_HEADER_API." "The whole log: $log"
  mkdir -p "$stage/include"
  cp -R "$found/." "$stage/include/"
}

fetch_onnxruntime() {
  local work="$1" stage="$2" log="$3" machine sum
  machine="$(uname -m)"
  case "$machine" in
    x86_64) sum="$ONNXRUNTIME_SHA256_x86_64" ;;
    aarch64) sum="$ONNXRUNTIME_SHA256_aarch64" ;;
    *)
      die "no build of ONNX Runtime is known for '$machine'." \
        "Set ONNXRUNTIME_ROOT to an unpacked ONNX Runtime (it has include/ and lib/)."
      ;;
  esac
  step "downloading ONNX Runtime $ONNXRUNTIME_VERSION"
  # The library inside does not depend on the version of Python; one is named so that every machine gets the same file.
  pip_fetch "$work/download" "$log" "onnxruntime==$ONNXRUNTIME_VERSION" "$sum" --only-binary=:all: \
    --implementation cp --python-version 3.11 --platform "manylinux_2_28_$machine"
  logged "$log" unzip -q -o "$work"/download/onnxruntime-*.whl 'onnxruntime/capi/libonnxruntime*.so*' \
    onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt -d "$work/wheel"
  mkdir -p "$stage/lib"
  mv "$work"/wheel/onnxruntime/capi/libonnxruntime*.so* "$stage/lib/"
  mv "$work/wheel/onnxruntime/LICENSE" "$work/wheel/onnxruntime/ThirdPartyNotices.txt" "$stage/"
  ln -s "libonnxruntime.so.$ONNXRUNTIME_VERSION" "$stage/lib/libonnxruntime.so"
  ln -s "libonnxruntime.so.$ONNXRUNTIME_VERSION" "$stage/lib/libonnxruntime.so.1"
  [ -f "$stage/lib/libonnxruntime.so" ] || die "the wheel holds no libonnxruntime.so.$ONNXRUNTIME_VERSION." \
    "The whole log: $log"
  fetch_onnxruntime_headers "$work" "$stage" "$log"
}

provide_onnxruntime() {
  # A user's own ONNX Runtime wins.
  if [ -n "${ONNXRUNTIME_ROOT:-}" ]; then return 0; fi
  provide "$ONNXPORT_DEPS/onnxruntime-$ONNXRUNTIME_VERSION" \
    "onnxruntime $ONNXRUNTIME_VERSION api $ONNXRUNTIME_HEADER_API" \
    fetch_onnxruntime "$ONNXPORT_DEPS/logs/onnxruntime.log"
}
