#!/usr/bin/env python3
"""compare.py RESULTS.jsonl [BIGDATA.jsonl]: Martlet beside etcd in one table, with the targets.

Every ratio is Martlet's figure divided by etcd's; the last column says whether the target holds
(targets are of one node). CPU and memory are summed over the nodes.
Medians of the repeats; repeats that something else on the machine disturbed are left out when
there are cleaner ones (summary.py). Labels must be etcd... and martlet....
Standard library only. Exit status 1 if a workload failed or had errors.
"""
import json
import os
import sys

import summary

# workload: (figure, greatest ratio)
TARGETS = {
    "put-c100": ("cpu", 1 / 4), "range-lin": ("cpu", 1 / 5), "range-page1000": ("cpu", 1 / 2),
    "txn-put4": ("cpu", 1 / 4), "lease-keepalive": ("cpu", 1 / 4), "watch-100x200": ("cpu", 1 / 3),
    "put-seq": ("p50", 1.0), "idle": ("cpu", 1 / 4),
}
BIG_TARGETS = {"resident MB": 1 / 2, "disk MB": 1.0}
RESTART_SECONDS = 2.0
COLUMNS = [  # name, key of a result line, decimals
    ("cpu", "cpu", 1), ("ops/s", "ops_s", 0), ("p50", "p50_ms", 2), ("p99", "p99_ms", 2),
    ("rss", "rss_peak_mb", 0), ("disk", "disk_write_mb", 1),
]


def number(value, decimals):
    return "-" if value is None else "%.*f" % (decimals, value)


def ratio(ours, theirs):
    """Ours over theirs; None where that says nothing."""
    return ours / theirs if ours is not None and theirs else None


def verdict(value, limit):
    if value is None:
        return "?"
    return ("pass" if value <= limit else "MISS") + " (%.2f, target %.2f)" % (value, limit)


def side(label):
    name = label.split("/")[0].split("-")[0]
    if name not in ("etcd", "martlet"):
        sys.exit("compare: label %r is neither etcd's nor martlet's" % label)
    return name


def medians(rows):
    """{workload: {side: {figure: median}}} in the order of the file, and the number of failures."""
    table, failures = {}, 0
    for (label, workload), records in rows.items():
        used = summary.usable(records)
        failures += sum(1 for r in used
                        if r.get("failed") or r.get("errors") or r.get("missing_events"))
        figures = {key: summary.median(used, key) for _, key, _ in COLUMNS}
        # Microseconds per operation; while idle there are none, so per second.
        figures["cpu"] = (summary.median(used, "server_cpu_us_per_op") if workload != "idle" else
                          summary.middle(r["server_cpu_s"] / r["wall_s"] * 1e6 for r in used))
        table.setdefault(workload, {})[side(label)] = figures
    return table, failures


def print_workloads(table, targets):
    head = "%-16s" % "workload"
    for name, _, _ in COLUMNS:
        head += " | %9s %9s %5s" % (name + " etcd", "martlet", "ratio")
    print(head + " | target")
    for workload, sides in table.items():
        etcd, martlet = sides.get("etcd", {}), sides.get("martlet", {})
        line = "%-16s" % workload
        ratios = {}
        for name, key, decimals in COLUMNS:
            ratios[name] = ratio(martlet.get(key), etcd.get(key))
            line += " | %9s %9s %5s" % (number(etcd.get(key), decimals),
                                        number(martlet.get(key), decimals), number(ratios[name], 2))
        figure, limit = targets.get(workload, (None, None))
        print(line + " | " + ("%s %s" % (figure, verdict(ratios[figure], limit)) if figure else ""))
    print("cpu: server CPU, us per operation (idle: us per second); p50, p99: ms; "
          "rss: peak MB; disk: MB written")


def print_big(path):
    """The big-data part; returns the number of failures."""
    runs = {}
    with open(path) as lines:
        for line in lines:
            record = json.loads(line)
            runs[side(record["label"])] = record
    if set(runs) != {"etcd", "martlet"}:
        print("\nbig data: only %s finished" % (", ".join(runs) or "nothing"))
        return 1
    rows = [
        ("load, puts/s", lambda r: r["load_puts_s"]),
        ("load, CPU us/put", lambda r: r["load_server_cpu_us_per_put"]),
        ("resident MB", lambda r: r["loaded_15s_later_mb"]["VmRSS"]),
        ("peak MB", lambda r: r["loaded_15s_later_mb"]["VmHWM"]),
        ("disk MB", lambda r: r["data_mb"]),
        ("count of all, ms", lambda r: r["count_all_ms"]),
        ("list all, pages, s", lambda r: r["list_all_pages_of_10000"]["s"]),
        ("list all, CPU s", lambda r: r["list_all_pages_of_10000"]["server_cpu_s"]),
        ("snapshot save, s", lambda r: summary.middle(r["snapshot_save_s"])),
        ("restart, TERM, s", lambda r: max(r["restart_ready_s_TERM"])),
        ("restart, KILL, s", lambda r: max(r["restart_ready_s_KILL"])),
    ]
    keys, size = runs["martlet"]["keys"], runs["martlet"]["val_size"]
    print("\n%-20s %10s %10s %6s   %d keys of %d bytes" % (
        "big data", "etcd", "martlet", "ratio", keys, size))
    for name, get in rows:
        theirs, ours = get(runs["etcd"]), get(runs["martlet"])
        told = ""
        if name in BIG_TARGETS:
            told = verdict(ratio(ours, theirs), BIG_TARGETS[name])
        elif name.startswith("restart"):
            told = ("pass" if ours < RESTART_SECONDS else "MISS") + " (target < %g s)" % RESTART_SECONDS
        print("%-20s %10s %10s %6s   %s" % (name, number(theirs, 2), number(ours, 2),
                                           number(ratio(ours, theirs), 2), told))
    counted = {r["count_all"] for r in runs.values()}
    if counted != {keys}:
        print("big data: counted %s, not %d keys" % (sorted(counted), keys))
        return 1
    return 0


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rows = summary.load(sys.argv[1:2])
    table, failures = medians(rows)
    shapes = {label.partition("/")[2] for label, _ in rows}
    print_workloads(table, TARGETS if shapes == {"1n"} else {})
    if len(sys.argv) == 3 and os.path.exists(sys.argv[2]):
        failures += print_big(sys.argv[2])
    if failures:
        print("%d runs failed or had errors: the figures above are not to be trusted" % failures)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
