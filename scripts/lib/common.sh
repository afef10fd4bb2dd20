# shellcheck shell=bash
# What every script here shares: messages, the cache's place, and steps that stay quiet unless they fail.

ONNXPORT_DEPS="${ONNXPORT_DEPS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/onnxport/deps}"
case "$ONNXPORT_DEPS" in
  /*) ;;
  *) ONNXPORT_DEPS="$PWD/$ONNXPORT_DEPS" ;;
esac
# CMake reads the same variable, so the build looks where set-up wrote.
export ONNXPORT_DEPS

# Set by whatever did work, so that set-up can tell "done" from "nothing to do".
ONNXPORT_DID_WORK=0

say() { printf '%s\n' "$*"; }

step() {
  ONNXPORT_DID_WORK=1
  say "-- $*"
}

did_work() { [ "$ONNXPORT_DID_WORK" -eq 1 ]; }

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# logged LOG COMMAND...: runs the command with its output in LOG, and shows the end of it only on failure.
logged() {
  local log="$1" status=0
  shift
  mkdir -p "${log%/*}"
  printf '$ %s\n' "$*" >>"$log"
  "$@" >>"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 15 "$log" | sed 's/^/       | /' >&2
    die "'$1' failed with status $status." "The whole log: $log"
  fi
}

# One C++ compiler needs about 1 GB here: more jobs than that swap, and a small build server then takes hours.
job_count() {
  local cores memory
  cores="$(nproc 2>/dev/null || echo 1)"
  memory="$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null || true)"
  if [ -n "$memory" ] && [ "$memory" -lt "$cores" ]; then cores="$memory"; fi
  [ "$cores" -ge 1 ] || cores=1
  printf '%s\n' "$cores"
}

# Debian's own interpreter: set-up has checked that its pip is there, which says nothing of another one in PATH.
python() {
  if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi
}

# pip_fetch FOLDER LOG REQUIREMENT SHA256 [PIP OPTION...]: one file from the Python registry, which pip compares
# with the sum before it looks inside.
pip_fetch() {
  local folder="$1" log="$2" requirement="$3" sum="$4"
  shift 4
  mkdir -p "$folder"
  printf '%s --hash=sha256:%s\n' "$requirement" "$sum" >"$folder/requirement.txt"
  logged "$log" python -m pip --disable-pip-version-check download --progress-bar off --no-deps --require-hashes \
    "$@" --dest "$folder" --requirement "$folder/requirement.txt"
}

# is_ready FOLDER KEY: whether FOLDER holds the finished result of exactly this recipe.
is_ready() {
  local found=""
  [ -f "$1/.recipe" ] || return 1
  read -r found <"$1/.recipe" || true
  [ "$found" = "$2" ]
}

# provide FOLDER KEY FUNCTION LOG: calls FUNCTION WORK STAGE, and renames STAGE to FOLDER once all of it is there.
# A folder of that name is thus always whole, also after a crash, and two set-ups at once do the work once.
provide() {
  local folder="$1" key="$2" recipe="$3" log="$4"
  if is_ready "$folder" "$key"; then return 0; fi
  mkdir -p "$ONNXPORT_DEPS" || die "cannot create $ONNXPORT_DEPS." "Set ONNXPORT_DEPS to a folder that can be written."
  (
    exec 9>"$ONNXPORT_DEPS/.lock"
    if ! flock -n 9; then
      say "-- waiting for another set-up that is using $ONNXPORT_DEPS"
      flock 9
    fi
    if is_ready "$folder" "$key"; then exit 0; fi
    # Whoever holds the lock is alone here: what lies about is from a run that was killed.
    rm -rf "$ONNXPORT_DEPS"/.work.*
    work="$(mktemp -d "$ONNXPORT_DEPS/.work.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    rm -f "$log"
    mkdir "$work/stage"
    "$recipe" "$work" "$work/stage" "$log"
    printf '%s\n' "$key" >"$work/stage/.recipe"
    if [ -e "$folder" ]; then mv "$folder" "$work/old"; fi
    mv "$work/stage" "$folder"
  )
  ONNXPORT_DID_WORK=1
}
