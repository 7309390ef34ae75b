#!/bin/sh
# Measures the built-in rules on public lists of user agents: how many people are flagged, how many
# machines are missed. Needs go, npm, node and pip. The lists are fetched into a folder that is removed.
#
#   people    user-agents (BSD-2-Clause) and the devices of device-detector's tests
#   machines  crawler-user-agents (MIT) and the bots of device-detector's tests
set -eu
cd "$(dirname "$0")/../.."
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
go build -o "$lists/processor" ./processor
cd "$lists"
npm pack --silent crawler-user-agents@1.60.0 user-agents@2.1.198 >/dev/null
pip download --quiet --no-deps --no-binary :all: device-detector==6.5.1
for archive in *.tgz *.tar.gz; do
	mkdir "$archive.d"
	tar xzf "$archive" -C "$archive.d"
done

# A line with an agent in a YAML list, with or without quotes.
yaml() { sed -n 's/^  user_agent: //p' "$@" | sed "s/^[\"']//; s/[\"']\$//" | sort -u; }
json() { node -e "console.log([...new Set(require('$1').flatMap($2))].join('\n'))"; }
report() { printf '%s: ' "$1"; ./processor bots --count | tail -n 1; }

fixtures=$(echo device_detector-*.d/*/device_detector/tests/fixtures/upstream)
json "$lists/user-agents-2.1.198.tgz.d/package/dist/user-agents.json" 'a => a.userAgent' | report 'people, user-agents'
yaml "$fixtures"/smartphone*.yml "$fixtures"/phablet*.yml "$fixtures"/tablet*.yml "$fixtures"/desktop*.yml \
	"$fixtures"/feature_phone.yml "$fixtures"/tv*.yml | report 'people, device-detector'
json "$lists/crawler-user-agents-1.60.0.tgz.d/package/crawler-user-agents.json" 'c => c.instances ?? []' |
	report 'machines, crawler-user-agents'
yaml "$fixtures/bots.yml" | report 'machines, device-detector'
