#!/bin/sh
# latencyd on a machine it manages, a fake one (see box.sh): it publishes, starts and stops the
# target, applies again after a boot, answers Apply. Run from the build folder.
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/unit/box.sh
. "$(dirname "$0")/box.sh"
for tool in dbus-daemon dbus-send dbus-monitor; do
	command -v "$tool" >/dev/null || skip_all "$tool is not installed"
done

# The daemon is the child of unshare, the child of a subshell; they do not pass signals on.
kill_daemon() {
	[ -n "$daemon_pid" ] && unshare_pid=$(pgrep -P "$daemon_pid" -x unshare) &&
		pkill "-$1" -P "$unshare_pid"
}
cleanup() {
	kill_daemon KILL
	for pid in $monitor_pid $bus_pid; do
		kill "$pid" 2>/dev/null
	done
	wait
	rm -rf "$work"
}
trap cleanup EXIT

cat >"$work/bus.conf" <<CONF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$root/bus</listen>
  <policy context="default">
    <allow user="*"/> <allow own="*"/>
    <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
CONF
bus=unix:path=$root/bus
dbus-daemon --config-file="$work/bus.conf" --nofork --nopidfile >"$work/bus.log" 2>&1 &
bus_pid=$!
soon test -S "$root/bus" || exit 99
dbus-monitor --address "$bus" >"$work/seen" 2>&1 &
monitor_pid=$!
soon grep -q NameAcquired "$work/seen" || exit 99

# The document's run-time part alone can be verified on a machine that never reboots.
cat >"$root/etc/latencyd/latencyd.yaml" <<'YAML'
version: 1
host:
  cpus: {isolated: 2-3}
  timer_migration: off
  rt_throttling: unmanaged
YAML

start_daemon() {
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=/bus inside /latencyd 2>"$work/log" &
	daemon_pid=$!
}
stop_daemon() {
	kill_daemon TERM
	wait "$daemon_pid"
}
status_is() { grep -q "\"verdict\":\"$1\"" "$root/run/latencyd/status.json"; }
logged() { grep -qF -- "$1" "$work/log"; }
asked() { grep -A2 "member=$1" "$work/seen" | grep -q 'string "latency-verified.target"'; }
manager() {
	m=$1
	shift
	dbus-send --bus="$bus" --print-reply --dest=org.latencyd1 /org/latencyd1 \
		org.latencyd1.Manager."$m" "$@"
}

start_daemon
check "an untuned machine that was never applied to is published as drifted" soon status_is drifted
check "and its target is stopped" soon asked StopUnit
sleep 0.5
check "and it is left alone" [ "$(machine /proc/sys/kernel/timer_migration)" = 1 ]
check "Apply runs latencyctl and gives its exit code" says "int32 0" manager Apply boolean:false
check "the machine is converged" [ "$(machine /proc/sys/kernel/timer_migration)" = 0 ]
check "which is published" soon status_is verified
check "and its target is started" soon asked StartUnit
echo 1 >"$root/proc/sys/kernel/timer_migration"
check "a drift is found by Refresh" manager Refresh
check "and published with the next generation" \
	grep -q '"verdict":"drifted","generation":3' "$root/run/latencyd/status.json"
echo 'nonsense: 1' >>"$root/etc/latencyd/latencyd.yaml"
kill_daemon HUP
check "a document that turned invalid is published as such" \
	soon grep -q '"document_state":"invalid: ' "$root/run/latencyd/status.json"
status_by_the_old_one() {
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=/bus inside /latencyctl status "$@" 2>&1
}
check "status shows what latencyd goes by" \
	says 'timer_migration: drifted since' status_by_the_old_one
check "and where the document is wrong" says 'latencyd.yaml:6:1: ' status_by_the_old_one
check "--json shows it too" says '"document_state": "invalid: ' status_by_the_old_one --json
check "it never exits 0" [ "$(status_by_the_old_one >/dev/null; echo $?)" = 1 ]
sed -i '$d' "$root/etc/latencyd/latencyd.yaml"
stop_daemon
check "a stop is clean" [ $? -eq 0 ]
check "and changes nothing" [ "$(machine /proc/sys/kernel/timer_migration)" = 1 ]
echo 'nonsense: 1' >>"$root/etc/latencyd/latencyd.yaml"
gone=$(status_by_the_old_one)
check "what a latencyd that is gone published is not shown" [ "${gone#*drifted}" = "$gone" ]
sed -i '$d' "$root/etc/latencyd/latencyd.yaml"
check "latencyctl goes on from what was published" \
	says '"generation": 3' inside /latencyctl status --json

start_daemon
check "a restart in the same boot looks at it" soon manager Refresh
sleep 0.5
check "does not tell it a second time" sh -c "! grep -q 'timer_migration drifted' '$work/log'"
check "and changes nothing" [ "$(machine /proc/sys/kernel/timer_migration)" = 1 ]
stop_daemon

rm "$root/run/latencyd/settled" # as a boot does, here of another kernel
echo '#2 SMP PREEMPT_RT another' >"$root/proc/sys/kernel/version"
start_daemon
check "after a boot a machine that was applied to is applied again" soon status_is verified
check "by writing what differs" [ "$(machine /proc/sys/kernel/timer_migration)" = 0 ]
check "and what was wrong before it is told as restored, without waiting for the next pass" \
	soon logged 'timer_migration restored'
check "and that it is verified on another kernel is said at once" \
	soon logged "another one than it was when last verified"
stop_daemon

inside /latencyctl revert --quiet
start_daemon
check "after a revert it is watched only" soon status_is drifted
sleep 0.5
check "and stays reverted" [ "$(machine /proc/sys/kernel/timer_migration)" = 1 ]
stop_daemon
daemon_pid=
finish
