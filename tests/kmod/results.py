# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kmodtest says, wherever it runs: which cases it has, and how they went."""
import re
import subprocess

# Anywhere in a line, as on a console something else may stand before it.
RESULT = re.compile(r"(?P<bad>not )?ok \d+ - (?P<name>\w+) #")


def cases(program):
    """The cases of a kmodtest that runs on this host: {name: the words for what it needs}."""
    lines = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout
    return {name: set(needs) for name, *needs in (line.split() for line in lines.splitlines())}


class Results:
    """Reads the output of a kmodtest that runs, as it comes."""

    def __init__(self, stream):
        self.stream = stream
        self.said = []          # since the last result
        self._results = {}

    def wait_for(self, line):
        """Reads until this line; False when there is none."""
        for text in self.stream:
            self.said.append(text.rstrip())
            if text.strip() == line:
                return True
        return False

    def result(self, name):
        """(whether it was good, what it said) of a case; None when the output ends before."""
        while name not in self._results:
            line = self.stream.readline()
            if not line:
                return None
            found = RESULT.search(line)
            if found:
                self._results[found["name"]] = (not found["bad"], "\n".join(self.said))
                self.said = []
            else:
                self.said.append(line.rstrip())
        return self._results[name]
