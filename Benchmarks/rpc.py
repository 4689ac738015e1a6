"""The few etcd v3 messages that the probes need, encoded by hand: they need grpcio and nothing else."""
import os, shlex, subprocess


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def fbytes(num, b):
    return varint(num << 3 | 2) + varint(len(b)) + b


def fint(num, v):
    return varint(num << 3) + varint(v) if v else b""


def decode(b):
    """{field number: [values]}; a length-delimited value stays bytes."""
    out, i, n = {}, 0, len(b)

    def rd():
        nonlocal i
        s = r = 0
        while True:
            c = b[i]
            i += 1
            r |= (c & 127) << s
            if c < 128:
                return r
            s += 7
    while i < n:
        t = rd()
        f, w = t >> 3, t & 7
        if w == 0:
            v = rd()
        elif w == 2:
            ln = rd()
            v = b[i:i + ln]
            i += ln
        elif w == 1:
            v = b[i:i + 8]
            i += 8
        elif w == 5:
            v = b[i:i + 4]
            i += 4
        else:
            raise ValueError("wire type %d" % w)
        out.setdefault(f, []).append(v)
    return out


def one(d, f, default=0):
    return d.get(f, [default])[0]


PUT = "/etcdserverpb.KV/Put"
RANGE = "/etcdserverpb.KV/Range"
STATUS = "/etcdserverpb.Maintenance/Status"
HASHKV = "/etcdserverpb.Maintenance/HashKV"
MAXMSG = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


def put_request(key, value):
    return fbytes(1, key) + fbytes(2, value)


def range_request(key, end=b"", limit=0, serializable=False, keys_only=False, count_only=False):
    return (fbytes(1, key) + (fbytes(2, end) if end else b"") + fint(3, limit) + fint(7, int(serializable))
            + fint(8, int(keys_only)) + fint(9, int(count_only)))


def prefix_end(p):
    return p[:-1] + bytes([p[-1] + 1])


def range_kvs(resp):
    d = decode(resp)
    out = {}
    for kv in d.get(2, []):
        m = decode(kv)
        out[one(m, 1, b"")] = one(m, 5, b"")
    return out, one(d, 4)


def range_page(resp):
    """(number of kvs, key of the last one): what a lister needs, without decoding every kv."""
    kvs = decode(resp).get(2, [])
    return len(kvs), one(decode(kvs[-1]), 1, b"") if kvs else b""


def status(resp):
    d = decode(resp)
    h = decode(one(d, 1, b""))
    return {"member": one(h, 2), "revision": one(h, 3), "term": one(d, 6), "leader": one(d, 4), "db_size": one(d, 3),
            "db_in_use": one(d, 9), "index": one(d, 5), "applied": one(d, 7), "version": one(d, 2, b"").decode()}


def gone(pid):
    """True once the whole process is dead: a zombie leader whose other threads still run holds its ports yet."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            if f.read().rsplit(")", 1)[1].split()[0] != "Z":
                return False
        return len(os.listdir("/proc/%d/task" % pid)) <= 1
    except OSError:
        return True


class Cluster:
    """What `cluster.sh env` says of a running cluster."""

    def __init__(self, cmd):
        self.cmd = shlex.split(cmd)
        self.read()

    def call(self, *args):
        r = subprocess.run([self.cmd[0], args[0]] + self.cmd[1:] + list(args[1:]), capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError("%s: %s" % (" ".join(args), r.stderr.strip()))
        return r.stdout

    def read(self):
        env = dict(w.split("=", 1) for w in self.call("env").split() if "=" in w)
        self.urls = env["ENDPOINTS"].split(",")
        self.pids = [int(p) if p else 0 for p in env["PIDS"].split(",")]
        self.dirs = env["DATA_DIRS"].split(",")
        self.tls = {k: env[k] for k in ("CACERT", "CERT", "KEY") if k in env}

    def up(self, i):
        self.call("up", str(i + 1))
        self.read()

    def target(self, i):
        return self.urls[i].split("://", 1)[1]

    def creds(self, grpc):
        if not self.tls:
            return None
        def rd(k):
            return open(self.tls[k], "rb").read() if k in self.tls else None
        return grpc.ssl_channel_credentials(rd("CACERT"), rd("KEY"), rd("CERT"))
