# shellcheck shell=bash
# The checks of scripts/check: a function each, run in the repository. They return 0, 1, or 77 for "not run".

build="${ONNXPORT_BUILD:-build}"

# not_run REASON
not_run() {
  say "not run: $1"
  exit 77
}

# needs PROGRAM
needs() {
  command -v "$1" >/dev/null || not_run "$1 is not installed (scripts/setup --tests installs it)"
}

# sources PATTERN...: the project's files, as git knows them or, where this is no checkout, as they lie.
sources() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -- "$@"
  else
    local -a find_names=()
    local pattern
    for pattern in "$@"; do find_names+=(-o -name "$pattern"); done
    find . -path ./build -prune -o -type f \( "${find_names[@]:1}" \) -print | sed 's|^\./||'
  fi
}

check_format() {
  needs clang-format
  sources '*.cpp' '*.hpp' '*.c' '*.h' | xargs -d '\n' clang-format --dry-run -Werror
}

warnings=(-std=c++20 -Wall -Wextra -Wshadow -Werror -Wno-missing-field-initializers -I sdk/include)

# included HEADER: the headers of the SDK that it begins with. What one includes at its end, when all of it is declared, it does
# not need.
included() {
  sed -n '/^namespace/q; s|^#include [<"]\(onnxport/[^>"]*\)[>"].*|\1|p' "sdk/include/$1"
}

# Every header, after those that it includes.
headers_in_order() {
  local header name
  (cd sdk/include && find . -name '*.hpp' -o -name '*.h') | sed 's|^\./||' | while read -r header; do
    printf '%s %s\n' "$header" "$header"
    for name in $(included "$header"); do printf '%s %s\n' "$name" "$header"; done
  done | tsort
}

# Those that many others begin with, each after those that it begins with.
first_headers=(onnxport/{graph,layers,onnx_config,heads,blocks/norm,blocks/attention,blocks/layer,plugin}.hpp)

# Each header is read by itself, twice, so that it brings what it needs and guards itself; what clang++ made of one of
# first_headers is not read again where a header includes it.
check_headers_clang() {
  local kept header place name first how
  local -a behind begin
  local -A all
  needs clang++
  kept="$(mktemp -d)"
  # shellcheck disable=SC2064
  trap "rm -rf '$kept'" EXIT
  for header in $(headers_in_order); do
    behind=()
    for name in $(included "$header"); do behind+=("$name" ${all[$name]}); done
    all[$header]="$(printf '%s\n' "${behind[@]}" | sort -u | paste -sd ' ')"
    begin=() how=(-fsyntax-only) place="$kept/${header//\//.}"
    for first in "${first_headers[@]}"; do
      case " ${all[$header]} " in *" $first "*) begin=(-include-pch "$kept/${first//\//.}.pch") ;; esac
    done
    case " ${first_headers[*]} " in *" $header "*) begin=() how=(-fpch-instantiate-templates -o "$place.pch") ;; esac
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$place"
    if ! clang++ -x c++-header "${warnings[@]}" "${begin[@]}" "${how[@]}" "$place"; then
      say "<$header> does not compile alone; those that come after it were not tried"
      return 1
    fi
  done
}

# All of them in one file, in either order, with what g++ warns of: with the same standard library it finds no header that
# lacks something where clang++ finds none alone.
check_headers_gcc() {
  local order
  needs g++
  for order in sort 'sort -r'; do
    find sdk/include -name '*.hpp' -o -name '*.h' | $order | sed 's|^sdk/include/\(.*\)|#include <\1>|' |
      g++ -x c++ -fsyntax-only "${warnings[@]}" -
  done
}

# misused KIND COMPILER: each file of tests/misuse compiles; with its MISTAKE it does not, and the compiler's words match
# the file's lines "// KIND: REGULAR EXPRESSION".
misused() {
  local kind="$1" compiler="$2" file said pattern suffix=gch failed=0 scratch
  local -a first
  needs "$compiler"
  # In English, with plain quotation marks.
  export LC_ALL=C
  # The headers that they begin with take most of the time, and are read once.
  scratch="$(mktemp -d)"
  # shellcheck disable=SC2064
  trap "rm -rf '$scratch'" EXIT
  if [ "$kind" = clang ]; then suffix=pch; fi
  sed -n '/^#include </p' tests/misuse/*.cpp | sort -u >"$scratch/first.hpp"
  "$compiler" -x c++-header "${warnings[@]}" "$scratch/first.hpp" -o "$scratch/first.hpp.$suffix"
  first=(-include "$scratch/first.hpp")
  for file in tests/misuse/*.cpp; do
    if ! said="$("$compiler" -fsyntax-only "${warnings[@]}" "${first[@]}" "$file" 2>&1)"; then
      say "$file does not compile without its mistake:" "$said"
      failed=1
      continue
    fi
    if said="$("$compiler" -fsyntax-only "${warnings[@]}" "${first[@]}" -DMISTAKE "$file" 2>&1)"; then
      say "$file compiles in spite of its mistake"
      failed=1
      continue
    fi
    grep -q "^// $kind: " "$file" || { say "$file does not say what $kind answers" && failed=1; }
    while read -r pattern; do
      grep -Eq -- "$pattern" <<<"$said" || {
        say "$file: expected '$pattern' in:" "$said"
        failed=1
      }
    done < <(sed -n "s|^// $kind: ||p" "$file")
  done
  return "$failed"
}
check_misuse_gcc() { misused gcc g++; }
check_misuse_clang() { misused clang clang++; }

# under_tsan PROGRAM ARGUMENT...
under_tsan() {
  local said status=0
  said="$("$@" --color_output=no 2>&1)" || status=$?
  # Where the kernel spreads addresses more widely than this version of the library expects, it ends before main().
  if [[ "$said" == *"unexpected memory mapping"* ]] && command -v setarch >/dev/null; then
    status=0
    said="$(setarch -R "$@" --color_output=no 2>&1)" || status=$?
  fi
  if [[ "$said" == *"unexpected memory mapping"* ]]; then not_run "ThreadSanitizer does not start on this kernel"; fi
  say "$said"
  return "$status"
}

build_threads() {
  [ -f "$build/build.ninja" ] || not_run "there is no build in '$build'"
  logged "$build/logs/threads.log" cmake --build "$build" --target writer_threads library_threads
}

check_threads() {
  build_threads
  under_tsan "$build/bin/tests/writer_threads"
  # Validation is left out: neither ONNX Runtime nor libtorch is built with it.
  under_tsan "$build/bin/library_threads" --run_test='four_exports*,to_one_folder*,one_is_stopped*,stopped_*'
}

# The commit from which changes count.
tidy_base() {
  local base head
  head="$(git rev-parse HEAD)"
  if [ -n "${ONNXPORT_BASE:-}" ]; then
    git rev-parse --verify --quiet "$ONNXPORT_BASE^{commit}"
    return
  fi
  for base in origin/main main; do
    base="$(git merge-base "$base" HEAD 2>/dev/null)" || continue
    if [ "$base" != "$head" ]; then
      printf '%s\n' "$base"
      return
    fi
  done
  git rev-parse --verify --quiet HEAD~1
}

# tidy_files COMMIT DATABASE: a changed source file, and for a changed header the source file of the same name.
tidy_files() {
  local file known database="$2"
  known="$(sed -n 's|^ *"file": "\(.*\)",\{0,1\}$|\1|p' "$database/compile_commands.json")"
  {
    git diff --name-only --diff-filter=d "$1" -- '*.cpp' '*.hpp'
    git ls-files --others --exclude-standard -- '*.cpp' '*.hpp'
  } | sed 's/\.hpp$/.cpp/' | sort -u | while read -r file; do
    # Clang cannot read libtorch 1.13 as C++20.
    case "$file" in backends/torch/*) continue ;; esac
    if grep -qxF "$PWD/$file" <<<"$known"; then printf '%s\n' "$file"; fi
  done
}

# tidy_one DATABASE DEADLINE FILE: notes in DATABASE/checked that it ran, and in DATABASE/failed what it found.
tidy_one() {
  local database="$1" deadline="$2" file="$3" found
  [ "$(date +%s)" -lt "$deadline" ] || return 0
  # Clang does not know some warnings of gcc's. Of headers, those count that changed.
  if ! found="$(clang-tidy --quiet -p "$database" --extra-arg=-Wno-unknown-warning-option \
    "--header-filter=/($TIDY_HEADERS)\$" "$file" 2>&1)"; then
    printf '%s\n' "$found" >>"$database/failed"
  fi
  printf '%s\n' "$file" >>"$database/checked"
}

check_tidy() {
  local base scratch deadline checked
  local -a files=()
  [ "${ONNXPORT_CHECKS:-all}" = all ] || not_run "it takes minutes; .ci/run and scripts/check run it"
  needs clang-tidy
  [ -f "$build/build.ninja" ] || not_run "there is no build in '$build'"
  git rev-parse --is-inside-work-tree >/dev/null 2>&1 || not_run "this is no checkout of git, so nothing tells what changed"
  base="$(tidy_base)" || not_run "git knows no commit before this one; name one in ONNXPORT_BASE"
  scratch="$(mktemp -d)"
  # With its value now: at the end of the shell the variable of this function is gone.
  # shellcheck disable=SC2064
  trap "rm -rf '$scratch'" EXIT
  : >"$scratch/checked"
  # How each source is compiled alone, which a build of several at once does not say.
  logged "$build/logs/tidy.log" cmake --preset default -B "$scratch/single" "-DONNXPORT_DEPS=$ONNXPORT_DEPS" -DONNXPORT_UNITY=OFF
  # Headers that gcc compiled before are nothing to clang, nor is what tells it that functions are compiled elsewhere. What is
  # compiled with ThreadSanitizer as well is read once.
  sed -e '/ -fsanitize=thread /{n;s|: ".*"|: ""|;}' \
    -e 's/ -Winvalid-pch//g' -e 's/ -DONNXPORT_SDK_COMPILED//g' -e 's/ -include [^ ]*cmake_pch\.hxx//g' \
    "$scratch/single/compile_commands.json" >"$scratch/compile_commands.json"
  mapfile -t files < <(tidy_files "$base" "$scratch")
  TIDY_HEADERS="$(git diff --name-only --diff-filter=d "$base" -- '*.hpp' | paste -sd '|')"
  export TIDY_HEADERS="${TIDY_HEADERS:-none}"
  export -f tidy_one
  deadline=$(($(date +%s) + ${ONNXPORT_TIDY_SECONDS:-180}))
  if [ "${#files[@]}" -gt 0 ]; then
    printf '%s\0' "${files[@]}" |
      xargs -0 -n 1 -P "$(job_count)" bash -c 'tidy_one "$@"' tidy_one "$scratch" "$deadline"
  fi
  checked="$(wc -l <"$scratch/checked")"
  say "$checked of ${#files[@]} changed files checked, counted from ${base:0:12}"
  if [ -f "$scratch/failed" ]; then
    cat "$scratch/failed"
    return 1
  fi
  [ "$checked" -eq "${#files[@]}" ] || not_run "the time was up; ONNXPORT_TIDY_SECONDS allows more"
}

check_site() {
  [ "${ONNXPORT_CHECKS:-all}" = all ] || not_run "it installs the site's generator; .ci/run and scripts/check run it"
  scripts/site
}

build_sanitize() {
  local log="$build/logs/sanitize.log"
  [ "${ONNXPORT_CHECKS:-all}" = all ] || not_run "it takes minutes; .ci/run and scripts/check run it"
  needs clang++
  rm -f "$log"
  logged "$log" cmake --preset sanitize "-DONNXPORT_DEPS=$ONNXPORT_DEPS"
  logged "$log" cmake --build --preset sanitize --target unit abi --parallel "$(job_count)"
}

check_sanitize() {
  build_sanitize
  ctest --preset sanitize --tests-regex '^(unit|abi)$'
}

check_programs() {
  build_threads
  build_sanitize
}
