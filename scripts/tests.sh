#!/usr/bin/env bash
# Every test, in seven lanes beside each other, and types in an eighth: what is tested on clusters mostly waits, so two
# cores carry them all. Three only compute, and stand back for the others, which have deadlines. Each of the others has a
# bed of its own: an API server, one for the chart's own kinds and roles, and two with real pods. The whole output stays
# in .build/tests.
set -uom pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
logs=.build/tests
lanes=()
parts=(types decide decide-long unit integration releases pods-chart pods-acting)
computing=(nice -n 15)
most=(nice -n 13) # the longest of them, so that they end together
releases=(tests/integration/chart tests/integration/backtest)
# The lanes fill the cores: a Go program that spins on a second one takes it from another lane. A seventh less CPU for the
# tests of the chart on a cluster.
export GOMAXPROCS=1
chart=(tests/e2e/test_chart.py tests/e2e/test_dashboards.py tests/e2e/test_quickstart.py tests/e2e/test_testbed.py)

part() { # part NAME BED MINUTES ARGS…: run, keep the output, say when it is done
  local name=$1 bed=$2 minutes=$3 start=$SECONDS status=0
  shift 3
  TRIMTAB_BED=$bed timeout --foreground --signal=INT --kill-after=60 "${minutes}m" "$@" >"$logs/$name" 2>&1 || status=$?
  [ $status != 124 ] || echo "The part '$name' took more than $minutes minutes and was stopped." | tee -a "$logs/$name"
  printf '%s: %s after %d s\n' "$name" "$([ $status = 0 ] && echo passed || echo FAILED)" $((SECONDS - start))
  [ $status = 0 ] || touch "$logs/$name.failed" "$logs/failed"
}

progress() { # a line a minute: how far each part is that runs now
  while sleep 60; do
    for log in "$logs"/*; do
      [ ! -s "$log" ] || printf '  %s: %s\n' "$(basename "$log")" "$(grep -o '\[ *[0-9]*%\]' "$log" | tail -n 1)"
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
trap 'kill -- -"$shown" 2>/dev/null' EXIT

rm -rf "$logs"
mkdir -p "$logs"
progress & shown=$!
part pods-acting tests-acting 40 "$venv/bin/pytest" tests/e2e -q "${chart[@]/#/--ignore=}" & lanes+=($!)
part pods-chart tests-chart 40 "$venv/bin/pytest" "${chart[@]}" -q & lanes+=($!)
part integration tests-api 40 "$venv/bin/pytest" tests/integration -q "${releases[@]/#/--ignore=}" & lanes+=($!)
part releases tests-own 40 "$venv/bin/pytest" "${releases[@]}" -q & lanes+=($!)
# Coverage is measured without the longest simulations: it would take them twice the time.
part decide unit 40 "${computing[@]}" "$venv/bin/coverage" run --branch --source=operator/trimtab/decide \
  -m pytest tests/unit/decide -q -m "not long" & lanes+=($!)
part decide-long unit 40 "${computing[@]}" "$venv/bin/pytest" tests/unit/decide -q -m long & lanes+=($!)
part unit unit 40 "${most[@]}" "$venv/bin/pytest" tests/unit -q --ignore=tests/unit/decide & lanes+=($!)
part types unit 10 "$venv/bin/mypy" & lanes+=($!)
wait "${lanes[@]}"
for name in "${parts[@]}"; do
  printf '\n== %s ==\n' "$name"
  if [ ! -e "$logs/$name.failed" ]; then tail -n 1 "$logs/$name"; continue; fi
  grep -E '^E  ' "$logs/$name" | cut -c1-300 | head -n 60
  tail -n 150 "$logs/$name"
done
"$venv/bin/coverage" report || touch "$logs/failed"
"$venv/bin/python" -m scripts.branches --at-least 95 operator/trimtab/decide || touch "$logs/failed"
printf 'All tests: %s after %d s\n' "$([ -e "$logs/failed" ] && echo FAILED || echo passed)" $SECONDS
[ ! -e "$logs/failed" ]
