#!/usr/bin/env bash
# Every test, in two lanes beside each other: most of them wait for a cluster, so two cores carry both.
# Lane 1: unit and integration (API server). Lane 2: end to end (real pods), on a bed of its own.
set -uom pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
logs=$(mktemp -d)
lanes=()

part() { # part NAME BED MINUTES ARGS…: run, keep the output, say when it is done
  local name=$1 bed=$2 minutes=$3 start=$SECONDS status=0
  shift 3
  TRIMTAB_BED=$bed timeout --foreground --signal=INT --kill-after=60 "${minutes}m" "$@" >"$logs/$name" 2>&1 || status=$?
  [ $status != 124 ] || echo "The part '$name' took more than $minutes minutes and was stopped." | tee -a "$logs/$name"
  printf '%s: %s after %d s\n' "$name" "$([ $status = 0 ] && echo passed || echo FAILED)" $((SECONDS - start))
  [ $status = 0 ] || touch "$logs/failed"
}

first() {
  part decide unit 40 "$venv/bin/coverage" run --branch --source=operator/trimtab/decide -m pytest tests/unit/decide -q
  part unit unit 30 "$venv/bin/pytest" tests/unit -q --ignore=tests/unit/decide
  part integration tests-api 40 "$venv/bin/pytest" tests/integration -q
}

progress() { # a line a minute: how far each part is that runs now
  while sleep 60; do
    for log in "$logs"/*; do
      printf '  %s: %s\n' "$(basename "$log")" "$(grep -o '\[ *[0-9]*%\]' "$log" | tail -n 1)"
    done
  done
}

interrupted() { # pytest ends what its fixtures began
  echo "Interrupted: ending the tests and their clusters."
  kill -INT -- "${lanes[@]/#/-}" 2>/dev/null
  wait "${lanes[@]}"
  exit 130
}
trap interrupted INT TERM
trap 'kill -- -"$shown" 2>/dev/null; rm -rf "$logs"' EXIT

progress & shown=$!
first & lanes+=($!)
part end-to-end tests-e2e 40 "$venv/bin/pytest" tests/e2e -q & lanes+=($!)
wait "${lanes[@]}"
for name in decide unit integration end-to-end; do
  printf '\n== %s ==\n' "$name"
  if [ -e "$logs/failed" ]; then tail -n 150 "$logs/$name"; else tail -n 3 "$logs/$name"; fi
done
"$venv/bin/coverage" report || touch "$logs/failed"
"$venv/bin/python" -m scripts.branches --at-least 95 operator/trimtab/decide || touch "$logs/failed"
printf 'All tests: %s after %d s\n' "$([ -e "$logs/failed" ] && echo FAILED || echo passed)" $SECONDS
[ ! -e "$logs/failed" ]
