"""`scripts/health`, which the container's health check runs, against real servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from setwise_server import ServerSettings
from setwise_server.settings import Security

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "health"


def health(*arguments: str | Path, **variables: Path) -> tuple[int, str]:
    """Its exit code and what it says."""
    environment = os.environ | {name: str(path) for name, path in variables.items()}
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_a_server_in_clear_text_is_ready_and_alive(serving, sets_path) -> None:
    with serving([sets_path]) as stubs:
        assert health(stubs.address) == (0, f"{stubs.address}: SERVING\n")
        assert health(stubs.address, "--service", "liveness")[0] == 0
        code, said = health(stubs.address, "--service", "collection/nosuch")
    assert (code, "NOT_FOUND" in said) == (1, True)


def test_where_nothing_listens_it_says_so_and_fails() -> None:
    code, said = health("127.0.0.1:1")
    assert code == 1
    assert said.startswith("127.0.0.1:1: UNAVAILABLE")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """PEM files: an authority, and a certificate and key of the server and of a probe."""
    folder, authority = tmp_path_factory.mktemp("pem"), trustme.CA()
    files = {"ca": folder / "ca.pem"}
    authority.cert_pem.write_to_path(str(files["ca"]))
    for who, name in (("server", "setwise.example.com"), ("probe", "probe@example.com")):
        issued = authority.issue_cert(name)
        files[who], files[f"{who}-key"] = folder / f"{who}.pem", folder / f"{who}-key.pem"
        issued.cert_chain_pems[0].write_to_path(str(files[who]))
        issued.private_key_pem.write_to_path(str(files[f"{who}-key"]))
    return files


@pytest.mark.parametrize("mutual", [False, True])
def test_over_tls_it_needs_the_authority_the_name_and_perhaps_a_certificate(serving, sets_path, files, mutual) -> None:
    authorities = files["ca"] if mutual else None
    security = Security(tls_cert=files["server"], tls_key=files["server-key"], client_ca=authorities, anonymous="read")
    with serving([sets_path], ServerSettings(port=0, device="cpu", security=security)) as stubs:
        usual = [stubs.address, "--ca", files["ca"], "--server-name", "setwise.example.com"]
        shown = ["--certificate", files["probe"], "--certificate-key", files["probe-key"]]
        assert health(*usual, *shown)[0] == 0
        assert health(*usual)[0] == (1 if mutual else 0)
        assert health(*usual[:3], *shown)[0] == 1  # the certificate is not for 127.0.0.1
        assert health(stubs.address)[0] == 1
        variables = {"SETWISE_CERTIFICATE": files["probe"], "SETWISE_CERTIFICATE_KEY": files["probe-key"]}
        assert health(stubs.address, *usual[3:], SETWISE_CA=files["ca"], **variables)[0] == 0
