#!/bin/sh
# Captures of real machines (the lab's, taken with `latencyctl capture`): judged again here, the
# status and the plan must be what they were recorded as. UPDATE=1 records them anew; read the diff.
ctl=${LATENCYCTL:-./latencyctl}
data=${TEST_DATA:-$(dirname "$0")/data}/captures
. "$(dirname "$0")/tap.sh"
export NO_COLOR=1 LC_ALL=C.UTF-8

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

# as_recorded CAPTURE WHAT
as_recorded() {
	mkdir -p "$work/$1"
	tar -xf "$data/$1.tar.gz" -C "$work/$1" || return 1
	"$ctl" --root "$work/$1" "$2" --json >"$work/$1.$2.json"
	if [ -n "$UPDATE" ]; then
		cp "$work/$1.$2.json" "$data/$1.$2.json"
	fi
	diff "$data/$1.$2.json" "$work/$1.$2.json"
}

for capture in "$data"/*.tar.gz; do
	machine=$(basename "$capture" .tar.gz)
	for what in status plan; do
		check "$what of the captured machine \"$machine\" is as recorded" as_recorded "$machine" $what
	done
done
finish
