"""Commands that run as a user with no rights but reading: an arbitrary uid in group 0, as OpenShift assigns it."""

from __future__ import annotations

import os

ROOT_HERE = os.getuid() == 0
USER = 1234 if ROOT_HERE else os.getuid()

_READING = "-all,+dac_read_search"  # the interpreter and the code, wherever root has installed them
_SET_USER = ("setpriv", f"--reuid={USER}", "--regid=0", "--clear-groups")
AS_OTHER_USER = (*_SET_USER, f"--inh-caps={_READING}", f"--ambient-caps={_READING}", "--") if ROOT_HERE else ()
# Privileged ports begin at 1024 in a new network namespace, whatever the machine's setting is.
OWN_NETWORK = ("unshare", "--net", "--") if ROOT_HERE else ("unshare", "--user", "--net", "--")
