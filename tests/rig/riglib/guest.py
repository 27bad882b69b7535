# SPDX-License-Identifier: LGPL-2.1-or-later
"""The inside of the guest: what each start puts into it, and commands run there over one kept ssh connection."""

import os
import pathlib
import shlex
import subprocess
import time

from . import cpio
from .common import RIG, RigError, locked

HOST_ALIAS = "rig"
CONNECT_TIMEOUT_S = 180

# The cheapest under emulation: the default key exchange and AES cost seconds there.
SSH_OPTIONS = {
    "BatchMode": "yes", "IdentityFile": "key", "IdentitiesOnly": "yes", "UserKnownHostsFile": "known_hosts",
    "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes", "HostKeyAlias": HOST_ALIAS,
    "HostKeyAlgorithms": "ssh-ed25519", "KexAlgorithms": "curve25519-sha256",
    "Ciphers": "chacha20-poly1305@openssh.com", "LogLevel": "ERROR",
    "ControlPath": "ssh.sock", "ControlMaster": "no",
}


def write_payload(folder, image, kernel, files, loads):
    """Writes the initramfs of one start: the image's, the kernel's, and behind them all that is put into the guest's /run.

    files: host paths by name, put into /run/rig. Without a devregd its unit is left out of the boot;
    unless loads, that which loads the module is too.
    """
    archive = cpio.Archive()
    archive.tree(RIG / "payload")
    archive.copy("run/rig/devregd.json.in", RIG / "devregd.json")
    archive.file("run/rig/authorized_keys", _login_key(folder, image), 0o600)
    for name, path in files.items():
        archive.copy(f"run/rig/{name}", path, executable=True)
    units = {"rig-devices": True, "rig-processors": True, "rig-module": loads, "devregd": "devregd" in files}
    for unit in (f"{name}.service" for name, wanted in units.items() if wanted):
        archive.link(f"run/systemd/system/multi-user.target.wants/{unit}", f"../{unit}")
    path = folder / "initramfs"
    path.write_bytes(image.initramfs.read_bytes() + kernel.initramfs.read_bytes() + archive.to_bytes())
    return path


def _login_key(folder, image):
    """Makes the key that logs in to this state folder's guest, once, and returns its public half."""
    key = folder / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f", key], check=True)
    (folder / "known_hosts").write_text(f"{HOST_ALIAS} {image.host_key.read_text()}")
    return (folder / "key.pub").read_bytes()


class Guest:
    """Commands in the guest of a running machine, as root."""

    def __init__(self, machine):
        self.folder = machine.folder
        self._port = machine.running()["ssh"]

    def connect(self, timeout_s=CONNECT_TIMEOUT_S):
        """Opens the kept connection unless it is open; waits for the guest's sshd to come up."""
        with locked(self.folder / "ssh.lock"):
            if self._ssh(["-O", "check"], quiet=True).returncode == 0:
                return
            limit = time.monotonic() + timeout_s
            patience = ["-o", f"ConnectTimeout={max(1, min(round(timeout_s), 60))}"]
            while True:
                # -f returns when the connection stands; the process that then keeps it holds none of our files.
                opened = self._ssh(["-f", "-N", *patience, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes"],
                                   quiet=True)
                if opened.returncode == 0:
                    return
                if time.monotonic() > limit:
                    raise RigError(f"no ssh connection to the guest: {opened.stderr.decode().strip()}")
                time.sleep(0.3)

    def run(self, command, terminal=False, **options):
        """Runs a command (a list, passed on as it is) or a login shell, and returns its CompletedProcess."""
        self.connect()
        arguments = ["-t" if terminal else "-T"]
        return self._ssh(arguments, shlex.join(command) if command else None, **options)

    def push(self, source, destination):
        """Copies a file with its mode. Over a new name, as a running program's own file cannot be written to."""
        source = pathlib.Path(source)
        mode = "755" if os.access(source, os.X_OK) else "644"
        script = 'if [ -d "$1" ]; then set -- "$1/$3" "$2"; fi; ' \
                 'cat > "$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"'
        with open(source, "rb") as file:
            return self.run(["sh", "-c", script, "sh", destination, mode, source.name], stdin=file).returncode

    def _ssh(self, arguments, command=None, quiet=False, **options):
        argv = ["ssh", "-F", "none"]
        for name, value in SSH_OPTIONS.items():
            argv += ["-o", f"{name}={value}"]
        # Options given first win.
        argv[3:3] = arguments
        argv += ["-p", str(self._port), "root@127.0.0.1"]
        if command:
            argv += ["--", command]
        if quiet:
            with open(self.folder / "ssh.log", "w+b") as log:
                # Not a pipe: the kept connection would hold it open.
                done = subprocess.run(argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      check=False)
                log.seek(0)
                done.stderr = log.read()
                return done
        return subprocess.run(argv, cwd=self.folder, check=False, **options)
