#!/bin/sh
# Measures the built-in rules on public lists of user agents: how many people are flagged, how many
# machines are missed. Needs go, npm, node and pip. The lists are fetched into a folder that is removed.
#
#   people    user-agents (BSD-2-Clause), the devices of device-detector's tests; fake-useragent
#             (Apache-2.0), top-user-agents (MIT), and the lists of go-useragent (MIT), of which
#             the last, of a video site's visitors, has some machines in it
#   machines  crawler-user-agents (MIT), the bots of device-detector's tests; ai-crawler-index (MIT)
#
# The rules were written with user-agents, device-detector and crawler-user-agents in view, not with
# the others. What is flagged of people, or missed of machines, is printed for these.
set -eu
cd "$(dirname "$0")/../.."
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
go build -o "$lists/processor" ./processor
cd "$lists"
npm pack --silent crawler-user-agents@1.60.0 user-agents@2.1.198 top-user-agents@2.1.138 >/dev/null
pip download --quiet --no-deps --no-binary :all: device-detector==6.5.1
pip download --quiet --no-deps fake-useragent==2.2.0 ai-crawler-index==1.3.0
for wheel in *.whl; do python3 -m zipfile -e "$wheel" "$wheel.d"; done
visitors=$(go mod download -json github.com/medama-io/go-useragent@v1.2.5 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/data
for archive in *.tgz *.tar.gz; do
	mkdir "$archive.d"
	tar xzf "$archive" -C "$archive.d"
done

# A line with an agent in a YAML list, with or without quotes.
yaml() { sed -n 's/^  user_agent: //p' "$@" | sed "s/^[\"']//; s/[\"']\$//" | sort -u; }
json() { node -e "console.log([...new Set(require('$1').flatMap($2))].join('\n'))"; }
flagged() { # flagged NAME: how many are flagged, and which
	tee agents | report "people, $1"
	./processor bots agents | grep -v '^-	' || true
}
missed() {
	tee agents | report "machines, $1"
	./processor bots agents | grep '^-	' || true
}
report() { printf '%s: ' "$1"; ./processor bots --count | tail -n 1; }

fixtures=$(echo device_detector-*.d/*/device_detector/tests/fixtures/upstream)
json "$lists/user-agents-2.1.198.tgz.d/package/dist/user-agents.json" 'a => a.userAgent' | report 'people, user-agents'
yaml "$fixtures"/smartphone*.yml "$fixtures"/phablet*.yml "$fixtures"/tablet*.yml "$fixtures"/desktop*.yml \
	"$fixtures"/feature_phone.yml "$fixtures"/tv*.yml | report 'people, device-detector'
json "$lists/crawler-user-agents-1.60.0.tgz.d/package/crawler-user-agents.json" 'c => c.instances ?? []' |
	report 'machines, crawler-user-agents'
yaml "$fixtures/bots.yml" | report 'machines, device-detector'
jsonl() { node -e "for (const l of require('fs').readFileSync('$1', 'utf8').trim().split('\n')) console.log(JSON.parse(l).useragent)"; }
jsonl fake_useragent*.d/fake_useragent/data/browsers.jsonl | sort -u | flagged fake-useragent
json "$lists/top-user-agents-2.1.138.tgz.d/package/src/index.json" 'a => a' | flagged top-user-agents
sort -u "$visitors/4.txt" | flagged 'go-useragent, list 4'
sort -u "$visitors/5.txt" | flagged 'go-useragent, list 5'
node -e "for (const c of require('$(echo "$lists"/ai_crawler_index*.d/ai_crawler_index/data.json)').crawlers) console.log(c.ua)" |
	sort -u | missed ai-crawler-index
