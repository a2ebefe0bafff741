#!/usr/bin/env bash
# Installs what is missing, builds a release, and makes the 24 sample pictures: with Gemini when a
# key is in the environment, else with the bundled emulator, whose pictures are stand-ins.
set -euo pipefail
cd "$(dirname "$0")/.."

./deploy/install-deps.sh build-essential cmake ninja-build pkg-config libhiredis-dev libdeflate-dev \
  libcurl4-openssl-dev libmsgpack-dev libev-dev libpng-dev libjpeg62-turbo-dev libjson-c-dev \
  libssl-dev libmicrohttpd-dev libcmocka-dev redis-server ca-certificates

echo "Building ..."
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >build.log 2>&1 ||
  { cat build.log >&2; exit 1; }
ninja -C build genfarm-cli genfarm-worker gemini-emulator >>build.log 2>&1 ||
  { tail -n 40 build.log >&2; exit 1; }
rm -f build.log

out=genfarm-output
emulator=
stop() {
  if [ -n "$emulator" ]; then
    kill "$emulator" 2>/dev/null || true
    wait "$emulator" 2>/dev/null || true
  fi
  rm -rf "${place:-}"
}
trap stop EXIT

if [ -n "${GOOGLE_API_KEY:-}${GEMINI_API_KEY:-}" ]; then
  echo "A Gemini key is set: asking Gemini for 24 pictures (this costs money)."
else
  echo "No Gemini key is set (GEMINI_API_KEY): the bundled emulator draws STAND-INS, no AI pictures."
  place=$(mktemp -d)
  ./build/bin/gemini-emulator --port-file "$place/port" --latency 300ms >/dev/null 2>&1 &
  emulator=$!
  for _ in $(seq 200); do [ -s "$place/port" ] && break; sleep 0.05; done
  [ -s "$place/port" ] || { echo "the emulator did not start" >&2; exit 1; }
  GOOGLE_GEMINI_BASE_URL="http://127.0.0.1:$(cat "$place/port")"
  GEMINI_API_KEY=emulator
  export GOOGLE_GEMINI_BASE_URL GEMINI_API_KEY
fi

batch="quickstart-$(date -u +%Y%m%d-%H%M%S)"
status=0
./build/bin/genfarm run deploy/samples/sample.json --batch "$batch" -o "$out" || status=$?

echo
echo "Images:         $out/$batch/images/"
echo "Manifest:       $out/$batch/manifest.jsonl"
echo "Contact sheet:  $out/$batch/contact_sheet.png"
[ -z "$emulator" ] || echo "These pictures are stand-ins drawn by the emulator, not by Gemini."
echo
echo "Next:  export GEMINI_API_KEY=...   and then"
echo "       ./build/bin/genfarm preview deploy/samples/sample.json     # what it would send, and cost"
echo "       ./build/bin/genfarm run your-prompts.jsonl -o pictures"
exit "$status"
