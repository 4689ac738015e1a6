#!/usr/bin/env python3
"""Runs a fixed set of workloads against any etcd-compatible server; one JSON line per workload.

    bench.py --endpoints URL,... --pids PID,... [--data-dirs D,...] [--cacert F --cert F --key F]
             [--label TEXT] [--only w1,w2] [--skip w1] [--repeat N] [--scale F] [--out FILE] [--list]

`bench.py $(cluster.sh args) --label x` fills in the first line. The load comes from etcd's own
`benchmark` tool where it has the workload and from `loadgen` (beside this file) where it has not;
both are installed by setup.sh into ${PEER_PREFIX:-$HOME/.cache/etcd-peer}/bin.

Of each line: ops, seconds, ops_s, p50_ms, p99_ms, errors; server_cpu_s (utime+stime of the server
pids and their children), server_cpu_us_per_op, client_cpu_s, other_cpu_s (all else on the machine:
interference), softirq_s, idle_pct and iowait_pct of the whole machine, rss_peak_mb (VmHWM, reset
before each workload, summed over the pids; rss_peak_mb_each), disk_write_mb (storage writes of the
server pids), data_mb (allocated size of the data directories, summed).

If PEER_LOCK names a file, each workload (--lock pass: each whole repeat) runs under a flock on it.
PEER_NICE (e.g. -15, as root) gives the load client that scheduler weight and a session of its own,
as cluster.sh does with the servers, so that other work on the machine disturbs less.
Standard library only.
"""
import argparse, fcntl, json, os, re, resource, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = os.environ.get("PEER_PREFIX", os.path.expanduser("~/.cache/etcd-peer"))
BENCH = os.environ.get("PEER_BENCHMARK", os.path.join(PREFIX, "bin", "benchmark"))
LOADGEN = os.environ.get("PEER_LOADGEN", os.path.join(PREFIX, "bin", "loadgen"))
HZ = os.sysconf("SC_CLK_TCK")

# name, tool, conns, clients, ops, arguments (N stands for ops), preparation
# ops: what the tool is told to do; a watch workload's ops are puts, its counted ops events.
PUT = ["put", "--key-size=8", "--val-size=256", "--key-space-size=100000", "--total=N"]
PRE_KEY = [LOADGEN, "preload", "--prefix=one/", "--keys=1", "--conns=1", "--clients=1"]
PRE_PAGE = [LOADGEN, "preload", "--prefix=page/", "--keys=1000", "--conns=4", "--clients=50"]
PRE_MIX = [LOADGEN, "preload", "--prefix=mix/", "--keys=10000", "--conns=10", "--clients=200"]
WORKLOADS = [
    ("idle",            None,    0,    0,  10, [], []),
    ("put-seq",         BENCH,   1,    1,   2000, PUT + ["--sequential-keys"], []),
    ("put-c100",        BENCH,  10,  100,  60000, PUT, []),
    ("put-c1000",       BENCH, 100, 1000, 100000, PUT, []),
    ("range-lin-1",     BENCH,   1,    1,  10000, ["range", "one/000000", "--consistency=l", "--total=N"], [PRE_KEY]),
    ("range-lin",       BENCH,  10,  100, 100000, ["range", "one/000000", "--consistency=l", "--total=N"], [PRE_KEY]),
    ("range-ser",       BENCH,  10,  100, 100000, ["range", "one/000000", "--consistency=s", "--total=N"], [PRE_KEY]),
    ("range-page1000",  BENCH,  10,   10,   4000, ["range", "page/", "page0", "--consistency=l", "--total=N"], [PRE_PAGE]),
    ("txn-put4",        BENCH,  10,  100,  20000, ["txn-put", "--key-size=8", "--val-size=256", "--txn-ops=4",
                                                   "--key-space-size=100000", "--total=N"], []),
    ("txn-mixed",       LOADGEN, 10, 100,  60000, ["txn-mixed", "--prefix=mix/", "--keys=10000", "--read-ratio=0.5", "--total=N"], [PRE_MIX]),
    ("mixed-3to1",      LOADGEN, 10, 100,  80000, ["mixed", "--prefix=mix/", "--keys=10000", "--read-ratio=0.75", "--total=N"], [PRE_MIX]),
    ("watch-100x200",   LOADGEN, 10, 100,   1600, ["watch-fanout", "--prefix=w/", "--streams=100", "--watchers=1", "--rate=200",
                                                   "--putters=10", "--total=N"], []),
    ("watch-100xmax",   LOADGEN, 10, 100,   4000, ["watch-fanout", "--prefix=w/", "--streams=100", "--watchers=1", "--rate=0",
                                                   "--putters=10", "--total=N"], []),
    ("watch-1000x20",   LOADGEN, 20, 1000,   160, ["watch-fanout", "--prefix=w/", "--streams=20", "--watchers=50", "--rate=20",
                                                   "--putters=2", "--total=N"], []),
    ("lease-keepalive", BENCH,  10,  100, 100000, ["lease-keepalive", "--total=N"], []),
    ("lease-cycle",     LOADGEN, 10, 100,   4000, ["lease-cycle", "--prefix=lease/", "--total=N"], []),
]


def weigh():
    """In the child: own session (so own autogroup), with the weight that PEER_NICE names."""
    os.setsid()
    n = os.environ.get("PEER_NICE")
    if n:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, int(n))
            with open("/proc/self/autogroup", "w") as f:
                f.write(n)
        except OSError:
            pass


def descendants(pids):
    kids = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                with open("/proc/%s/stat" % d) as f:
                    kids.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(d))
            except OSError:
                pass
    out, todo = [], list(pids)
    while todo:
        p = todo.pop()
        out.append(p)
        todo += kids.get(p, [])
    return out


def cpu_of(pids):
    """Seconds of CPU by all threads, ended ones too, by the kernel's process clock: /proc counts
    in ticks of 10 ms, which is more than an idle server uses in seconds."""
    return sum(time.clock_gettime(~p << 3 | 2) for p in pids)


def field(path, name):
    with open(path) as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def hwm_reset(pids):
    for p in pids:
        try:
            with open("/proc/%d/clear_refs" % p, "w") as f:
                f.write("5")
        except OSError:
            pass


def disk_bytes(pids):
    try:
        return sum(field("/proc/%d/io" % p, "write_bytes") for p in pids)
    except OSError:
        return 0


def machine():
    with open("/proc/stat") as f:
        v = [int(x) / HZ for x in f.readline().split()[1:9]]
    user, nice, system, idle, iowait, irq, softirq, steal = v
    return dict(busy=user + nice + system, idle=idle, iowait=iowait, softirq=irq + softirq, steal=steal, total=sum(v))


def data_bytes(dirs):
    n = 0
    for d in dirs:
        for root, _, files in os.walk(d):
            for f in files:
                try:
                    n += os.lstat(os.path.join(root, f)).st_blocks * 512
                except OSError:
                    pass
    return n


def parse_benchmark(text):
    r = {}
    m = re.findall(r"Total:\s+([0-9.e+-]+) secs", text)
    r["seconds"] = float(m[-1]) if m else None
    m = re.findall(r"Requests/sec:\s+([0-9.e+-]+)", text)
    r["ops_s"] = float(m[-1]) if m else None
    for p, k in (("50", "p50_ms"), ("99", "p99_ms")):
        m = re.findall(r"\s%s%% in ([0-9.e+-]+) secs" % p, text)
        r[k] = float(m[-1]) * 1000 if m else None
    dist = text.split("Error distribution:", 1)
    r["errors"] = sum(int(x) for x in re.findall(r"\[(\d+)\]\t", dist[1])) if len(dist) > 1 else 0
    if len(dist) > 1:
        r["last_error"] = dist[1].strip().splitlines()[0][:200]
    if r["seconds"]:
        r["ops"] = int(round(r["ops_s"] * r["seconds"]))
    return r


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--endpoints", default="http://127.0.0.1:2379")
    ap.add_argument("--pids", default="")
    ap.add_argument("--data-dirs", default="")
    ap.add_argument("--cacert")
    ap.add_argument("--cert")
    ap.add_argument("--key")
    ap.add_argument("--label", default="")
    ap.add_argument("--only", default="")
    ap.add_argument("--skip", default="")
    ap.add_argument("--repeat", type=int, default=1)
    ap.add_argument("--scale", type=float, default=1.0, help="multiply every workload's ops")
    ap.add_argument("--timeout", type=float, default=90)
    ap.add_argument("--out", help="append the lines to this file too")
    ap.add_argument("--lock", choices=("workload", "pass"), default="workload")
    ap.add_argument("--list", action="store_true")
    a = ap.parse_args()
    if a.list:
        for w in WORKLOADS:
            print("%-16s conns %-4d clients %-5d ops %d" % (w[0], w[2], w[3], w[4]))
        return
    pids = [int(p) for p in a.pids.split(",") if p]
    dirs = [d for d in a.data_dirs.split(",") if d]
    only = [x for x in a.only.split(",") if x]
    skip = [x for x in a.skip.split(",") if x]
    names = [w[0] for w in WORKLOADS]
    for x in only + skip:
        if x not in names:
            sys.exit("no workload %s; there are: %s" % (x, " ".join(names)))
    tls = []
    for f in ("cacert", "cert", "key"):
        if getattr(a, f):
            tls.append("--%s=%s" % (f, getattr(a, f)))
    lock = os.environ.get("PEER_LOCK")

    def command(tool, conns, clients, args, n):
        args = [x.replace("=N", "=%d" % n) if x == "--total=N" else x for x in args]
        common = ["--endpoints=" + a.endpoints, "--conns=%d" % conns, "--clients=%d" % clients] + tls
        return [tool, args[0]] + common + (["--precise"] if tool == BENCH else []) + args[1:]

    prepared = set()
    for rep in range(1, a.repeat + 1):
        whole = open(lock, "a") if lock and a.lock == "pass" else None
        if whole:
            fcntl.flock(whole, fcntl.LOCK_EX)
        for name, tool, conns, clients, ops, args, prep in WORKLOADS:
            if (only and name not in only) or name in skip:
                continue
            n = ops if tool is None else max(1, int(ops * a.scale))
            lf = open(lock, "a") if lock and a.lock == "workload" else None
            if lf:
                fcntl.flock(lf, fcntl.LOCK_EX)
            try:
                for p in prep:
                    if tuple(p) not in prepared:
                        subprocess.run(p + ["--endpoints=" + a.endpoints] + tls, check=True, stdout=subprocess.DEVNULL)
                        prepared.add(tuple(p))
                time.sleep(0.3)
                tree = descendants(pids)
                hwm_reset(tree)
                cli0 = resource.getrusage(resource.RUSAGE_CHILDREN)
                c0, d0, m0, t0 = cpu_of(tree), disk_bytes(tree), machine(), time.monotonic()
                rec = {"label": a.label, "workload": name, "rep": rep, "conns": conns, "clients": clients}
                out, r = "", {}
                if tool is None:
                    time.sleep(n)
                    r = {"ops": 0, "seconds": n, "errors": 0}
                else:
                    cmd = command(tool, conns, clients, args, n)
                    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=weigh)
                    try:
                        out, err = p.communicate(timeout=a.timeout)
                    except subprocess.TimeoutExpired:
                        p.kill()
                        out, err = p.communicate()
                        r["failed"] = "still running after %g s" % a.timeout
                    if "failed" not in r and p.returncode != 0:
                        r["failed"] = "exit %d: %s" % (p.returncode, err.strip()[-300:])
                c1, d1, m1, t1 = cpu_of(tree), disk_bytes(tree), machine(), time.monotonic()
                cli1 = resource.getrusage(resource.RUSAGE_CHILDREN)
            finally:
                if lf:
                    lf.close()
            if tool == BENCH:
                r = {**parse_benchmark(out), **r}
            elif tool == LOADGEN and "failed" not in r:
                r = json.loads(out.strip().splitlines()[-1])
            if r.get("ops") and r.get("seconds"):
                r["ops_s"] = r["ops"] / r["seconds"]
            rec.update(r)
            scpu = c1 - c0
            ccpu = cli1.ru_utime + cli1.ru_stime - cli0.ru_utime - cli0.ru_stime
            tot = max(m1["total"] - m0["total"], 1e-9)
            rec["server_cpu_s"] = scpu
            if r.get("ops"):
                rec["server_cpu_us_per_op"] = scpu / r["ops"] * 1e6
                if r.get("puts"):
                    rec["server_cpu_us_per_put"] = scpu / r["puts"] * 1e6
            rec["client_cpu_s"] = ccpu
            rec["other_cpu_s"] = max(0.0, m1["busy"] - m0["busy"] - scpu - ccpu)
            rec["softirq_s"] = m1["softirq"] - m0["softirq"]
            rec["steal_s"] = m1["steal"] - m0["steal"]
            rec["wall_s"] = t1 - t0
            rec["idle_pct"] = (m1["idle"] - m0["idle"]) / tot * 100
            rec["iowait_pct"] = (m1["iowait"] - m0["iowait"]) / tot * 100
            rss = [field("/proc/%d/status" % p, "VmHWM") / 1024 for p in tree]
            rec["rss_peak_mb"] = sum(rss)
            rec["rss_peak_mb_each"] = [round(x, 1) for x in rss]
            rec["disk_write_mb"] = (d1 - d0) / 1e6
            rec["data_mb"] = data_bytes(dirs) / 1e6
            rec = {k: (round(v, 4) if isinstance(v, float) else v) for k, v in rec.items()}
            line = json.dumps(rec)
            print(line, flush=True)
            if a.out:
                with open(a.out, "a") as f:
                    f.write(line + "\n")
        if whole:
            whole.close()


if __name__ == "__main__":
    main()
