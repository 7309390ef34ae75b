#!/bin/sh
# Compare one benchmark of a package with the same one of an older commit: the CPU time, user and
# system, of so many iterations on one core, in turn. A busy machine makes both slower; the ratio
# of the medians is the figure.
#
#   deploy/bench/against.sh COMMIT ./processor/stripe Read 100000 [ROUNDS]
#
# Where the older commit has the benchmark elsewhere: OLD="./deploy/histories Tell". Compare only
# what does the same work in both.
set -eu
if [ $# -lt 4 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
fi
commit=$1 package=$2 name=$3 iterations=$4 rounds=${5:-7}
[ -n "${OLD:-}" ] || OLD="$package $name"
work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/tree" "$commit"
(cd "$work/tree" && go test -c -o "$work/old" "${OLD% *}")
go test -c -o "$work/new" "$package"

# once DIRECTORY PROGRAM BENCHMARK: prints the CPU time in milliseconds.
once() {
    (cd "$1" && exec bash -c 'TIMEFORMAT="%U %S"; time "$0" -test.run "^$" -test.cpu 1 \
        -test.bench "^Benchmark$1\$" -test.benchtime "$2x" >"$3"' "$2" "$3" "$iterations" "$work/out" 2>&1) |
        awk '{ printf "%d\n", ($1 + $2) * 1000 }'
    grep -q "^Benchmark$3" "$work/out" || { echo "no benchmark $3 in $1" >&2; exit 1; }
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for round in $(seq "$rounds"); do
    once "$work/tree/${OLD% *}" "$work/old" "${OLD#* }" >>"$work/old.ms"
    once "$package" "$work/new" "$name" >>"$work/new.ms"
done
old=$(median "$work/old.ms") new=$(median "$work/new.ms")
awk -v old="$old" -v new="$new" -v name="$name" -v commit="$commit" -v rounds="$rounds" \
    'BEGIN { printf "%s: %d ms, at %s %d ms: ratio %.2f (medians of %d rounds)\n", name, new, commit, old, new / old, rounds }'
