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

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Shows a command as it would be typed, and runs it. 75 is no failure: the play waits for an answer.
run() {
    local word typed=''
    for word in "$@"; do
        case $word in *[\ \"]*) word="'$word'" ;; esac
        typed+=" $word"
    done
    printf '%s$%s%s\n' "$bold" "$typed" "$plain"
    "$@" </dev/null || [ $? -eq 75 ]
}

# What an expression finds in the JSON that comes in: `… | pick 'it["items"]'`.
pick() { python -c "import json, sys; it = json.load(sys.stdin); print($1)"; }

say "1. A release starts. Commits are read, a version is proposed, notes are drafted; then a person is asked."
run hero_logic run flow.py
play=$(hero_logic plays --json | pick 'it["items"][0]["sid"]')

say "2. No process is left. The question is on disk, and could be answered next year, after a reboot."
run hero_logic inbox
say "   This is the draft that it offers for editing:"
hero_logic inbox --json | pick 'it["items"][0]["request"]["ui"]["default"]' | sed 's/^/     /'

say "3. The person edits the notes, approves, and lets a few users have it first."
run hero_logic resume "$play" notes '"Greetings end without a full stop, and they may be French."'
run hero_logic resume "$play" approve true
run hero_logic resume "$play" rollout '"canary"'

say "4. The release is out. What had run before a question was replayed after it, and did not run again."
run hero_logic show "$play"

say "5. And this is what was deployed."
run cat deployments/v1.0.0.json
printf '\n'
