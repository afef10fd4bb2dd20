# shellcheck shell=bash
# The system's packages: which are needed, which of them are missing, and how to get those.

# is_installed NAME...: whether the system has every one of these packages.
is_installed() {
  local states
  states="$(dpkg-query -W -f='${db:Status-Abbrev}\n' "$@" 2>/dev/null)" || return 1
  [ -n "$states" ] && ! grep -qv '^.i' <<<"$states"
}

# Debian 12's default Boost is 1.74, with 1.81 beside it; later releases have a default that is new enough. Of a name that other
# packages only mention, apt-cache shows nothing and succeeds.
boost_packages() {
  if is_installed libboost1.81-dev || [ -n "$(apt-cache show libboost1.81-dev 2>/dev/null)" ] ||
    grep -q '^VERSION_CODENAME=bookworm' /etc/os-release 2>/dev/null; then
    printf '%s\n' libboost1.81-dev libboost-test1.81-dev
  else
    printf '%s\n' libboost-dev libboost-test-dev
  fi
}

# libFuzzer and the sanitizers' run-time libraries come apart from the compiler, in a package that carries the
# version of Debian's default clang in its name.
clang_runtime_package() {
  local depends version
  depends="$(dpkg-query -W -f='${Depends}' clang 2>/dev/null ||
    apt-cache show --no-all-versions clang 2>/dev/null | sed -n 's/^Depends: //p')" || true
  version="$(grep -o 'clang-[0-9]\+' <<<"$depends" | head -n 1)" || true
  # Debian 12's where nothing is known yet: then the package lists have not been read, and this is asked again after.
  version="${version:-clang-14}"
  printf 'libclang-rt-%s-dev\n' "${version#clang-}"
}

# What the build itself needs. python3-pip, -setuptools and -wheel: the sources of onnx and the library of
# ONNX Runtime come from the Python registry, and the build of onnx generates its protocol buffers with Python.
# libopenblas0-pthread: Debian's libtorch uses whatever BLAS there is, and with the reference one it is over ten times slower.
build_packages() {
  printf '%s\n' \
    ca-certificates g++ cmake ninja-build pkg-config unzip \
    protobuf-compiler libprotobuf-dev \
    libtorch-dev libopenblas0-pthread \
    libyaml-cpp-dev libjsonnet-dev libcli11-dev libfmt-dev nlohmann-json3-dev nettle-dev libcurl4-openssl-dev \
    python3 python3-pip python3-setuptools python3-wheel
  boost_packages
}

# What only the tests need: a second compiler for the plugin ABI and for libFuzzer, make for a batch of exports, and Graphviz
# for pictures of graphs.
test_packages() {
  printf '%s\n' clang clang-tidy clang-format make graphviz
  clang_runtime_package
}

# missing_packages NAME...
missing_packages() {
  local -A installed=()
  local state name
  while read -r state name; do
    case "$state" in ?i*) installed[$name]=1 ;; esac
  done < <(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    [ -n "${installed[$name]:-}" ] || printf '%s\n' "$name"
  done
}

# wanted_packages build|test
wanted_packages() {
  build_packages
  if [ "$1" = test ]; then test_packages; fi
}

# provide_packages build|test
provide_packages() {
  local kind="$1" log="$ONNXPORT_DEPS/logs/packages.log"
  local -a wanted=() missing=() as_root=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    mapfile -t wanted < <(wanted_packages "$kind")
    die "this script installs packages with apt-get, which this system does not have." \
      "Install what these Debian packages hold, then call cmake --preset default: ${wanted[*]}"
  fi
  mapfile -t wanted < <(wanted_packages "$kind")
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  [ "${#missing[@]}" -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ]; then
    # Ask for a password only where somebody can type one.
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      as_root=(sudo)
    else
      die "these packages are missing, and installing them needs root: ${missing[*]}" \
        "As root, run:" \
        "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" \
        "and then this script again."
    fi
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive)

  rm -f "$log"
  step "reading the package lists"
  logged "$log" "${as_root[@]}" apt-get update
  # The names of some packages depend on what the lists offer.
  mapfile -t wanted < <(wanted_packages "$kind")
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  step "installing ${#missing[@]} packages: ${missing[*]}"
  logged "$log" "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"
}
