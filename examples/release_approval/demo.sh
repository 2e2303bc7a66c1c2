#!/usr/bin/env bash
# The release approval as a story, in a data directory that is thrown away: `make demo`.
#
#     demo.sh BIN      BIN holds the installed programs
set -euo pipefail

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)

# Short, because the path of a Unix socket may have 107 bytes.
scratch=$(mktemp -d /tmp/hero_demo_XXXXXX)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
export HERO_HOME=$scratch/hero PATH=$bin:$PATH
cp "$here"/*.py .

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

# Shows a command as it would be typed, and runs it. 75 is no failure: the play waits for an answer.
run() {
    printf '$ %s\n' "$*"
    "$@" </dev/null || [ $? -eq 75 ]
}

say "1. A release starts: commits are read and notes are drafted. Then it has a question for a person."
run hero_logic run flow.py

play=$(hero_logic plays --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["sid"])')
say "2. Nothing runs now; the question is on disk. It could be answered next year, on a rebooted machine."
run hero_logic inbox

say "3. A person edits the notes, approves, and rolls out to a few users first."
run hero_logic resume "$play" notes '"v1.0.0: greetings end without a full stop"'
run hero_logic resume "$play" approve true
run hero_logic resume "$play" rollout '"canary"'

say "4. The release is out. What ran before a question was replayed after it, not run again."
run hero_logic show "$play"

say "This is what was deployed:"
run cat deployments/v1.0.0.json
printf '\n'
