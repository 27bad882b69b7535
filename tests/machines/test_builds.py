# SPDX-License-Identifier: LGPL-2.1-or-later
"""The module builds without warnings for kernels that no machine here boots."""
import pytest

import builds
from kit import ready_kit
from riglib.common import RigError
from table import ONLY_BUILT, TARGETS


@pytest.mark.parametrize("name", ONLY_BUILT)
def test_module_builds_without_warnings(name, state):
    try:
        with ready_kit(TARGETS[name]) as kit:
            _, warnings = builds.build_for(kit, state)
    except RigError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    if warnings:
        pytest.fail("\n".join(warnings), pytrace=False)
