#!/bin/sh
# Compare the processor's handlers with those of commit 4ca0acf, on the records that its own
# programs made (processor/histories/testdata/4ca0acf). The two test on other models of ClickHouse,
# so that only the CPU outside of these counts, by a profile of each round; both run in turn, on one
# core. It prints medians and ratios, in milliseconds: all that the handlers do, reading facts from
# events, and booking sales.
#
#   deploy/bench/handlers.sh [ROUNDS] [ITERATIONS]
set -eu
commit=4ca0acf rounds=${1:-7} iterations=${2:-60}
work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/tree" "$commit"
old=$work/tree/deploy/histories new=$(pwd)/processor/histories
sed 's/newProcessor(/newHouse(/' >"$old/recorded_test.go" <<EOF
package histories

$(sed -n '/^import (/,/^)/p' "$new/recorded_test.go" | grep -v '"fmt"\|"strings"\|processor/ledger')

$(sed -n '/^func recorded(/,/^}/p; /^func bookRecorded(/,/^}/p; /^func BenchmarkRecorded(/,/^}/p' "$new/recorded_test.go" |
    sed 's/\*processor/*house/')
EOF
mkdir -p "$old/testdata" && cp -r "$new/testdata/4ca0acf" "$old/testdata/"
(cd "$work/tree" && go test -c -o "$work/old" ./deploy/histories)
go test -c -o "$work/new" ./processor/histories

models='loadtest|clickhousetest|histories\.insert'
handlers='consume\.\(\*(Money|Payments|Clicks)\)\.[Hh]andle|errgroup'
read='stripe\.\(\*Keys\)\.Read'
book='\.\(\*(Rejoiner|Recomputer)\)\.book'
# sum SIDE FOCUS: prints the milliseconds of the samples under FOCUS.
sum() {
    go tool pprof -top -flat -nodecount=100000 -nodefraction=0 -unit=ms -ignore "$models" -focus "$2" \
        "$work/$1" "$work/$1.prof" 2>/dev/null | awk '/flat%/ { on = 1; next } on { s += $1 } END { print s }'
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for round in $(seq "$rounds"); do
    for side in old new; do
        # The models allocate, too, and who runs when the collector does works for it: let it run rarely.
        (cd "$(eval echo "\$$side")" && GOGC=1000 "$work/$side" -test.run '^$' -test.cpu 1 -test.bench 'Recorded$' \
            -test.benchtime "${iterations}x" -test.cpuprofile "$work/$side.prof" >/dev/null)
        sum $side "$handlers" >>"$work/$side.handlers"
        sum $side "$read" >>"$work/$side.read"
        sum $side "$book" >>"$work/$side.book"
    done
done
for part in handlers read book; do
    awk -v part="$part" -v commit="$commit" -v old="$(median "$work/old.$part")" -v new="$(median "$work/new.$part")" \
        'BEGIN { printf "%s: %d ms, at %s %d ms: ratio %.2f\n", part, new, commit, old, new / old }'
done
