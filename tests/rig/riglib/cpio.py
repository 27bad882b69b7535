# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes initramfs archives in the form "newc" (the kernel's driver-api/early-userspace/buffer-format.rst).

The kernel unpacks several archives one after the other, so what differs between two starts is simply appended to the
archive that was made with the image.
"""

import os
import pathlib
import stat

MAGIC = b"070701"
ALIGNMENT = 4


class Archive:
    """An archive in memory. Everything in it belongs to root; parents are made as needed."""

    def __init__(self):
        self._entries = {}

    def directory(self, name):
        if name not in ("", "."):
            self.directory(os.path.dirname(name))
            self._entries.setdefault(name, (stat.S_IFDIR | 0o755, b""))

    def file(self, name, data, mode=0o644):
        self._add(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        self._add(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def copy(self, name, source, executable=None):
        """A file or symbolic link of the host; executable as there, unless said."""
        source = pathlib.Path(source)
        if source.is_symlink():
            self.link(name, os.readlink(source))
            return
        if executable is None:
            executable = os.access(source, os.X_OK)
        self.file(name, source.read_bytes(), 0o755 if executable else 0o644)

    def tree(self, source, target=""):
        """Everything below a folder of the host, put below target."""
        for path in sorted(source.rglob("*")):
            if path.is_symlink() or not path.is_dir():
                self.copy(os.path.join(target, path.relative_to(source)), path)

    def to_bytes(self):
        parts = [self._record(number, name, *entry) for number, (name, entry) in
                 enumerate(self._entries.items(), 1)]
        parts.append(self._record(0, "TRAILER!!!", 0, b""))
        return b"".join(parts)

    def _add(self, name, mode, data):
        self.directory(os.path.dirname(name))
        self._entries[name] = (mode, data)

    @staticmethod
    def _record(inode, name, mode, data):
        encoded = name.encode() + b"\0"
        # ino mode uid gid nlink mtime filesize dev(major, minor) rdev(major, minor) namesize check
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = MAGIC + b"".join(b"%08X" % field for field in fields) + encoded
        return _padded(header) + _padded(data)


def _padded(data):
    return data + b"\0" * (-len(data) % ALIGNMENT)
