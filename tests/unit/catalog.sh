#!/bin/sh
# The journal's catalog: an entry for each message id and none besides, and journalctl takes it.
source=$(dirname "$0")/../..
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
catalog=$source/units/latencyd.catalog
messages=$source/daemon/messages.h

grep -oE '"[0-9a-f]{32}"' "$messages" | tr -d '"' | sort >"$work/ids"
sed -n 's/^-- \([0-9a-f]\{32\}\)$/\1/p' "$catalog" | sort >"$work/explained"

nothing() { ! grep .; }
ids_are_unique() { uniq -d "$work/ids" | nothing; }
each_is_explained() { diff "$work/ids" "$work/explained"; }
each_is_sent() {
	grep -oE 'MESSAGE_[A-Z_]+_ID' "$messages" | while read -r name; do
		grep -qr --include='*.c' "$name" "$source/daemon" || echo "nothing sends $name"
	done | nothing
}
# journalctl prints a field that an entry does not have by its name.
fields_are_sent() {
	grep -oE '@[A-Z_]+@' "$catalog" | tr -d @ | sort -u | while read -r name; do
		grep -q "\"${name}[=\"]" "$source"/daemon/journal*.c || echo "nothing sends $name"
	done | nothing
}
lines_fit() { awk 'length > 100' "$catalog" | nothing; }

check "there are message ids" test -s "$work/ids"
check "no message id is used twice" ids_are_unique
check "each message id is explained, and nothing else is" each_is_explained
check "each message id is sent" each_is_sent
check "the explanations name fields that are sent" fields_are_sent
check "the explanations fit a terminal" lines_fit

# journalctl compiles a catalog of its own below another root.
compile() {
	mkdir -p "$work/root/usr/lib/systemd/catalog" &&
		cp "$catalog" "$work/root/usr/lib/systemd/catalog" &&
		journalctl --root="$work/root" --update-catalog
}
compiled() {
	journalctl --root="$work/root" --list-catalog >"$work/list" || return 1
	sed 's/ .*//' "$work/list" | sort | diff "$work/ids" -
}
if command -v journalctl >/dev/null; then
	check "journalctl compiles the catalog" compile
	check "journalctl knows each message id then" compiled
else
	skip "journalctl compiles the catalog" "journalctl is not installed"
fi
finish
