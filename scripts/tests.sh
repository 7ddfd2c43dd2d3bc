#!/usr/bin/env bash
# Every test, in two lanes beside each other: most of them wait for a cluster, so two cores carry both.
# Lane 1: unit and integration (API server). Lane 2: end to end (real pods), on a bed of its own.
set -uo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

lane() { # lane NAME BED ARGS…: run, keep the output, say when it is done
  local name=$1 bed=$2 start=$SECONDS status=0
  shift 2
  TRIMTAB_BED=$bed "$@" >"$logs/$name" 2>&1 || status=$?
  printf '%s tests: %s after %d s\n' "$name" "$([ $status = 0 ] && echo passed || echo FAILED)" $((SECONDS - start))
  return $status
}

failed=0
lane end-to-end tests-e2e "$venv/bin/pytest" tests/e2e -q &
e2e=$!
lane unit unit "$venv/bin/coverage" run --source=operator/trimtab/decide -m pytest tests/unit -q || failed=1
lane integration tests-api "$venv/bin/pytest" tests/integration -q || failed=1
wait $e2e || failed=1
for name in unit integration end-to-end; do
  printf '\n== %s ==\n' "$name"
  if [ $failed = 0 ]; then tail -n 3 "$logs/$name"; else tail -n 150 "$logs/$name"; fi
done
"$venv/bin/coverage" report --fail-under=95 || failed=1
exit $failed
