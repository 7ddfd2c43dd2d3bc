#!/usr/bin/env bash
# Make the Python environment: a virtual environment with the pinned dependencies and trimtab itself, editable.
set -euo pipefail
venv=${1:?usage: python-env.sh VENV}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

find_python() {
  local candidate
  for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

run() { # run WHAT CMD…: show what and how long, the output only when it fails
  local what=$1 start=$SECONDS
  shift
  printf '  %s … ' "$what"
  if "$@" >"$log" 2>&1; then printf '%d s\n' $((SECONDS - start)); else printf 'failed\n'; cat "$log"; return 1; fi
}

if ! python=$(find_python) || ! "$python" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    run "Debian packages python3 python3-venv" bash -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv'
    python=$(find_python) || true
  fi
fi
if [ -z "${python:-}" ]; then
  echo "Python 3.11 or newer with venv is missing: install python3 and python3-venv, then run make again." >&2
  exit 1
fi

[ -x "$venv/bin/python" ] || run "virtual environment ($("$python" --version))" "$python" -m venv "$venv"
# uv, of the same lock, brings the rest in a tenth of pip's time; where only pip's own settings reach an index, pip does.
lock=requirements/dev.txt
sed -n '/^uv==/,/[^\\]$/p' "$lock" >"$venv/uv.txt"
pip=("$venv/bin/pip" install -q --disable-pip-version-check --require-hashes)
run "uv, pinned" "${pip[@]}" -r "$venv/uv.txt"
run "pinned dependencies ($lock)" "$venv/bin/uv" pip install -q --python "$venv/bin/python" --require-hashes -r "$lock" ||
  run "pinned dependencies ($lock), by pip" "${pip[@]}" -r "$lock"
run "trimtab, editable" "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
