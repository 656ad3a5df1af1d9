#!/bin/sh
# latencyd on a bus of its own, watching a generated machine: what it says there, who may ask what,
# and how it takes a changed document and a stop. Run from the build folder.
daemon=${LATENCYD:-./latencyd}
mktree=${MKTREE:-./tests/trees/mktree}
source=$(dirname "$0")/../..
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"
export LC_ALL=C.UTF-8

for tool in dbus-daemon dbus-send; do
	command -v "$tool" >/dev/null || {
		echo "1..0 # SKIP $tool is not installed"
		exit 0
	}
done

work=$(mktemp -d) || exit 99
cleanup() {
	[ -z "$daemon_pid" ] || kill "$daemon_pid"
	[ -z "$bus_pid" ] || kill "$bus_pid"
	rm -rf "$work"
}
trap cleanup EXIT
"$mktree" vm "$work/root" || exit 99
document=$work/root/etc/latencyd/latencyd.yaml

cat >"$work/bus.conf" <<CONF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$work/bus</listen>
  <policy context="default">
    <allow user="*"/>
    <allow receive_sender="*"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>$(cd "$source" && pwd)/units/org.latencyd1.conf</include>
</busconfig>
CONF
chmod 755 "$work"
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus
export DBUS_SYSTEM_BUS_ADDRESS
dbus-daemon --config-file="$work/bus.conf" --nofork --nopidfile >"$work/bus.log" 2>&1 &
bus_pid=$!

call() {
	method=$1
	shift
	dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply --dest=org.latencyd1 \
		/org/latencyd1 "$method" "$@"
}
logged() { grep -qF -- "$1" "$work/log"; }
property() {
	call org.freedesktop.DBus.Properties.Get string:org.latencyd1.Manager string:"$1"
}
manager() { m=$1 && shift && call org.latencyd1.Manager."$m" "$@"; }

soon test -S "$work/bus" || exit 99
"$daemon" --root "$work/root" 2>"$work/log" &
daemon_pid=$!

check "the daemon answers on the bus" soon manager Status
check "Status is the status object" says '"verdict":"drifted"' manager Status
check "Verdict is a property" says 'string "drifted"' property Verdict
check "Generation is a property" says 'uint64 1' property Generation
check "it is not paused" says 'boolean false' property Paused
check "Watching says what is watched" says '"files":' property Watching
check "Plan is what an apply would do" says '"steps":' manager Plan
check "Refresh looks again" manager Refresh
check "a daemon that watches another root refuses to apply" \
	says "org.latencyd1.Error.Refused: this latencyd only watches" manager Apply boolean:false
check "and to pause" says "only watches" manager Pause uint64:60
check "a setting that does not exist is invalid" \
	says "org.latencyd1.Error.Invalid" manager Revert string:no_such_setting

introspected() {
	call org.freedesktop.DBus.Introspectable.Introspect >"$work/introspected"
	grep -oE '(method|property|signal|arg)( type="[a-z]+")? name="[A-Za-z_]+"' \
		"$source/units/org.latencyd1.Manager.xml" | grep -oE 'name="[A-Za-z_]+"' |
		while read -r name; do
			grep -q "$name" "$work/introspected" || echo "the daemon has no $name"
		done
}
check "the published introspection is what the daemon has" [ -z "$(introspected)" ]

# as_nobody: the same calls from another user.
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
if [ "$(id -u)" -eq 0 ] && as_nobody true 2>/dev/null; then
	nobody_manager() {
		m=$1
		shift
		as_nobody dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply \
			--dest=org.latencyd1 /org/latencyd1 org.latencyd1.Manager."$m" "$@"
	}
	check "anyone may read the status" says '"version":1' nobody_manager Status
	check "and the plan" says '"steps":' nobody_manager Plan
	for call in Refresh Resume "Apply boolean:false" "Revert string:" "Measure string:" \
		"Pause uint64:60"; do
		# shellcheck disable=SC2086 # a method and its argument
		check "without polkit only root may ${call%% *}" \
			says "org.latencyd1.Error.Refused: only root may do this" nobody_manager $call
	done
else
	skip "other users may only read" "not root, or no setpriv"
fi

cp "$document" "$work/good.yaml"
printf 'version: 1\nhost: {cpus: {isolated: 2-3}, tick_ofload: isolated}\n' >"$document"
kill -HUP "$daemon_pid"
check "a wrong document is refused and said" soon logged "the old one stays"
check "and the old one is still what counts" says '"verdict":"drifted"' manager Status
"$mktree" vm-tuned "$work/tuned" || exit 99
cp "$work/good.yaml" "$document"

rm -r "$work/root/proc" "$work/root/sys" "$work/root/boot"
cp -r "$work/tuned/." "$work/root/"
dbus-monitor --address "$DBUS_SYSTEM_BUS_ADDRESS" \
	"type='signal',path='/org/latencyd1'" >"$work/signals" 2>/dev/null &
monitor_pid=$!
soon grep -q NameAcquired "$work/signals"
kill -HUP "$daemon_pid"
check "a machine that became verified is announced" soon grep -q '"verified"' "$work/signals"
kill "$monitor_pid" 2>/dev/null
generation() { property Generation | grep -oE 'uint64 [0-9]+' | cut -d' ' -f2; }
check "and the generation went up" test "$(generation)" -ge 2

kill "$daemon_pid"
wait "$daemon_pid"
check "a stop ends it cleanly" [ $? -eq 0 ]
daemon_pid=
check "it wrote nothing below its root" [ ! -e "$work/root/run/latencyd/status.json" ]

rm "$document"
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/nobody "$daemon" --root "$work/root" 2>"$work/log" &
daemon_pid=$!
check "without a document and without a bus it stays up and says so" \
	soon logged "cannot read the document"
check "and still does" kill -0 "$daemon_pid"

catalog_has_each_id() {
	grep -oE '"[0-9a-f]{32}"' "$source/daemon/messages.h" | tr -d '"' | while read -r id; do
		grep -q -- "^-- $id\$" "$source/units/latencyd.catalog" || echo "$id"
		grep -q "$id" "$source/docs/latencyd.8" || echo "$id in latencyd(8)"
	done
}
check "every message id is in the catalog and the man page" [ -z "$(catalog_has_each_id)" ]
finish
