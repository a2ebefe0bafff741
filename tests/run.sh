#!/usr/bin/env bash
# Installs what is missing, builds with -Werror and the sanitizers, runs every test, and closes
# with a line `N passed, N failed, N skipped`. Arguments go to ctest (as -R NAME).
set -uo pipefail
cd "$(dirname "$0")/.."

./deploy/install-deps.sh build-essential cmake ninja-build pkg-config libhiredis-dev libdeflate-dev \
  libcurl4-openssl-dev libmsgpack-dev libev-dev libpng-dev libjpeg62-turbo-dev libjson-c-dev \
  libssl-dev libmicrohttpd-dev libcmocka-dev redis-server openssl python3 python3-msgpack iproute2 || exit 1

build=${GENFARM_TEST_BUILD:-build-test}
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DWERROR=ON \
  -DSANITIZE=address,undefined >/dev/null || exit 1
ninja -C "$build" || exit 1

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
log=$(mktemp)
(cd "$build" && ctest --output-on-failure -j "$(nproc)" --timeout 300 "$@") 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# ctest counts a skipped test among the passed: tell them apart.
total=$(sed -n 's/.*tests failed out of \([0-9]*\).*/\1/p' "$log" | tail -n 1)
failed=$(sed -n 's/.*, \([0-9]*\) tests failed out of.*/\1/p' "$log" | tail -n 1)
skipped=$(grep -c '\*\*\*Skipped' "$log")
rm -f "$log"
if [ -z "${total:-}" ] || [ "$total" -eq 0 ]; then
  echo "no tests were run" >&2
  exit 1
fi
echo "$((total - failed - skipped)) passed, $failed failed, $skipped skipped"
exit "$status"
