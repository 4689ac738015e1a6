#!/usr/bin/env python3
"""Medians of bench.py's lines: summary.py FILE... [--max-other PCT]

One table a label. spread: (max-min)/median of ops_s over the repeats. other: median share of the
machine's CPU that neither server nor client used (interference); repeats over --max-other percent
are left out when cleaner ones exist."""
import argparse
import json
import os
import statistics

MAX_OTHER = 15.0
HEAD = ("workload", "ops/s", "p50ms", "p99ms", "srv_us/op", "cli_us", "idle%", "iow%", "rss_mb",
        "write_mb", "data_mb", "spread", "other%", "n")


def load(files):
    """{(label, workload): its lines}, in the order of the files."""
    rows = {}
    for name in files:
        with open(name) as lines:
            for line in lines:
                record = json.loads(line)
                rows.setdefault((record["label"], record["workload"]), []).append(record)
    return rows


def other(record):
    """Percent of the machine that neither server nor client used."""
    return record["other_cpu_s"] / (record["wall_s"] * os.cpu_count()) * 100


def usable(records, max_other=MAX_OTHER):
    """The undisturbed repeats, or all when there are none."""
    clean = [r for r in records if other(r) <= max_other and not r.get("failed")]
    return clean or records


def middle(values):
    values = list(values)
    return statistics.median(values) if values else None


def median(records, key):
    return middle(r[key] for r in records if r.get(key) is not None)


def text(value, decimals=0):
    return "-" if value is None else "%.*f" % (decimals, value)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("files", nargs="+")
    ap.add_argument("--max-other", type=float, default=MAX_OTHER)
    a = ap.parse_args()
    last = None
    for (label, workload), records in load(a.files).items():
        use = usable(records, a.max_other)
        if label != last:
            last = label
            print("\n%s\n%-16s %9s %8s %8s %9s %8s %6s %6s %7s %8s %8s %7s %7s %s" % (label, *HEAD))
        speeds = [r["ops_s"] for r in use if r.get("ops_s")]
        spread = (max(speeds) - min(speeds)) / statistics.median(speeds) * 100 if speeds else None
        server = median(use, "server_cpu_us_per_op")
        if workload == "idle":
            server = middle(r["server_cpu_s"] / r["wall_s"] * 1e6 for r in use)
            workload = "idle (us CPU/s)"
        bad = sum((r.get("errors") or 0) + bool(r.get("failed")) + (r.get("missing_events") or 0) for r in use)
        print("%-16s %9s %8s %8s %9s %8s %6s %6s %7s %8s %8s %6s%% %7s %d/%d%s" % (
            workload, text(median(use, "ops_s")), text(median(use, "p50_ms"), 2), text(median(use, "p99_ms"), 2),
            text(server, 1), text(middle(r["client_cpu_s"] / r["ops"] * 1e6 for r in use if r.get("ops")), 1),
            text(median(use, "idle_pct")), text(median(use, "iowait_pct")), text(median(use, "rss_peak_mb")),
            text(median(use, "disk_write_mb")), text(median(use, "data_mb")), text(spread),
            text(middle(other(r) for r in use)), len(use), len(records), "  ERRORS %d" % bad if bad else ""))


if __name__ == "__main__":
    main()
