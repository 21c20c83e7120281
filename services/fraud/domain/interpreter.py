"""CEL's interpreter without its command line, which the package imports for itself."""

import sys
from types import ModuleType

# With that comes a terminal's toolkit: 0.3 s of CPU and 24 MB at every start, for nothing that is used here.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402 -- after that  # tidy: allow impure-value-code: it reads nothing but what it is given

__all__ = ["cel"]
