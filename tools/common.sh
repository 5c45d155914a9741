# Shared by the scripts of tools/: steps that say what failed and what to do, package checks, builds. Sourced, never run.
# A script that sources this file has `set -euo pipefail` from it and stands in the root of the repository.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
program=tools/$(basename "$0")
logs=$root/build/logs
cores=$(nproc)

# What a program needs to be built. The tests' own libraries are here too: both commands share one configured build folder.
# The last line is for tools/build-wolfssl.
packages_serve=(
  clang-19 lld-19 cmake ninja-build ccache pkg-config
  liburing-dev libhiredis-dev libisal-dev libmimalloc-dev zlib1g-dev
  libfmt-dev libspdlog-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libboost-dev libboost-test-dev libbenchmark-dev libicu-dev python3 valgrind
  dpkg-dev gcc make autoconf automake libtool
)
# What the tests need besides; prometheus scrapes GET /metrics, and brings promtool; nginx-light and haproxy stand in front of the server. Node.js is looked for by command, because a newer one from elsewhere is as good as Debian's.
packages_test=(libclang-rt-19-dev llvm-19 clang-format-19 python3-websockets chromium openssl curl prometheus nginx-light haproxy redis-server)
# What the package is tried with (tools/test package).
packages_package=(debootstrap lintian man-db python3-seccomp)
# Servers that tools/bench compares with. They are started on loopback with configurations of their own.
packages_bench_peers=(nats-server nginx-light libnginx-mod-nchan)
node_major_min=18
packages_changed=

# fail WHAT WHY ADVICE: the three sentences of a failed step, and the end.
fail() {
  printf '%s: the step "%s" failed: %s\n  what to do: %s\n' "$program" "$1" "$2" "$3" >&2
  exit 1
}

# step NAME ADVICE COMMAND...: runs the command, keeps its output in build/logs, and ends the script if it fails.
step() {
  local name=$1 advice=$2 status=0
  shift 2
  run_logged "$name" "$@" || status=$?
  [ "$status" -eq 0 ] || fail "$name" "$(last_words "$name") (exit status $status, all of it in $(log_of "$name"))" "$advice"
}

log_of() { printf 'build/logs/%s.log' "${1//[^a-zA-Z0-9]/-}"; }

run_logged() {
  local log
  log=$(log_of "$1")
  shift
  mkdir -p "$logs"
  "$@" 2>&1 | tee "$log"
}

# The line of a log that most likely says why: the last one with an error in it, else the last one.
last_words() {
  local log line
  log=$(log_of "$1")
  line=$(grep -iE '(^E: |error|not found|failed)' "$log" | grep -v 'ninja: build stopped' | tail -n 1 || true)
  [ -n "$line" ] || line=$(tail -n 1 "$log")
  printf '%s' "${line:-it said nothing}"
}

# Prints those of the given packages that are not installed. Only asks dpkg, so that a call with nothing to do is quick.
missing_packages() {
  local installed package
  # dpkg-query fails where it has never heard of one of them, and tells of the others all the same.
  installed=" $( (dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true) | awk '$2 == "installed" { printf "%s ", $1 }')"
  for package in "$@"; do
    case $installed in
      *" $package "*) ;;
      *) printf '%s\n' "$package" ;;
    esac
  done
}

# A Node.js that is already there counts if it is new enough and brings npm; else Debian's pair is installed.
missing_node() {
  local major
  if command -v node >/dev/null && command -v npm >/dev/null; then
    major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
    [ "$major" -ge "$node_major_min" ] && return
    fail "look for Node.js" "$(command -v node) is version $major, and the tests need $node_major_min" \
      "remove it or put a newer one first in PATH; without any, Debian's own is installed"
  fi
  if ! command -v node >/dev/null; then printf 'nodejs\n'; fi
  printf 'npm\n'
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages NAME...: does nothing, and calls no apt, when the list is empty.
install_packages() {
  [ "$#" -gt 0 ] || return 0
  printf '%s: installing %s\n' "$program" "$*"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    fail "install Debian packages" "they need root, and sudo is not here" "run as root: apt-get install $*"
  fi
  step "apt-get update" "check the network and the sources in /etc/apt, then call this again" \
    as_root apt-get update -q
  step "apt-get install" "check that this is Debian 12 or newer; by hand: apt-get install $*" \
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
  packages_changed=1
}

# setup_for serve|test|package: everything that part needs, installed when missing.
setup_for() {
  local wanted=("${packages_serve[@]}") missing=()
  command -v dpkg-query >/dev/null ||
    fail "look for Debian packages" "there is no dpkg-query here" "use Debian 12 or newer, or build by hand with CMake (README.md)"
  if [ "$1" != serve ]; then wanted+=("${packages_test[@]}"); fi
  if [ "$1" = package ]; then wanted+=("${packages_package[@]}"); fi
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if [ "$1" != serve ]; then
    local node
    node=$(missing_node)
    if [ -n "$node" ]; then mapfile -t -O "${#missing[@]}" missing <<<"$node"; fi
  fi
  install_packages "${missing[@]}"
  setup_wolfssl
  if [ "$1" != serve ]; then setup_npm; fi
}

# A wolfSSL with AES-NI from the distribution's source. Where that cannot be had, its packaged one does the same, slowly.
setup_wolfssl() {
  local status=0
  tools/build-wolfssl --quiet || status=$?
  case $status in
    0) ;;
    3) if [ -n "$(missing_packages libwolfssl-dev)" ]; then install_packages libwolfssl-dev; fi ;;
    *) fail "build wolfSSL" "tools/build-wolfssl ended with exit status $status" "run it by itself: tools/build-wolfssl --force" ;;
  esac
}

# The npm packages of tests/interop, exactly as its lock file says; again only when the lock file has changed.
setup_npm() {
  local folder=tests/interop
  [ -f $folder/package-lock.json ] || fail "npm packages" "$folder/package-lock.json is missing" "restore it from git"
  if [ $folder/node_modules/.package-lock.json -nt $folder/package-lock.json ]; then return; fi
  step "npm packages" "check the network and npm's registry setting, then call this again" \
    npm ci --prefix $folder --no-audit --no-fund --loglevel=error
  touch $folder/node_modules/.package-lock.json
}

# configure FOLDER SANITIZER: makes build/FOLDER once; afterwards ninja calls CMake by itself when a listfile changes. Where this call has
# installed packages, CMake looks again for what it had not found.
configure() {
  [ -f "build/$1/build.ninja" ] && [ -z "$packages_changed" ] && return
  local type=Release bench=ON
  if [ -n "$2" ]; then type=RelWithDebInfo bench=OFF; fi
  cmake -S . -B "build/$1" -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 \
    -DCMAKE_BUILD_TYPE=$type -DRINGCAST_SANITIZER="$2" -DRINGCAST_BENCH=$bench
}
