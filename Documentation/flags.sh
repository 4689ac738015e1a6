#!/usr/bin/env bash
# flags.sh: writes the table of flags in Compatibility.md anew, from `martlet --help`.
#   Documentation/flags.sh [MARTLET]     default: .build/release/martlet
# Belongs here: turning help text into a table. Never here: what a flag does; that is said in the
# flag table of Sources/Server/Configuration, which --help prints.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
MARTLET=${1:-$HERE/../.build/release/martlet}
PAGE=$HERE/Compatibility.md
TABLE=$(mktemp)
trap 'rm -f "$TABLE" "$PAGE.new"' EXIT

"$MARTLET" --help | awk '
  function emit() {
    if (flag == "") return
    standing = "implemented"; reason = ""
    if (match(help, / *No effect: /)) standing = "no effect"
    else if (match(help, / *Refused: /)) standing = "refused"
    if (standing != "implemented") {
      reason = substr(help, RSTART + RLENGTH)
      help = substr(help, 1, RSTART - 1)
    }
    older = ""
    if (match(help, / *Older name: [^.]*\./)) {
      older = substr(help, RSTART, RLENGTH)
      help = substr(help, 1, RSTART - 1) substr(help, RSTART + RLENGTH)
      sub(/ *Older name: /, "", older); sub(/\.$/, "", older)
      gsub(/, /, "`, `", older); older = " (`" older "`)"
    }
    if (help == "See etcd.") help = ""
    gsub(/\|/, "\\|", help); gsub(/\|/, "\\|", standard)
    text = help; if (reason != "") text = (help == "" ? "" : help " ") "*" reason "*"
    printf "| `%s`%s | %s | %s | %s |\n", flag, older, (standard == "" ? "" : "`" standard "`"), standing, text
    flag = ""; help = ""
  }
  /^[A-Z].*:$/ { emit(); printf "\n**%s**\n\n| flag | default | standing | what it does, or why not |\n|---|---|---|---|\n", substr($0, 1, length($0) - 1); next }
  /^  --/ {
    emit(); flag = $1; standard = ""
    if (match($0, /\(default .*\)$/)) standard = substr($0, RSTART + 9, RLENGTH - 10)
    next
  }
  /^      / && flag != "" { sub(/^ +/, ""); help = help (help == "" ? "" : " ") $0 }
  END { emit() }
' >"$TABLE"

awk -v table="$TABLE" '
  /<!-- flags: begin/ { print; while ((getline line < table) > 0) print line; print ""; skipping = 1 }
  /<!-- flags: end/ { skipping = 0 }
  !skipping
' "$PAGE" >"$PAGE.new"
mv "$PAGE.new" "$PAGE"
