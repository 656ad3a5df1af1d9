#!/bin/sh
# latencyctl as a person meets it, on generated machines: exit codes, JSON, the text of errors, and
# that what only reads writes nothing. Run from the build folder.
ctl=${LATENCYCTL:-./latencyctl}
mktree=${MKTREE:-./tests/trees/mktree}
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"
export NO_COLOR=1 LC_ALL=C.UTF-8

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
for machine in vm vm-pending vm-tuned holes offline overlapping-nodes; do
	"$mktree" "$machine" "$work/$machine" || exit 99
done
json() { python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' "$1"; }

json_holds() {
	condition=$1
	shift
	"$@" | json "$condition"
}

check "status of a stock machine exits 3" exits 3 "$ctl" --root "$work/vm" status
printf 'version: 1\nhost:\n  cpus: {isolated: 2-3}\n  tick_offload: isolated\n' >"$work/boot.yaml"
check "status of a machine that waits for its reboot exits 4" \
	exits 4 "$ctl" --root "$work/vm-pending" --document "$work/boot.yaml" status
check "and says how to get it" \
	says "latencyctl apply --reboot" \
	"$ctl" --root "$work/vm-pending" --document "$work/boot.yaml" status
check "status of a tuned machine exits 0" exits 0 "$ctl" --root "$work/vm-tuned" status
check "verify agrees with status" exits 0 "$ctl" --root "$work/vm-tuned" verify
check "verify --wait gives up in time" exits 3 "$ctl" --root "$work/vm" verify --wait 1
check "quiet status says nothing" [ -z "$("$ctl" --root "$work/vm" status --quiet 2>&1)" ]
check "piped tables carry no escape sequences" \
	[ -z "$("$ctl" --root "$work/vm" status | tr -d '\n[:print:]' | tr -d '\200-\377')" ]
check "options may stand before or after the command" \
	exits 3 "$ctl" status --root "$work/vm" --quiet

check "stock machine in JSON: every setting of the document drifted, with evidence" \
	json_holds 'd["verdict"] == "drifted" and all(s["verdict"] == "drifted" and (s["evidence"] or s["items"]) for s in d["settings"] if s["verdict"] != "unmanaged") and len(d["settings"]) >= 14' \
	"$ctl" --root "$work/vm" --json status
check "status in JSON has the documented keys" \
	json_holds 'list(d) == ["version", "machine", "verdict", "generation", "document", "document_digest", "boot_id", "kernel", "cpus", "settings", "guests"] and list(d["settings"][0]) == ["name", "verdict", "severity", "want", "live", "next_boot", "reason", "since", "changed_by", "evidence", "items"]' \
	"$ctl" --root "$work/vm" --json status
check "plan of a stock machine has steps and ends in the reboot" \
	json_holds 'd["needs_reboot"] and d["steps"][-1]["kind"] == "reboot" and all(s["disruption"] for s in d["steps"])' \
	"$ctl" --root "$work/vm" --json plan
check "plan of a tuned machine is empty" \
	json_holds 'd["steps"] == [] and not d["needs_reboot"]' \
	"$ctl" --root "$work/vm-tuned" --json plan
check "plan of a tuned machine says so" says "nothing to do" "$ctl" --root "$work/vm-tuned" plan
check "explain in JSON has the row and what is now" \
	json_holds 'd["name"] == "irq_affinity" and d["now"]["verdict"] == "drifted"' \
	"$ctl" --root "$work/vm" --json explain irq_affinity
check "explain lists every setting" \
	json_holds 'len(d["settings"]) >= 14' "$ctl" --json explain
check "explain works without a document" \
	says "not judged" "$ctl" --root "$work" explain tsc
check "validate accepts what mktree wrote" \
	exits 0 "$ctl" validate "$work/vm/etc/latencyd/latencyd.yaml"
check "runs of a machine without any" says "no run is kept" "$ctl" --root "$work/vm" runs
for machine in holes offline overlapping-nodes; do
	check "status --json of machine $machine is JSON" \
		json_holds 'd["version"] == 1' "$ctl" --root "$work/$machine" --json status
done

mkdir -p "$work/vm/run/latencyd"
echo '{"version":1,"verdict":"drifted","generation":7,"settings":[{"name":"tsc","verdict":"drifted","since":"2020-01-01T00:00:00Z"}]}' \
	>"$work/vm/run/latencyd/status.json"
check "since and generation follow what was published" \
	json_holds 'd["generation"] == 7 and [s["since"] for s in d["settings"] if s["name"] == "tsc"] == ["2020-01-01T00:00:00Z"]' \
	"$ctl" --root "$work/vm" --json status
echo '[[[' >"$work/vm/run/latencyd/status.json"
check "a published status that is nonsense is ignored" exits 3 "$ctl" --root "$work/vm" status
rm -r "$work/vm/run/latencyd"

printf 'version: 1\nhost:\n  cpus: {isolated: 2-3}\n  tick_ofload: isolated\n' >"$work/wrong.yaml"
check "a wrong document is refused with its position" \
	says "$work/wrong.yaml:4:3: " "$ctl" validate "$work/wrong.yaml"
check "and with what to do" says "tick_offload" "$ctl" validate "$work/wrong.yaml"
check "and exit code 1" exits 1 "$ctl" validate "$work/wrong.yaml"
check "in JSON too" json_holds 'd["valid"] is False and d["error"]["what"]' \
	"$ctl" --json validate "$work/wrong.yaml"
check "--document replaces the root's document" \
	says "wrong.yaml:4:3: " "$ctl" --root "$work/vm" --document "$work/wrong.yaml" status
check "a missing document is an error that says what to do" \
	says "  → " "$ctl" --root "$work" status
check "a missing root is an error" exits 1 "$ctl" --root "$work/nothing" status

check "no command is a usage error" exits 2 "$ctl"
check "an unknown command is a usage error" exits 2 "$ctl" statsu
check "an unknown option is a usage error" exits 2 "$ctl" status --jsn
check "an option of another command is a usage error" exits 2 "$ctl" status --reboot
check "an argument too many is a usage error" exits 2 "$ctl" status now
check "a missing argument is a usage error" exits 2 "$ctl" validate
check "--wait takes whole seconds only" exits 2 "$ctl" verify --wait 5m
check "--allow takes disruption classes only" exits 2 "$ctl" apply --allow reboot
check "an unknown setting is a usage error" exits 2 "$ctl" explain irqs
for command in apply revert measure pause resume; do
	check "$command refuses --root" \
		says "works on the running machine" "$ctl" --root "$work/vm" $command
done
check "--for takes a time" exits 2 "$ctl" pause --for soon
check "--resume means another thing to revert, and is not in its help" \
	[ -z "$("$ctl" revert --help | grep -e --resume)" ]
check "help names every command" says "capture" "$ctl" --help
check "help of a command names its options" says "--wait" "$ctl" verify --help

# shellcheck disable=SC2016 # the inner shell expands
check "a capture is judged like its machine" sh -c '
	"$0" --root "$1/vm" --quiet capture "$1/captured" &&
	"$0" --root "$1/vm" --json status >"$1/a.json"
	"$0" --root "$1/captured" --json status >"$1/b.json"
	cmp "$1/a.json" "$1/b.json"' "$ctl" "$work"
check "a capture into a folder with files is refused" \
	exits 1 "$ctl" --root "$work/vm" capture "$work/captured"

# writes COMMAND...: the calls that could change a file or another process, by tracing.
# The leak checker cannot work in a traced process.
writes() {
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o "$work/trace" \
		-e trace=open,openat,openat2,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2,mount,chmod,fchmod,fchmodat,sched_setaffinity,sched_setscheduler,sched_setattr \
		"$@" >"$work/out" 2>&1
	grep -E 'O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|^[0-9 ]*(creat|mkdir|unlink|rename|mount|f?chmod|sched_set)' "$work/trace" |
		grep -v -e '"/dev/null"' -e '"/dev/tty"'
}
writes_nothing() {
	found=$(writes "$@")
	[ -s "$work/trace" ] || { echo "nothing was traced"; return 1; }
	[ -z "$found" ] || { echo "$found"; return 1; }
}
if strace -o /dev/null true 2>/dev/null; then
	for command in status plan verify explain "explain tsc" runs; do
		# shellcheck disable=SC2086 # "explain tsc" is two words
		check "$command writes nothing" writes_nothing "$ctl" --root "$work/vm" $command
	done
else
	skip "read-only commands write nothing" "strace is not installed or may not trace"
fi

finish
