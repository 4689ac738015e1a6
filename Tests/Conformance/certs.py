"""certs.py: certificates of a cluster: its CA, a wrong CA, and what each of them signed.

    folder = make_cluster_certificates(Path("tls"), ["127.0.0.1", "localhost"])
    folder.server.cert, folder.stranger.key, folder.expired.cert ...

Belongs here: who signs what for which names. Never here: how a server is told (cluster.py).
ECDSA P-256 by the openssl command; standard library only. `Tools/cluster.py` uses it too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

DAYS = 365
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path

    def replace_by(self, other: Pair) -> None:
        """Puts the other pair into these files, each in one step, as a renewal tool does."""
        for mine, new in ((self.key, other.key), (self.cert, other.cert)):
            aside = mine.with_suffix(".new")
            shutil.copyfile(new, aside)
            os.replace(aside, mine)

    def copy_to(self, folder: Path) -> Pair:
        """The same pair in files of its own, so that they can be replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        return Pair(Path(shutil.copy(self.cert, folder)), Path(shutil.copy(self.key, folder)))


class Authority:
    """A CA in `folder`; what it signs lies there too."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self.cert, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl("req", "-x509", *CURVE, "-days", DAYS, "-subj", f"/CN={name}",
                 "-keyout", self._key, "-out", self.cert)

    def issue(self, name: str, hosts: list[str], expired: bool = False) -> Pair:
        """A certificate for server and client use (peers are both), valid for `hosts`."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, config = self.folder / f"{name}.csr", self.folder / f"{name}.cnf"
        names = ",".join(("IP:" if host[0].isdigit() or ":" in host else "DNS:") + host
                         for host in hosts)
        config.write_text(
            "[leaf]\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={names}\n"
            "[ca]\ndefault_ca=this\n[this]\n"
            f"database={self.folder}/{name}.index\nnew_certs_dir={self.folder}\n"
            "default_md=sha256\npolicy=any\nrand_serial=yes\nunique_subject=no\n"
            "[any]\ncommonName=supplied\n")
        _openssl("req", *CURVE, "-subj", f"/CN={name}", "-keyout", pair.key, "-out", request)
        (self.folder / f"{name}.index").write_text("")
        # Only `openssl ca` can sign for a time that is over, before OpenSSL 3.4.
        period = (("-startdate", "20200101000000Z", "-enddate", "20200201000000Z") if expired
                  else ("-days", DAYS))
        _openssl("ca", "-batch", "-notext", "-config", config, "-in", request, "-out", pair.cert,
                 "-cert", self.cert, "-keyfile", self._key, "-extensions", "leaf", *period)
        return pair

    def revoke(self, *pairs: Pair, days: int = DAYS, form: str = "PEM") -> Path:
        """A revocation list of these certificates; with `days` below 0 it has run out."""
        index, config = self.folder / f"{self.name}.index", self.folder / f"{self.name}-crl.cnf"
        target = self.folder / f"{self.name}.crl"
        rows = []
        for pair in pairs:
            done = subprocess.run(
                ["openssl", "x509", "-in", str(pair.cert), "-noout", "-serial"],
                capture_output=True, text=True, check=True)
            serial = done.stdout.strip().split("=")[1]
            rows.append(f"R\t491231235959Z\t260101000000Z\t{serial}\tunknown\t/CN={pair.cert.stem}\n")
        index.write_text("".join(rows))
        config.write_text(
            "[ca]\ndefault_ca=this\n[this]\ndefault_md=sha256\ncrlnumber=\n"
            f"database={index}\n".replace("crlnumber=\n", ""))
        scratch = target.with_suffix(".pem-crl")
        period = (("-crldays", days) if days > 0 else
                  ("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z"))
        _openssl("ca", "-gencrl", "-config", config, "-cert", self.cert, "-keyfile", self._key,
                 *period, "-out", scratch)
        aside = target.with_suffix(".new")
        _openssl("crl", "-in", scratch, "-outform", form, "-out", aside)
        os.replace(aside, target)
        return target


@dataclass(frozen=True)
class ClusterCertificates:
    """server, peer, client: by our CA; stranger: by another; expired: by ours, in 2020."""

    ca: Path
    other_ca: Path
    server: Pair
    peer: Pair
    client: Pair
    renewed: Pair  # of the same CA as `server`, with another serial number
    stranger: Pair
    expired: Pair


def make_cluster_certificates(folder: Path, hosts: list[str]) -> ClusterCertificates:
    """Everything above, below `folder`; the servers' and peers' hold for `hosts`."""
    ours, other = Authority(folder), Authority(folder, "other-ca")
    return ClusterCertificates(
        ours.cert, other.cert, ours.issue("server", hosts), ours.issue("peer", hosts),
        ours.issue("client", hosts), ours.issue("renewed", hosts),
        other.issue("stranger", hosts), ours.issue("expired", hosts, expired=True))
