#!/usr/bin/env bash
# Installs what is missing of Debian's packages. Usage: install-deps.sh PACKAGE...
# Starts no daemon: a redis-server that this script brings in is neither started nor enabled.
set -euo pipefail

missing=()
for package in "$@"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-deps: run this as root, or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing from Debian's packages: ${missing[*]}" >&2

# While this stands, package scripts start no services; it is removed again in every case.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
had_redis=$(dpkg-query -W -f '${db:Status-Status}' redis-server 2>/dev/null || true)

log=$(mktemp)
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1
}
if ! install; then
  "${as_root[@]}" apt-get update >"$log" 2>&1 && install ||
    { tail -n 20 "$log" >&2; echo "install-deps: apt-get failed" >&2; exit 1; }
fi
rm -f "$log"

# Debian enables redis-server at boot when it is installed; nobody asked for that here.
if [ "$had_redis" != installed ] && command -v systemctl >/dev/null; then
  "${as_root[@]}" systemctl disable redis-server >/dev/null 2>&1 || true
fi
