"""The stand-alone verifier, loaded as the file that it is."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FILE = Path(__file__).parent.parent.parent / "scripts" / "verify_audit.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_audit", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


verifier = _load()
