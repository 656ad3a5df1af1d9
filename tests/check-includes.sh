#!/bin/sh
# The include rule (docs/HACKING.md): who may include whom, one line a room. TAP.
top=${top_srcdir:-.}
n=0
failed=0

# room: the rooms it may include from
check()
{
	room=$1
	shift
	allowed=$(printf '%s|' "$room" "$@")
	n=$((n + 1))
	bad=$(cd "$top" && grep -nE '^#[[:space:]]*include "' -r "$room" --include='*.[ch]' |
		grep -vE "include \"((${allowed%|})/[^\"]+)\"")
	if [ -n "$bad" ]; then
		failed=1
		echo "not ok $n - $room includes only from: $room $*"
		printf '%s\n' "$bad" | sed 's/^/# /'
	else
		echo "ok $n - $room includes only from: $room $*"
	fi
}

echo 1..7
check state
check probes state
check actuators state
check measure state probes
check guest state probes
check daemon state probes actuators measure guest
check ctl state probes actuators measure guest daemon
exit $failed
