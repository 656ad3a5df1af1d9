#!/bin/sh
# latencyctl events and what status says of latencyd, on a generated machine with a journal and a
# published status of its own. Run from the build folder.
ctl=${LATENCYCTL:-./latencyctl}
mktree=${MKTREE:-./tests/trees/mktree}
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"
export NO_COLOR=1 LC_ALL=C.UTF-8

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
root=$work/root
"$mktree" vm-tuned "$root" || exit 99
json() { python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' "$1"; }
json_holds() {
	condition=$1
	shift
	"$@" | json "$condition"
}
never_says() {
	text=$1
	shift
	! says "$text" "$@" >/dev/null
}

# ---- events ----

check "without a journal that is said" says "there is no journal below" "$ctl" --root "$root" events
check "and an error" exits 1 "$ctl" --root "$root" events
check "an unknown setting is a usage error" exits 2 "$ctl" --root "$root" events irqs
check "an unknown time is a usage error" exits 2 "$ctl" --root "$root" events --since yesterday
check "more than one setting is a usage error" exits 2 "$ctl" --root "$root" events tsc idle

# entry SECONDS UID FIELD=VALUE...: one entry in journald's export format.
entry() {
	printf '__CURSOR=c%s\n__REALTIME_TIMESTAMP=%s000000\n__MONOTONIC_TIMESTAMP=%s000000\n' "$1" "$1" "$1"
	printf '_BOOT_ID=0123456789abcdef0123456789abcdef\n_UID=%s\n' "$2"
	shift 2
	printf '%s\n' "$@" ''
}
alert() {
	entry "$1" "$2" SYSLOG_IDENTIFIER=latencyd MESSAGE_ID=26f599fbeadc4e0188ba9a8b963c9f94 \
		"LATENCYD_ALERT=0123456789abcdef0123456789abcdef:$1" "LATENCYD_SETTING=$3" \
		"LATENCYD_WAS=$4" "LATENCYD_NOW=$5" "LATENCYD_FOUND=$6" LATENCYD_WANT=0-1 \
		"MESSAGE=$3 $5" LATENCYD_PATH=/proc/irq/24/smp_affinity_list \
		LATENCYD_WRITER_PID=812 LATENCYD_WRITER_UID=0 LATENCYD_WRITER_COMM=irqbalance \
		LATENCYD_WRITER_EXE=/usr/sbin/irqbalance LATENCYD_WRITER_UNIT=irqbalance.service
}
# 1795341600 is 2026-11-22T10:00:00Z.
{
	entry 1795341590 0 SYSLOG_IDENTIFIER=latencyd MESSAGE="only said through stderr"
	alert 1795341600 0 irq_affinity converged drifted 3
	entry 1795341601 0 SYSLOG_IDENTIFIER=latencyd MESSAGE_ID=8a6b1f27d94e4c0bb0c1e6a5387f2c02 \
		LATENCYD_VERDICT=drifted LATENCYD_PREVIOUS_VERDICT=verified MESSAGE="Host is drifted"
	alert 1795341602 1000 irq_affinity converged forged 3
	alert 1795341700 0 timer_migration converged drifted 1
	entry 1795341800 0 SYSLOG_IDENTIFIER=latencyd MESSAGE_ID=a3ed253592f44ea5ba74d943b6162d4d \
		MESSAGE="Repairing is paused"
	entry 1795341900 0 SYSLOG_IDENTIFIER=other MESSAGE_ID=a3ed253592f44ea5ba74d943b6162d4d \
		MESSAGE="of another program"
	entry 1795342000 0 SYSLOG_IDENTIFIER=latencyd MESSAGE_ID=26f599fbeadc4e0188ba9a8b963c9f94 \
		LATENCYD_ALERT=0123456789abcdef0123456789abcdef:9 LATENCYD_SETTING=tsc \
		LATENCYD_GUEST=vnf0 LATENCYD_WAS=converged LATENCYD_NOW=drifted \
		LATENCYD_FOUND=hpet "MESSAGE=tsc drifted"
} >"$work/export"
remote=
for folder in /usr/lib/systemd /lib/systemd; do
	[ ! -x "$folder/systemd-journal-remote" ] || remote=$folder/systemd-journal-remote
done
mkdir -p "$root/var/log/journal"
if [ -n "$remote" ] && "$remote" -o "$root/var/log/journal/lab.journal" "$work/export" >"$work/log" 2>&1; then
	events() { "$ctl" --root "$root" events "$@"; }
	check "events are listed" exits 0 events
	check "with setting, change, found, wanted and who" \
		says "$(printf '2026-11-22T10:00:00Z irq_affinity    converged -> drifted 3     0-1    irqbalance (pid 812, irqbalance.service)')" events
	check "the machine's verdict too" says "(machine)       verified -> drifted" events
	check "and what became of latencyd" says "(latencyd)      Repairing is paused" events
	check "a guest's setting has the guest's name" says "vnf0/tsc" events
	check "what another user sent is no event" never_says "forged" events
	check "nor what another program sent" never_says "of another program" events
	check "nor what has no message id" never_says "stderr" events
	check "the newest is last" says "vnf0/tsc" sh -c '"$0" --root "$1" events | tail -n 1' "$ctl" "$root"
	check "one setting alone" json_holds \
		'[e["setting"] for e in d["events"]] == ["timer_migration"]' \
		"$ctl" --root "$root" events timer_migration --json
	check "from a time on" json_holds \
		'[e["time"] for e in d["events"]] == ["2026-11-22T10:03:20Z", "2026-11-22T10:06:40Z"]' \
		"$ctl" --root "$root" events --since 2026-11-22T10:01:41Z --json
	check "JSON has the cause" json_holds \
		'd["version"] == 1 and d["events"][0]["changed_by"]["unit"] == "irqbalance.service" and d["events"][0]["changed_by"]["pid"] == 812 and d["events"][0]["path"] == "/proc/irq/24/smp_affinity_list"' \
		"$ctl" --root "$root" events --json
	check "and null where nobody was seen" json_holds \
		'd["events"][1]["changed_by"] is None and d["events"][1]["was"] == "verified" and d["events"][1]["now"] == "drifted"' \
		"$ctl" --root "$root" events --json
	check "nothing of a setting that never changed" \
		says "nothing has changed" events idle
else
	skip "events of a journal" "systemd-journal-remote is not installed or does not run here"
fi

# ---- what latencyd says of itself, in status ----

published=$root/run/latencyd/status.json
mkdir -p "$root/run/latencyd"
"$ctl" --root "$root" --json status >"$work/status.json"
# publish STATEMENT: the machine's own status, changed, as latencyd's.
publish() {
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
irq = [s for s in d["settings"] if s["name"] == "irq_affinity"][0]
by = {"pid": 812, "uid": 0, "comm": "irqbalance", "exe": "/usr/sbin/irqbalance",
      "unit": "irqbalance.service", "container": None, "gone": False, "path": "/proc/irq/24/smp_affinity"}
d.update(paused_until=None, watching={"reasons": []}, persistence="ok", last_verified=None,
         document_state="in-force")
exec(sys.argv[3])
json.dump(d, open(sys.argv[2], "w"))' "$work/status.json" "$published" "$1"
}
status() { "$ctl" --root "$root" status "$@"; }

publish 'pass'
check "a latencyd that is well is no news" never_says "latencyd" status
check "its keys are taken over in JSON" json_holds \
	'd["paused_until"] is None and d["persistence"] == "ok" and d["document_state"] == "in-force" and "last_verified" in d and d["watching"] == {"reasons": []}' \
	"$ctl" --root "$root" status --json
publish 'd["paused_until"] = "2026-11-22T10:00:00Z"'
check "a pause is shown" says "nothing is repaired before 2026-11-22T10:00:00Z" status
publish 'd["watching"]["reasons"] = ["no fanotify: \x1b[2J"]'
check "what is not watched is shown, harmless" \
	says "latencyd does not watch everything: no fanotify: ?[2J" status
publish 'd["persistence"] = "No space left on device"'
check "lost persistence is shown" says "cannot keep what it knows: No space left" status
publish 'd["document_state"] = "invalid: latencyd.yaml:4:3: there is no key"'
check "a wrong document is shown with its place" says "the one before: latencyd.yaml:4:3" status
publish 'd["document_state"] = "changed"'
check "a changed document is shown with what takes it over" says "systemctl reload latencyd" status
publish 'd.update(paused_until=5, watching="?", persistence=[], document_state={})'
check "odd keys say nothing" exits 0 status

publish 'irq.update(verdict="contested", reason="irqbalance keeps changing it", since="2026-11-22T10:00:00Z", changed_by=by); d["verdict"] = "degraded"'
check "what is contested is so even while it is right" exits 5 status
check "for verify too" exits 5 "$ctl" --root "$root" verify
check "with the cause" says \
	"changed by irqbalance (pid 812, irqbalance.service) at 2026-11-22T10:00:00Z" status
check "and the file" says "writing /proc/irq/24/smp_affinity" status
check "explain has it too" says "changed by:    irqbalance" "$ctl" --root "$root" explain irq_affinity
check "and JSON" json_holds \
	'[s["changed_by"]["path"] for s in d["settings"] if s["name"] == "irq_affinity"] == ["/proc/irq/24/smp_affinity"] and d["verdict"] == "degraded"' \
	"$ctl" --root "$root" status --json
publish 'irq.update(verdict="drifted", changed_by=by); d["verdict"] = "drifted"'
check "a drift that is over blames nobody" never_says "changed by" status
check "the kernel is believed, not what was published" exits 0 status
publish 'irq.update(verdict="contested", changed_by=by); d["document_digest"] = "another"'
check "what was judged by another document does not count" exits 0 status

# ---- status --watch ----

publish 'pass'
check "--watch of a machine without a document is an error" \
	exits 1 "$ctl" --root "$work" status --watch
check "--watch is status'\'' alone" exits 2 "$ctl" plan --watch
"$ctl" --root "$root" status --watch >"$work/watched" 2>&1 &
watcher=$!
check "--watch shows the state first" soon grep -q "host: verified" "$work/watched"
knob=$root/proc/sys/kernel/timer_migration
echo 1 >"$knob"
check "then each change as a line" \
	soon grep -q "timer_migration: converged -> drifted: " "$work/watched"
echo 0 >"$knob"
check "and back" soon grep -q "timer_migration: drifted -> converged" "$work/watched"
check "the verdict has lines as well" soon grep -q "host: drifted -> verified" "$work/watched"
kill -TERM "$watcher"
wait "$watcher"
check "its exit code is that of the last state" [ $? -eq 0 ]
echo 1 >"$knob"
"$ctl" --root "$root" status --watch --json >"$work/watched" 2>&1 &
watcher=$!
soon grep -q verdict "$work/watched"
publish 'd["last_verified"] = "2026-11-22T10:00:00Z"'
sleep 3
check "--watch --json prints an object a line, and none for what always changes" soon sh -c 'grep -c verdict "$0" | grep -qx 1' "$work/watched"
kill -TERM "$watcher"
wait "$watcher"
check "and exits alike" [ $? -eq 3 ]
check "that is JSON" json 'd["verdict"] == "drifted"' <"$work/watched"
finish
