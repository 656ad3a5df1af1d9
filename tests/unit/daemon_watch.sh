#!/bin/sh
# latencyd watching a generated machine on a tmpfs of its own: a write to one of its files is told with
# the name of who wrote. Run from the build folder, as root.
daemon=${LATENCYD:-./latencyd}
mktree=${MKTREE:-./tests/trees/mktree}
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"
export LC_ALL=C.UTF-8

if [ -z "$IN_NAMESPACE" ]; then
	unshare -m true 2>/dev/null || {
		echo "1..0 # SKIP a mount namespace of its own is refused here (not root?)"
		exit 0
	}
	IN_NAMESPACE=1 exec unshare -m --propagation private "$SHELL" "$0"
fi

work=$(mktemp -d) || exit 99
cleanup() {
	[ -z "$daemon_pid" ] || kill "$daemon_pid"
	umount -l "$work"
	rmdir "$work"
}
trap cleanup EXIT
mount -t tmpfs watched "$work" || exit 99
"$mktree" vm "$work/root" || exit 99
document=$work/root/etc/latencyd/latencyd.yaml
throttling=$work/root/proc/sys/kernel/sched_rt_runtime_us
printf -- '-1\n' >"$throttling"

DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/no-bus
export DBUS_SYSTEM_BUS_ADDRESS
"$daemon" --root "$work/root" 2>"$work/log" &
daemon_pid=$!

logged() { grep -qF -- "$1" "$work/log"; }
count() { grep -cF -- "$1" "$work/log"; }
# By a program that lives long enough to be named; as long as the right value, so that nothing is
# truncated in between.
cp "$(command -v dash || command -v sh)" "$work/stranger"
set_throttling() {
	"$work/stranger" -c "printf '%s\n' '$1' 1<>'$throttling' >&1; sleep 0.4"
}

soon logged "Host is" || exit 99
if logged "passes only"; then
	echo "1..0 # SKIP fanotify is refused here"
	exit 0
fi

set_throttling 95
check "a write that makes a setting drift is told" soon logged 'rt_throttling drifted: found "95"'
check "the writer is named" soon logged "changed by stranger (pid "
set_throttling -1
check "its end is told" soon logged "rt_throttling restored"

told=$(wc -l <"$work/log")
set_throttling -1
printf '0-1\n' >"$work/root/proc/sys/kernel/unwatched"
sleep 1
check "a write that changes nothing is not told" test "$(wc -l <"$work/log")" = "$told"

printf 'nonsense: [\n' >>"$document"
check "a document that turns invalid is told with line and column" \
	soon grep -qE 'latencyd\.yaml:[0-9]+:[0-9]+' "$work/log"
check "and the old one stays in force: the daemon lives" kill -0 "$daemon_pid"

for _ in 1 2 3 4 5; do
	set_throttling 95
	set_throttling -1
done
check "a program that keeps changing it is contested, and named" \
	soon grep -qE 'rt_throttling.*contested.*stranger' "$work/log"
check "contested is told once" test "$(grep -cE 'rt_throttling.* contested' "$work/log")" = 1
finish
