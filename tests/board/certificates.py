# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates for a test: an authority of its own, and whatever it signs, good or bad."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile

CONFIGURATION = """
[ca]
default_ca = this
[this]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
certificate = {folder}/ca.crt
private_key = {folder}/ca.key
default_md = sha256
policy = anything
unique_subject = no
[anything]
commonName = optional
organizationName = optional
[req]
distinguished_name = name
[name]
"""
VALID = ("20200101000000Z", "20491231000000Z")
EXPIRED = ("20200101000000Z", "20200102000000Z")
LATER = ("20480101000000Z", "20491231000000Z")
SERVER = "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:rig1.lab.example,DNS:localhost,IP:127.0.0.1,IP:::1"
CLIENT = "extendedKeyUsage=clientAuth"


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


class Certificate:
    def __init__(self, path):
        self.certificate = path + ".crt"
        self.key = path + ".key"


class Authority:
    def __init__(self, folder, name="Test authority"):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.configuration = os.path.join(folder, "configuration")
        with open(self.configuration, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(folder=folder))
        with open(os.path.join(folder, "index"), "w", encoding="ascii"):
            pass
        with open(os.path.join(folder, "serial"), "w", encoding="ascii") as file:
            file.write("1000")
        self.certificate = os.path.join(folder, "ca.crt")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                "-config", self.configuration, "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:true",
                "-keyout", os.path.join(folder, "ca.key"), "-out", self.certificate)

    def issue(self, file_name, subject, extensions=CLIENT, valid=VALID):
        made = Certificate(os.path.join(self.folder, file_name))
        request = os.path.join(self.folder, file_name + ".csr")
        wanted = os.path.join(self.folder, file_name + ".extensions")
        with open(wanted, "w", encoding="ascii") as file:
            file.write(extensions + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", self.configuration,
                "-subj", subject, "-multivalue-rdn", "-keyout", made.key, "-out", request)
        openssl("ca", "-batch", "-notext", "-config", self.configuration, "-startdate", valid[0], "-enddate", valid[1],
                "-extfile", wanted, "-in", request, "-out", made.certificate)
        os.chmod(made.key, 0o600)
        return made


@functools.lru_cache(maxsize=None)
def authority():
    """The one that most tests use."""
    folder = tempfile.mkdtemp(prefix="devreg-ca-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Authority(folder)


@functools.lru_cache(maxsize=None)
def server():
    return authority().issue("server", "/CN=rig1.lab.example", SERVER)


@functools.lru_cache(maxsize=None)
def client():
    return authority().issue("client", "/CN=rig1")


def settings(client_ca=True):
    """The key "tls" of a configuration."""
    made = {"certificate": server().certificate, "key": server().key}
    return {**made, "client_ca": authority().certificate} if client_ca else made
