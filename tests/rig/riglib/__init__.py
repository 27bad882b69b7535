# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of the rig; `rig` beside this folder is the program."""
